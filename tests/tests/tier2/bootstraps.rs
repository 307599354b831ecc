//! The bootstraps of `envoy-config/` start, and their filters are in the way of requests.

use e2e::bootstrap;
use e2e::client;
use e2e::envoy::Envoy;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};

const NAMES: [&str; 8] = [
    "rate-limit",
    "rate-limit-service",
    "header-routing",
    "auth",
    "telemetry",
    "telemetry-otlp",
    "all-filters",
    "suite",
];

pub(crate) fn trials() -> Vec<Trial> {
    let each = NAMES.map(|name| Trial::test(format!("bootstraps::{name}"), move || starts(name)));
    each.into_iter().chain([Trial::test("bootstraps::each_is_tested", each_is_tested)]).collect()
}

fn starts(name: &str) -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let mut bootstrap = bootstrap::read(&tools::repo_root().join(format!("envoy-config/{name}.yaml")))?;
    bootstrap::fit(&mut bootstrap, &upstreams)?;
    let envoy = Envoy::start(&bootstrap, 1)?;
    let reply = client::get(envoy.address(), "/")?;
    // Where keys are asked for, a request without one is refused.
    let expected = if matches!(name, "auth" | "all-filters" | "suite") { 401 } else { 200 };
    if reply.status != expected {
        return Err(format!("expected {expected}, seen {}\n{}", reply.status, envoy.log()).into());
    }
    // One virtual machine at least for each filter: the main thread's and the worker's.
    let filters = if name == "all-filters" { 4 } else { 1 };
    let active = envoy.stat("wasm.envoy.wasm.runtime.v8.active")?;
    if active < 2 * filters {
        return Err(format!("expected {} virtual machines, seen {active}", 2 * filters).into());
    }
    Ok(())
}

fn each_is_tested() -> Result<(), Failed> {
    // In its folders stand what these are made of, and manifests for other hosts.
    let mut files: Vec<String> = std::fs::read_dir(tools::repo_root().join("envoy-config"))?
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    files.sort_unstable();
    let mut tested = NAMES.map(|name| format!("{name}.yaml"));
    tested.sort_unstable();
    if files != tested {
        return Err(format!("expected {tested:?}, seen {files:?}").into());
    }
    Ok(())
}
