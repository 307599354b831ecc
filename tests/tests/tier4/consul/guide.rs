//! docs/consul.md is true.

use e2e::companions;
use e2e::namespace::Namespace;
use libtest_mimic::Trial;

use crate::guide;
use crate::needing::unless;

pub(super) fn trials() -> Vec<Trial> {
    let missing = companions::program("consul").err().map(|missing| missing.to_string());
    let missing = missing.or_else(Namespace::missing);
    vec![unless(missing, "consul::guide::what_it_says_works", || guide::run("consul.md", &["consul"]))]
}
