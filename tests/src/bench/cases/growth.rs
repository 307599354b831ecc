//! The suite with all four filters while one thing grows: headers, their size, bodies, workers. What grows with rules and
//! keys is measured by the cases of routing and rate limiting.

use serde_json::Value;

use super::chain::{self, suite};
use super::header_routing::{MATCHED, ROUTE};
use super::{USERS, auth, request, telemetry};
use crate::bench::case::{Answer, Case, Expected, Setup};
use crate::bench::load::{Load, Request};

/// Headers beside `host`; the four that the filters look at are always among them.
const HEADERS: [usize; 4] = [5, 8, 30, 100];
/// Bytes of the largest header. Envoy refuses more than 60 KiB in all.
const HEADER_BYTES: [usize; 4] = [16, 1_024, 8_192, 32_768];
/// Bytes of a request's body.
const BODY_BYTES: [usize; 4] = [0, 1_024, 16_384, 98_304];
/// Envoy's worker threads.
const WORKERS: [u32; 3] = [1, 2, 4];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in HEADERS {
        cases.push(grown(
            format!("growth/headers/{count}"),
            format!("{count} request headers"),
            headers(count),
        ));
    }
    for bytes in HEADER_BYTES {
        let request = request().with("x-padding", &"p".repeat(bytes));
        cases.push(grown(
            format!("growth/header-bytes/{bytes}"),
            format!("a header of {bytes} bytes"),
            request,
        ));
    }
    for bytes in BODY_BYTES {
        let name = format!("growth/body-bytes/{bytes}");
        cases.push(behind(&name, &format!("a body of {bytes} bytes, a real backend"), request().body(bytes)));
    }
    for workers in WORKERS {
        let case = grown(format!("growth/workers/{workers}"), format!("{workers} workers"), request());
        cases.push(case.workers(workers));
    }
    cases
}

/// A request with so many headers, those that the filters look at among them.
pub(super) fn headers(count: usize) -> Request {
    const SEEN: [&str; 4] = ["x-api-key", "x-user-id", "x-tenant", "x-plan"];
    let mut request = request();
    while request.headers.len() > count {
        let unseen = request.headers.iter().position(|(name, _)| !SEEN.contains(&name.as_str()));
        request.headers.remove(unseen.unwrap_or_default());
    }
    for number in request.headers.len()..count {
        request = request.with(&format!("x-more-{number}"), "0123456789abcdef");
    }
    request
}

fn grown(name: String, about: String, request: Request) -> Case {
    let load = Load::of(request).keys(USERS);
    // The case `suite` shows the rest, with the same setup.
    let case = Case::new(&name, &format!("the suite, {about}"), load, || suite(telemetry::configuration()));
    chain::led(auth::checked(case)).counted_by(MATCHED).on_demand()
}

/// Before a real backend, which a body needs: a route that answers by itself does not wait for it.
fn behind(name: &str, about: &str, request: Request) -> Case {
    let load = Load::of(request.clone()).keys(USERS);
    let setup = || Setup { routes: Vec::<Value>::new(), ..suite(telemetry::configuration()) };
    Case::new(name, &format!("the suite, {about}"), load, setup)
        .answer(Answer::Upstream)
        .check("the route's header reaches the backend", request, Expected::Upstream(ROUTE, Some("beta")))
        .counted_by(MATCHED)
        .on_demand()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_as_many_headers_as_it_is_to_have() {
        for count in HEADERS {
            let request = headers(count);
            assert_eq!(request.headers.len(), count);
            for seen in ["x-api-key", "x-user-id", "x-tenant", "x-plan"] {
                assert!(request.headers.iter().any(|(name, _)| name == seen), "{count}: {seen}");
            }
        }
    }
}
