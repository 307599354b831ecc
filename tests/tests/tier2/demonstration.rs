//! What `cargo xtask up` promises.

use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("demonstration::every_step_shows_what_it_says", every_step),
        Trial::test("demonstration::a_difference_is_noticed", a_difference_is_noticed),
    ]
}

fn every_step() -> Result<(), Failed> {
    if e2e::up::run(None, true)? { Ok(()) } else { Err("a step differs: see the output".into()) }
}

/// With one filter of the four most steps must fail.
fn a_difference_is_noticed() -> Result<(), Failed> {
    let mut bootstrap = e2e::bootstrap::read(&e2e::tools::repo_root().join("envoy-config/rate-limit.yaml"))?;
    e2e::bootstrap::fit(&mut bootstrap, &e2e::upstream::Upstreams::start()?)?;
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), serde_json::to_vec(&bootstrap)?)?;
    match e2e::up::run(Some(PathBuf::from(file.path())), true)? {
        false => Ok(()),
        true => Err("all steps agreed without auth".into()),
    }
}
