//! Istio: its discovery server delivers the manifests of `envoy-config/istio/` to real Envoys.

mod decisions;
mod guide;
mod images;
mod manifest;
mod manifests;
mod mesh;
mod order;
mod refusals;
mod selection;
mod services;
mod updates;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(decisions::trials());
    trials.extend(guide::trials());
    trials.extend(images::trials());
    trials.extend(manifests::trials());
    trials.extend(order::trials());
    trials.extend(refusals::trials());
    trials.extend(selection::trials());
    trials.extend(services::trials());
    trials.extend(updates::trials());
    trials
}
