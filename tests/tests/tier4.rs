//! Tier 4: the filters in real meshes.
//!
//! A test says which programs it needs. Where one is missing it is not run, and said so; with `CI=true` it fails.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[path = "tier4/istio/mod.rs"]
mod istio;
#[path = "tier4/linkerd.rs"]
mod linkerd;
use needing::needing;

#[path = "tier4/consul/mod.rs"]
mod consul;
#[path = "tier4/envoy_gateway/mod.rs"]
mod envoy_gateway;
#[path = "tier4/guide.rs"]
mod guide;
#[path = "needing.rs"]
mod needing;
#[path = "tier4/probes.rs"]
mod probes;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(istio::trials());
    trials.extend(linkerd::trials());
    trials.extend(consul::trials());
    trials.extend(envoy_gateway::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
