//! The filters in Envoy Gateway: its standalone server, an Envoy that it runs, and a registry of images.

mod failures;
mod guide;
mod manifests;
mod site;

use e2e::companions;
use e2e::namespace::Namespace;
use libtest_mimic::{Failed, Trial};

use crate::needing::unless;

pub(crate) fn trials() -> Vec<Trial> {
    [failures::trials(), guide::trials(), manifests::trials()].into_iter().flatten().collect()
}

/// A test that needs a server in namespaces of its own.
fn needed(name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let missing =
        ["envoy-gateway", "docker-registry"].iter().find_map(|name| companions::program(name).err());
    let missing = missing.map(|missing| missing.to_string()).or_else(Namespace::missing);
    unless(missing, &format!("envoy_gateway::{name}"), run)
}
