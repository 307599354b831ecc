//! Tier 3: the filters beside the real programs that they work with.
//!
//! A test says which programs it needs. Where one is missing it is not run, and said so; with `CI=true` it fails.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use needing::needing;

#[path = "tier3/decision_service.rs"]
mod decision_service;
#[path = "tier3/identity_provider.rs"]
mod identity_provider;
#[path = "needing.rs"]
mod needing;
#[path = "tier3/rate_limit_service.rs"]
mod rate_limit_service;
#[path = "tier3/telemetry.rs"]
mod telemetry;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(decision_service::trials());
    trials.extend(identity_provider::trials());
    trials.extend(rate_limit_service::trials());
    trials.extend(telemetry::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
