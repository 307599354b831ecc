//! Other suites' package lists, had from the machine's own sources: the same mirrors and keys, another suite's name.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The machine's sources of its own release, as (file name, content) with the suite replaced by `suite`.
pub(super) fn sources_of(suite: &str) -> Result<Vec<(String, String)>> {
    let codename = codename()?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let number = found.len();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(
                replace_in_list(&text, &codename, suite).map(|text| (format!("{number}.list"), text)),
            ),
            Some("sources") => found.extend(
                replace_in_sources(&text, &codename, suite).map(|text| (format!("{number}.sources"), text)),
            ),
            _ => {}
        }
    }
    if found.is_empty() {
        bail!("no apt source on this machine is for its own release, {codename}");
    }
    Ok(found)
}

/// One-line sources: `deb [options] uri suite component…`.
fn replace_in_list(text: &str, codename: &str, suite: &str) -> Option<String> {
    let lines: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("deb\t"))
        .filter(|line| line.split_whitespace().any(|word| word == codename))
        .map(|line| {
            line.split_whitespace()
                .map(|word| if word == codename { suite } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n") + "\n")
}

/// Sources in paragraphs, with a line `Suites: name…`.
fn replace_in_sources(text: &str, codename: &str, suite: &str) -> Option<String> {
    let paragraphs: Vec<String> =
        text.split("\n\n")
            .filter(|paragraph| {
                paragraph.lines().any(|line| {
                    line.strip_prefix("Suites:")
                        .is_some_and(|suites| suites.split_whitespace().any(|word| word == codename))
                })
            })
            .map(|paragraph| {
                let lines = paragraph.lines().filter(|line| !line.starts_with('#'));
                lines
                    .map(|line| {
                        if line.starts_with("Suites:") { format!("Suites: {suite}") } else { line.to_owned() }
                    })
                    .collect::<Vec<_>>()
                    .join("\n")
            })
            .collect();
    (!paragraphs.is_empty()).then(|| paragraphs.join("\n\n") + "\n")
}

fn codename() -> Result<String> {
    let text =
        fs::read_to_string("/etc/os-release").context("this machine does not say which system it is")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("/etc/os-release names no VERSION_CODENAME")?.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_of_the_own_release_is_turned_into_another_suite() {
        let text = "Types: deb\n# note\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\n\nTypes: deb\nURIs: http://mirror.invalid/security\nSuites: bookworm-security\n";
        let expected = "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: sid\nComponents: main\n";
        assert_eq!(replace_in_sources(text, "bookworm", "sid").as_deref(), Some(expected));
    }

    #[test]
    fn a_line_of_another_vendor_is_left_out() {
        let text = "deb [signed-by=/k] http://mirror.invalid/debian bookworm main\ndeb http://vendor.invalid nodistro main\n";
        let expected = "deb [signed-by=/k] http://mirror.invalid/debian sid main\n";
        assert_eq!(replace_in_list(text, "bookworm", "sid").as_deref(), Some(expected));
    }

    #[test]
    fn a_file_without_the_own_release_gives_nothing() {
        assert_eq!(replace_in_list("deb http://vendor.invalid nodistro main\n", "bookworm", "sid"), None);
    }
}
