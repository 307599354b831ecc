//! Every scenario file, on one worker and on two, and with its filters in one module: what comes of it is the same.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use e2e::bootstrap::Form;
use e2e::target::EnvoyTarget;
use e2e::tools;
use libtest_mimic::{Failed, Trial};
use tidegate_testkit::scenario::{Scenario, refusal, run};

pub(crate) fn trials() -> Vec<Trial> {
    let folder = tools::repo_root().join("tests/scenarios");
    let mut trials = Vec::new();
    for file in files(&folder) {
        let name = file.strip_prefix(&folder).unwrap_or(&file).display().to_string();
        // The form of the configuration changes along: each filter reads both.
        for (concurrency, form) in [(1, Form::Struct), (2, Form::StringValue)] {
            let (name, file) = (name.clone(), file.clone());
            trials.push(Trial::test(format!("scenarios::{name}::workers_{concurrency}"), move || {
                replay(&name, &file, |scenario| EnvoyTarget::start(scenario, concurrency, form))
            }));
        }
        trials.push(Trial::test(format!("scenarios::{name}::suite"), move || {
            replay(&name, &file, |scenario| {
                let suite = scenario.suite().context("a filter stands twice in the list")?;
                EnvoyTarget::start_with(&[("suite", &suite)], 1, Form::Struct)
            })
        }));
    }
    trials.push(Trial::test("scenarios::there_are_some_for_each_filter", move || {
        for filter in ["auth", "header-routing", "rate-limit", "telemetry"] {
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
        return Ok(run(name, &scenario, &mut target)?);
    }
    match started {
        Ok(_) => Err(format!("{name}: Envoy started with a configuration that is to be refused").into()),
        Err(error) => Ok(refusal(name, &scenario, &format!("{error:#}"))?),
    }
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
