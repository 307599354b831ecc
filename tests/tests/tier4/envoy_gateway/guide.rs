//! docs/envoy-gateway.md is true.

use libtest_mimic::Trial;

use super::needed;
use crate::guide;

pub(super) fn trials() -> Vec<Trial> {
    vec![needed("guide::what_it_says_works", || guide::run("envoy-gateway.md", &["envoy-gateway"]))]
}
