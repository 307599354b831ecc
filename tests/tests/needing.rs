//! Tests that need real programs beside Envoy.

use e2e::companions;
use libtest_mimic::{Failed, Trial};

/// A test that needs these companions. Where one is missing it is not run, and said so; with `CI=true` it fails.
pub(crate) fn needing(
    companions: &[&'static str],
    name: &str,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = companions.iter().find_map(|companion| companions::program(companion).err());
    unless(missing.map(|missing| missing.to_string()), name, run)
}

/// A test that cannot be run where something is missing. There it is not run, and said so; with `CI=true` it fails.
pub(crate) fn unless(
    missing: Option<String>,
    name: &str,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
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
