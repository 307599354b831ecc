//! The filters in Consul's service mesh: a real agent, real sidecars, Connect's own certificates.

mod changes;
mod entries;
mod guide;
mod identity;
mod manifests;
mod mesh;
mod protocols;

use libtest_mimic::{Failed, Trial};

use crate::needing;

pub(crate) fn trials() -> Vec<Trial> {
    let all =
        [changes::trials(), guide::trials(), identity::trials(), manifests::trials(), protocols::trials()];
    all.into_iter().flatten().collect()
}

/// A test that needs an agent.
fn needed(name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    needing(&["consul"], &format!("consul::{name}"), run)
}
