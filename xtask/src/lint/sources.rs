//! What code may name, by folder: the SDK outside its crate, and clocks where time is an argument.
//!
//! clippy bans types by their path and for a whole crate, tests and wasm-only code of another target left out; reading
//! the text finds every mention, whichever target compiles it.

use std::fs;
use std::path::Path;

use super::{Findings, files};
use crate::paths;

/// A word that files may not hold.
struct Ban {
    word: &'static str,
    /// Folders that the ban is for; none means all.
    inside: &'static [&'static str],
    /// Folders left out.
    outside: &'static [&'static str],
    remedy: &'static str,
}

const DECIDING: &[&str] = &[
    "crates/config/",
    "crates/filter-api/",
    "crates/jose/",
    "crates/matchers/",
    "crates/protobuf/",
    "crates/quota/",
    "filters/",
];

// The words are taken apart so that this file does not find itself.
const BANS: [Ban; 3] = [
    Ban {
        word: concat!("proxy", "_wasm"),
        inside: &[],
        outside: &["crates/proxy-host/", "tests/empty-filter/"],
        remedy: "the SDK is proxy-host's alone; say it with the filter API",
    },
    Ban {
        word: concat!("System", "Time"),
        inside: DECIDING,
        outside: &[],
        remedy: "time is an argument; std's clock panics on wasm32",
    },
    Ban {
        word: concat!("Inst", "ant"),
        inside: DECIDING,
        outside: &[],
        remedy: "time is an argument; std's clock panics on wasm32",
    },
];

pub(super) fn check() -> Findings {
    let mut findings = Vec::new();
    for file in files::project_files()? {
        if file.extension().is_some_and(|extension| extension == "rs")
            && let Ok(text) = fs::read_to_string(paths::repo_root().join(&file))
        {
            findings.extend(banned(&file, &text));
            findings.extend(compared_in_the_open(&file, &text));
        }
    }
    Ok(findings)
}

fn banned(file: &Path, text: &str) -> Vec<String> {
    let name = file.to_string_lossy().replace('\\', "/");
    let within = |folders: &[&str]| folders.iter().any(|folder| name.starts_with(folder));
    let bans: Vec<&Ban> = BANS
        .iter()
        .filter(|ban| (ban.inside.is_empty() || within(ban.inside)) && !within(ban.outside))
        .collect();
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for ban in &bans {
            if has_word(code, ban.word) {
                findings.push(format!("{name}:{}: names {}: {}", number + 1, ban.word, ban.remedy));
            }
        }
    }
    findings
}

/// Comparisons of secrets that stop at the first difference: how long they take tells how much was right. A comparison of
/// something that only sounds like a secret says so: `// no secret: …`.
fn compared_in_the_open(file: &Path, text: &str) -> Vec<String> {
    const PLACES: [&str; 2] = ["filters/auth/src/", "crates/jose/src/"];
    const SECRET: [&str; 7] = ["digest", "sha256", "secret", "signature", "password", "mac", "code"];
    let name = file.to_string_lossy().replace('\\', "/");
    if !PLACES.iter().any(|place| name.starts_with(place)) || name.ends_with("tests.rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let code = line.split("//").next().unwrap_or("");
        let compares = [" == ", " != ", ".eq(", ".ne("].iter().any(|word| code.contains(word));
        if compares && SECRET.iter().any(|secret| has_word(code, secret)) && !line.contains("// no secret: ")
        {
            findings.push(format!(
                "{name}:{}: compares a secret in the open: use subtle::ConstantTimeEq",
                number + 1
            ));
        }
    }
    findings
}

/// Whether `word` stands alone in `code`.
fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_found_in_a_filter_only() {
        let text = "// Instant is not named here\nlet now = Instant::now();\nlet InstantReply = 1;\n";
        assert_eq!(banned(Path::new("filters/auth/src/lib.rs"), text).len(), 1);
        assert_eq!(banned(Path::new("tests/src/lib.rs"), text), Vec::<String>::new());
    }

    #[test]
    fn a_secret_compared_in_the_open_is_found() {
        let text = "if key.sha256 == digest {}\nif a.sha256 == b.sha256 {} // no secret: both configured\n\
                    if name == other {}\n#[cfg(test)]\nassert!(digest == digest);\n";
        assert_eq!(compared_in_the_open(Path::new("filters/auth/src/api_key.rs"), text).len(), 1);
        assert_eq!(compared_in_the_open(Path::new("filters/telemetry/src/a.rs"), text), Vec::<String>::new());
    }

    #[test]
    fn the_sdk_is_found_outside_its_crate_only() {
        let text = format!("use {}::types;", concat!("proxy", "_wasm"));
        assert_eq!(banned(Path::new("examples/x/src/lib.rs"), &text).len(), 1);
        assert_eq!(banned(Path::new("crates/proxy-host/src/a.rs"), &text), Vec::<String>::new());
    }
}
