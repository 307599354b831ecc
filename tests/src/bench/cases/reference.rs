//! What every filter in Rust costs before it has done anything.

use serde_json::json;

use super::{REFERENCE, load, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, about, module: &'static str| {
        // What does nothing can only show that it is there: a virtual machine each for the main thread and the worker.
        Case::new(name, about, load(), move || Setup::of(HttpFilter::Module(module, json!({})))).check(
            "its virtual machines run",
            request(),
            Expected::AtLeast("wasm.envoy.wasm.runtime.v8.active", 2),
        )
    };
    vec![
        case(REFERENCE, "a filter that does nothing, with the SDK as it is", "empty-filter-unfinished"),
        case("empty-sdk/pruned", "the same, finished like our modules", "empty-filter"),
    ]
}
