//! Istio: its discovery server delivers the manifests of `envoy-config/istio/` to real Envoys.

mod manifests;
mod mesh;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(manifests::trials());
    trials
}
