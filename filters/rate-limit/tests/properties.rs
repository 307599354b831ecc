//! Requests and responses of any bytes: the filter decides, never panics, and admits no more than its quota.
#![cfg(not(target_arch = "wasm32"))]

use std::time::Duration;

use proptest::prelude::*;
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{FakeHost, worker_on};

/// Every part of a key, every cost and every condition that reads what clients and upstreams send; at last a quota that
/// nothing gets past.
const LIMITS: &str = r#"{
    "limits": [
        {"name": "fields", "key": [{"header": "x-id"}, {"cookie": "sid"}, {"query": "id"}, "host", "method", "source", "route"],
         "quotas": [{"units": 1000, "per": "1m"}], "cost": {"request_header": "x-cost"}},
        {"name": "claims", "key": ["principal", {"claim": "a.b"}], "quotas": [{"requests": 1000, "per": "1m"}]},
        {"name": "paths", "match": {"paths": [{"prefix": "/a"}, {"template": "/{x}/{*rest}"}]}, "not": {"paths": [{"exact": "/a/b"}]},
         "key": [{"path_template": "/{x}/{y}"}], "concurrency": {"max": 1000, "expire": "1m"}},
        {"name": "header-cost", "quotas": [{"units": 1000000, "per": "1m"}], "cost": {"response_header": "x-cost"}},
        {"name": "body-cost", "quotas": [{"units": 1000000, "per": "1m"}], "cost": {"json_field": ["a.b", "c"]}},
        {"name": "failures", "key": ["source"], "quotas": [{"requests": 1000, "per": "1m"}], "count_when": {"status": ["4xx"]}},
        {"name": "all", "quotas": [{"requests": 3, "per": "1d"}]}],
    "client_address": {"trusted_hops": 1}, "reply": {"headers": "draft_11", "problem_json": true}}"#;

/// Bytes that look like something here and there.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "/",
        "..",
        "/a",
        "%2f",
        "%25",
        ";",
        "\\",
        "?",
        "id=",
        "sid=",
        "=",
        "&",
        ",",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ":",
        "data:",
        "\n",
        "1",
        "-",
        "1e400",
        "18446744073709551616",
        "{\"a\":{\"b\":",
        "\"c\":7",
        "::1",
        "203.0.113.7",
    ]);
    let piece = prop_oneof![
        4 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

const REQUEST: [&str; 7] =
    ["x-id", "cookie", "x-cost", "x-forwarded-for", "content-type", "x-id", ":authority"];
const RESPONSE: [&str; 4] = [":status", "x-cost", "content-type", "content-encoding"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_bytes_get_a_decision_and_no_more_pass_than_may(
        exchanges in prop::collection::vec(
            (bytes(), prop::collection::vec(bytes(), REQUEST.len()), prop::collection::vec(bytes(), RESPONSE.len()), prop::collection::vec(bytes(), 0..4)),
            6,
        )
    ) {
        let worker = worker_on::<RateLimit>(&FakeHost::new(), LIMITS);
        let mut admitted = 0;
        for (path, request, response, body) in exchanges {
            let path = format!("/{}", String::from_utf8_lossy(&path));
            let headers: Vec<(&str, &[u8])> = REQUEST.into_iter().zip(request.iter().map(Vec::as_slice)).collect();
            let (outcome, mut exchange) = worker.send("GET", &path, &headers);
            prop_assert!([200, 429].contains(&outcome.status()), "{}", outcome.status());
            if outcome.status() == 200 {
                admitted += 1;
                exchange.response(&RESPONSE.into_iter().zip(response.iter().map(Vec::as_slice)).collect::<Vec<_>>());
                body.iter().for_each(|piece| exchange.response_body(piece));
            }
            exchange.end(None, Duration::ZERO);
        }
        prop_assert!(admitted <= 3, "{admitted} of 3");
    }
}
