//! Every scenario file, on one worker over HTTP/1.1, on two over HTTP/2, and with its filters in one module: what comes of
//! it is the same.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use e2e::bootstrap::Form;
use e2e::target::EnvoyTarget;
use e2e::tools;
use libtest_mimic::{Failed, Trial};
use tidegate_testkit::scenario::{RequestSpec, Scenario, Target as _, refusal, run};

/// The filter of one's own, which is not in the suite.
const EXAMPLE: &str = "hello-filter";

pub(crate) fn trials() -> Vec<Trial> {
    let folder = tools::repo_root().join("tests/scenarios");
    let mut trials = Vec::new();
    for file in files(&folder) {
        let name = file.strip_prefix(&folder).unwrap_or(&file).display().to_string();
        // The form of the configuration changes along: each filter reads both.
        for (concurrency, form) in [(1, Form::Struct), (2, Form::StringValue)] {
            let (name, file) = (name.clone(), file.clone());
            trials.push(Trial::test(format!("scenarios::{name}::workers_{concurrency}"), move || {
                replay(&name, &file, |scenario| {
                    let target = EnvoyTarget::start(scenario, concurrency, form)?;
                    Ok(if concurrency == 1 { target } else { target.over_http2() })
                })
            }));
        }
        if file.starts_with(folder.join(EXAMPLE)) {
            continue;
        }
        trials.push(Trial::test(format!("scenarios::{name}::suite"), move || {
            replay(&name, &file, |scenario| {
                let suite = scenario.suite().context("a filter stands twice in the list")?;
                EnvoyTarget::start_with(&[("suite", &suite)], &scenario.environment, 1, Form::Struct)
            })
        }));
    }
    trials.push(Trial::test("scenarios::there_are_some_for_each_filter", move || {
        for filter in ["auth", "header-routing", "rate-limit", "telemetry", EXAMPLE] {
            if files(&folder.join(filter)).is_empty() {
                return Err(format!("no scenario in {}", folder.join(filter).display()).into());
            }
        }
        Ok(())
    }));
    trials
}

fn replay(
    name: &str,
    file: &Path,
    start: impl FnOnce(&Scenario) -> Result<EnvoyTarget>,
) -> Result<(), Failed> {
    let text = std::fs::read_to_string(file)?;
    let scenario = Scenario::parse(&text).map_err(|error| format!("{name}: {error}"))?;
    let started = start(&scenario);
    if scenario.refused.is_empty() {
        let mut target = started.map_err(|error| format!("{name}: {error:#}"))?;
        run(name, &scenario, &mut target)?;
        return no_secret(name, &scenario, &target.log());
    }
    match started {
        Ok(_) => Err(format!("{name}: Envoy started with a configuration that is to be refused").into()),
        Err(error) => Ok(refusal(name, &scenario, &format!("{error:#}"))?),
    }
}

/// Headers that hold what identifies a caller.
const SECRET: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// No credential that a scenario sent stands in the log, whatever else the scenario is about.
fn no_secret(name: &str, scenario: &Scenario, log: &str) -> Result<(), Failed> {
    for request in scenario.steps.iter().filter_map(|step| step.request.as_ref()).map(RequestSpec::request) {
        for (header, value) in &request.headers {
            let value = String::from_utf8_lossy(value);
            // Shorter ones may stand there for another reason.
            let secret = SECRET.iter().any(|secret| header.eq_ignore_ascii_case(secret.as_bytes()));
            if secret && value.len() >= 8 && log.contains(&*value) {
                return Err(format!("{name}: the log holds the secret {value:?}:\n{log}").into());
            }
        }
    }
    Ok(())
}

/// All YAML files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}
