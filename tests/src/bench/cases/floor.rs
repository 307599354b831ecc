//! What the calls to Envoy cost that the suite makes for a request, without the suite: all of them, and each kind of them
//! by what is saved without it.

use serde_json::{Value, json};

use super::header_routing::chosen_route;
use super::{load, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

/// A kind of calls.
#[derive(Debug)]
pub struct Part {
    /// The word that the floor's configuration has for it.
    pub word: &'static str,
    /// What it is, as told to people.
    pub about: &'static str,
}

/// The kinds, in the order of the calls.
pub const PARTS: [Part; 10] = [
    Part { word: "headers", about: "all request headers, read" },
    Part { word: "time", about: "the time" },
    Part { word: "shared", about: "the bucket of the key, read and written" },
    Part { word: "counters", about: "four counters" },
    Part { word: "filter-state", about: "principal and route as filter state" },
    Part { word: "edits", about: "a header removed, two set" },
    Part { word: "reroute", about: "the route chosen again" },
    Part { word: "properties", about: "status, route and duration, read" },
    Part {
        word: "one-by-one",
        about: "the three edits one by one, instead of all headers written in one call",
    },
    Part {
        word: "status-as-header",
        about: "the status as the response's header, instead of as an attribute",
    },
];

impl Part {
    /// The name of the case without it.
    #[must_use]
    pub fn case(&self) -> String {
        format!("{WHOLE}/without-{}", self.word)
    }
}

/// The name of the case with all of them.
pub const WHOLE: &str = "suite/floor";

pub(super) fn whole() -> Case {
    counting(WHOLE, "as many calls to Envoy as the suite makes, and nothing between them", Value::Null).check(
        "it chooses the route",
        request(),
        Expected::Body("beta"),
    )
}

pub(super) fn without(part: &Part) -> Case {
    counting(&part.case(), &format!("the same calls without: {}", part.about), json!({"without": part.word}))
}

fn counting(name: &str, about: &str, left_out: Value) -> Case {
    Case::new(name, about, load(), || Setup {
        routes: vec![chosen_route()],
        ..Setup::of(HttpFilter::Module("floor", left_out))
    })
    .check("it counts", request(), Expected::Counted("floor.requests"))
    .counted_by("floor.requests")
    .on_demand()
}
