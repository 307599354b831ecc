//! Tier 3: the filters beside the real programs that they work with.
//!
//! A test says which programs it needs. Where one is missing it is not run, and said so; with `CI=true` it fails.

use std::process::ExitCode;

use e2e::companions;
use libtest_mimic::{Arguments, Failed, Trial};

#[path = "tier3/decision_service.rs"]
mod decision_service;
#[path = "tier3/identity_provider.rs"]
mod identity_provider;
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

/// A test that needs these companions.
fn needing(
    companions: &[&'static str],
    name: &str,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = companions.iter().find_map(|companion| companions::program(companion).err());
    let strict = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match missing {
        None => Trial::test(name, run),
        Some(missing) if strict => Trial::test(name, move || Err(format!("not run: {missing}").into())),
        Some(missing) => {
            // `cargo xtask test` repeats these lines at its end.
            println!("not run: {name}: {missing}");
            Trial::test(name, run).with_ignored_flag(true)
        }
    }
}
