//! Checks on text files: links in Markdown lead somewhere, and no file names a path of one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Findings;
use crate::{paths, process};

pub(super) fn check() -> Findings {
    let mut findings = Vec::new();
    for file in project_files()? {
        // Other than text, and what was deleted but is still listed, is of no interest.
        let Ok(text) = fs::read_to_string(paths::repo_root().join(&file)) else { continue };
        findings.extend(machine_paths(&file, &text));
        if file.extension().is_some_and(|extension| extension == "md") {
            findings.extend(dead_links(&file, &text));
        }
    }
    Ok(findings)
}

/// Every file that is or will be tracked, relative to the root.
pub(super) fn project_files() -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(paths::repo_root());
    let text = process::output(&mut git).context("the files to check are listed by git")?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Absolute paths below somebody's home, and that of this checkout.
fn machine_paths(file: &Path, text: &str) -> Vec<String> {
    // Taken apart so that this file does not find itself.
    let homes = [concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/"), concat!("C:", "\\")];
    let here = format!("{}/", paths::repo_root().display());
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let home = homes.iter().find(|home| starts_a_word(line, home));
        if home.is_some() || (here.len() > 5 && starts_a_word(line, &here)) {
            findings.push(format!("{}:{}: names a path of one machine", file.display(), number + 1));
        }
    }
    findings
}

/// Whether `path` stands in `line` as the beginning of a path, not within one or within a URL.
fn starts_a_word(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || "._-/}*".contains(c))
    })
}

/// Links to files that are not there.
fn dead_links(file: &Path, text: &str) -> Vec<String> {
    let folder = paths::repo_root().join(file.parent().unwrap_or(Path::new("")));
    let mut findings = Vec::new();
    let mut code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for target in links(line) {
            let target = target.split(['#', ' ']).next().unwrap_or("");
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere && !folder.join(target).exists() {
                findings.push(format!(
                    "{}:{}: links to {target}, which is not there",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    findings
}

/// What follows each `](`, up to the closing bracket.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_in_a_line() {
        let line = "see [a](docs/a.md#top) and [b](https://b.invalid)";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md#top", "https://b.invalid"]);
    }

    #[test]
    fn a_path_in_a_url_is_no_machine_path() {
        let home = concat!("/", "home/");
        assert!(!starts_a_word(&format!("http://b.invalid{home}x"), home));
        assert!(starts_a_word(&format!("see {home}x"), home));
        assert!(starts_a_word(&format!("\"{home}x\""), home));
    }

    #[test]
    fn a_missing_file_is_reported_with_its_line() {
        let findings =
            dead_links(Path::new("README.md"), "fine\n[x](no/such/file.md)\n```\n[y](none)\n```\n");
        assert_eq!(findings, ["README.md:2: links to no/such/file.md, which is not there"]);
    }
}
