//! `docs/hosts.md`: what each host offers, as the tests of tiers 4 and 5 saw it. Written between two marks by `cargo xtask test
//! --tier 4 --tier 5 --document`; what people wrote around them stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use crate::marked;
use crate::{paths, staging};

/// Which tests passed, by name.
pub(super) type Seen = BTreeMap<String, bool>;

/// The tests' first words, and what the hosts are called.
const MESHES: [(&str, &str); 4] = [
    ("istio", "Istio"),
    ("consul", "Consul Connect"),
    ("envoy_gateway", "Envoy Gateway"),
    ("linkerd", "An Envoy that Linkerd meshes"),
];

/// Writes the page: `envoys` by version, the oldest first, and the meshes.
pub(super) fn write(envoys: &[(&str, Seen)], meshes: &Seen) -> Result<()> {
    let file = paths::repo_root().join("docs/hosts.md");
    let page = fs::read_to_string(&file).context("reading docs/hosts.md")?;
    staging::write_file(&file, marked::insert(&page, &text(envoys, meshes)?)?.as_bytes())
}

fn text(envoys: &[(&str, Seen)], meshes: &Seen) -> Result<String> {
    let mut text = "### Envoy\n\n| |".to_owned();
    for (version, _) in envoys {
        write!(text, " {version} |")?;
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(envoys.len()));
    text.push('\n');
    let by_version: Vec<BTreeMap<String, Sum>> = envoys.iter().map(|(_, seen)| summed(seen)).collect();
    let mut features: Vec<&String> = by_version.iter().flat_map(BTreeMap::keys).collect();
    features.sort_unstable();
    features.dedup();
    for feature in features {
        write!(text, "| {feature} |")?;
        for sums in &by_version {
            write!(text, " {} |", sums.get(feature).copied().unwrap_or_default().mark())?;
        }
        text.push('\n');
    }
    for (word, name) in MESHES {
        write!(text, "\n### {name}\n\n| | |\n|---|---|\n")?;
        let own = |(test, passed): (&String, &bool)| {
            Some((test.strip_prefix(word)?.strip_prefix("::")?.to_owned(), *passed))
        };
        for (feature, sum) in summed(&meshes.iter().filter_map(own).collect()) {
            writeln!(text, "| {feature} | {} |", sum.mark())?;
        }
    }
    Ok(text)
}

/// How many of so many tests passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    passed: usize,
    all: usize,
}

impl Sum {
    fn mark(self) -> String {
        match self {
            Sum { all: 0, .. } => "not run".to_owned(),
            Sum { passed, all } if passed == all => "✓".to_owned(),
            Sum { passed, all } => format!("**{passed} of {all}**"),
        }
    }
}

/// The tests of each feature together.
fn summed(seen: &Seen) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for (test, passed) in seen {
        let sum = sums.entry(feature(test)).or_default();
        sum.all += 1;
        sum.passed += usize::from(*passed);
    }
    sums
}

/// What a test is about: of a scenario its filter and its file, whatever it ran in; of others what their names say, without
/// the last of many parts.
fn feature(test: &str) -> String {
    let plain = |text: &str| text.replace(['_', '-'], " ");
    let file =
        test.strip_prefix("scenarios::").map(|scenario| scenario.split("::").next().unwrap_or(scenario));
    if let Some((filter, name)) = file.and_then(|file| file.split_once('/')) {
        return format!("{filter}: {}", plain(name.trim_end_matches(".yaml")));
    }
    let parts: Vec<&str> = test.split("::").collect();
    let kept = parts.get(..parts.len().min(3)).unwrap_or_default();
    match kept.split_first() {
        Some((first, rest)) if !rest.is_empty() => {
            format!(
                "{}: {}",
                plain(first),
                rest.iter().map(|part| plain(part)).collect::<Vec<_>>().join(", ")
            )
        }
        _ => plain(test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(tests: &[(&str, bool)]) -> Seen {
        tests.iter().map(|(test, passed)| ((*test).to_owned(), *passed)).collect()
    }

    #[test]
    fn a_feature_that_fails_somewhere_is_told() {
        let old = seen(&[
            ("scenarios::auth/api-keys.yaml::suite", false),
            ("scenarios::auth/api-keys.yaml::workers_1", true),
        ]);
        let new = seen(&[
            ("scenarios::auth/api-keys.yaml::suite", true),
            ("scenarios::auth/api-keys.yaml::workers_1", true),
            ("reload::keeps_counts", true),
            ("scenarios::some_are_there", true),
        ]);
        let meshes = seen(&[
            ("istio::decisions::auth::wasmplugin::inbound", true),
            ("istio::decisions::auth::wasmplugin::gateway", true),
            ("consul::identity::intentions_come_first", true),
        ]);
        let text = text(&[("1.37.0", old), ("1.40.0", new)], &meshes).unwrap();
        for line in [
            "| | 1.37.0 | 1.40.0 |\n|---|---|---|\n",
            "| auth: api keys | **1 of 2** | ✓ |\n",
            "| reload: keeps counts | not run | ✓ |\n",
            "| scenarios: some are there | not run | ✓ |\n",
            "### Istio\n\n| | |\n|---|---|\n| decisions: auth, wasmplugin | ✓ |\n",
            "| identity: intentions come first | ✓ |\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn the_page_has_its_marks() {
        let page = fs::read_to_string(paths::repo_root().join("docs/hosts.md")).unwrap();
        marked::insert(&page, "").unwrap();
    }
}
