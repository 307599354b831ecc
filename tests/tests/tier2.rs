//! Tier 2: the real modules in real Envoys.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[path = "tier2/all_filters.rs"]
mod all_filters;
#[path = "tier2/auth/mod.rs"]
mod auth;
#[path = "tier2/auth_vectors.rs"]
mod auth_vectors;
#[path = "tier2/bench.rs"]
mod bench;
#[path = "tier2/bootstraps.rs"]
mod bootstraps;
#[path = "tier2/callouts.rs"]
mod callouts;
#[path = "tier2/demonstration.rs"]
mod demonstration;
#[path = "tier2/hostile.rs"]
mod hostile;
#[path = "tier2/manifests/mod.rs"]
mod manifests;
#[path = "tier2/memory.rs"]
mod memory;
#[path = "needing.rs"]
mod needing;
#[path = "tier2/protocols.rs"]
mod protocols;
#[path = "tier2/rate_limit.rs"]
mod rate_limit;
#[path = "tier2/readme.rs"]
mod readme;
#[path = "tier2/reload.rs"]
mod reload;
#[path = "tier2/routing.rs"]
mod routing;
#[path = "tier2/scenarios.rs"]
mod scenarios;
#[path = "tier2/telemetry/mod.rs"]
mod telemetry;

fn main() -> ExitCode {
    if let Some(ended) = demonstration::instead_of_tests() {
        return ended;
    }
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(scenarios::trials());
    trials.extend(auth::trials());
    trials.extend(auth_vectors::trials());
    trials.extend(bench::trials());
    trials.extend(bootstraps::trials());
    trials.extend(callouts::trials());
    trials.extend(demonstration::trials());
    trials.extend(hostile::trials());
    trials.extend(manifests::trials());
    trials.extend(memory::trials());
    trials.extend(rate_limit::trials());
    trials.extend(protocols::trials());
    trials.extend(readme::trials());
    trials.extend(reload::trials());
    trials.extend(routing::trials());
    trials.extend(telemetry::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
