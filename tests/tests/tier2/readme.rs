//! The README's first screen is true.

use e2e::bootstrap::{self, Form};
use e2e::client;
use e2e::envoy::Envoy;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("readme::its_configuration_runs_and_its_mistake_is_told_as_it_says", first_screen)]
}

fn first_screen() -> Result<(), Failed> {
    let text = std::fs::read_to_string(tools::repo_root().join("README.md"))?;
    let (yaml, rest) = between(&text, "```yaml\n", "```").ok_or("the README shows no configuration first")?;
    let (mistake, rest) = between(rest, "Write `", "`").ok_or("the README shows no mistake")?;
    let (message, _) = between(rest, "with\n`", "`").ok_or("the README does not say what comes of it")?;
    let (wrong, value) = mistake.split_once(": ").ok_or("the mistake is a key and a value")?;

    let configuration: Value = serde_saphyr::from_str(yaml)?;
    let upstreams = Upstreams::start()?;
    let filters = [("rate-limit", &configuration)];
    let envoy = Envoy::start(&bootstrap::with_filters(&filters, &upstreams, Form::Struct)?, 1)?;
    let seen = client::get(envoy.address(), "/api")?.status;
    if seen != 200 {
        return Err(format!("expected 200, seen {seen}").into());
    }

    let right = yaml.lines().flat_map(|line| line.split([',', '{', '}'])).find(|part| part.ends_with(value));
    let right = right.and_then(|part| part.trim().strip_suffix(value)).ok_or("the mistake is in no line")?;
    let misspelt: Value = serde_saphyr::from_str(&yaml.replace(right, &format!("{wrong}: ")))?;
    let filters = [("rate-limit", &misspelt)];
    match Envoy::start(&bootstrap::with_filters(&filters, &upstreams, Form::Struct)?, 1) {
        Ok(_) => Err("the mistake was accepted".into()),
        Err(error) if format!("{error:#}").contains(message) => Ok(()),
        Err(error) => Err(format!("expected {message:?}, seen {error:#}").into()),
    }
}

/// What stands between `start` and `end`, and the rest.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(start)?.1.split_once(end)
}
