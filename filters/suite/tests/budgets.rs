//! What a request on the hot path costs: calls to the host and heap allocations, exactly. Each call crosses out of the VM
//! (0.5 to 3 µs); a number that grows here is a cost that every request pays. Where one shrinks, write the smaller one.

use std::time::Duration;

use tidegate_auth::Auth;
use tidegate_filter_api::Filter;
use tidegate_header_routing::HeaderRouting;
use tidegate_rate_limit::RateLimit;
use tidegate_suite::Suite;
use tidegate_telemetry::Telemetry;
use tidegate_testkit::allocations::{self, Counting};
use tidegate_testkit::fake::worker;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const AUTH: &str = r#"{
    "providers": {"keys": {"api_key": {"from": [{"header": "x-api-key"}],
        "keys": [{"id": "acme", "sha256": "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508"}]}}},
    "rules": [{"name": "api", "match": {"paths": [{"prefix": "/api"}]}, "require": "keys"}],
    "forward": {"principal_header": "x-auth-subject", "strip_credentials": true}
}"#;
const LIMIT: &str = r#"{"limits": [{"name": "each", "key": [{"header": "x-user-id"}],
    "quotas": [{"requests": 100, "per": "1m"}]}]}"#;
const ROUTING: &str = r#"{"rules": [{"name": "beta", "match": {"headers": [{"name": "x-beta", "exact": "1"}]}, "route": "beta"}],
    "default": {"route": "stable"}, "route_header": "x-route"}"#;
const TELEMETRY: &str = r#"{"metrics": [
    {"name": "requests", "type": "counter", "labels": {"method": "method", "code": "status_class"}},
    {"name": "latency_milliseconds", "type": "histogram", "value": "duration", "labels": {"code": "status_class"}}]}"#;

type Header = (&'static str, &'static [u8]);

fn cost<F: Filter>(configuration: &str) -> (String, u64) {
    of::<F>(
        configuration,
        &[("x-api-key", b"acme-key-1"), ("x-user-id", b"ann"), ("user-agent", b"a browser")],
    )
}

fn same(what: &str, cost: (String, u64), calls: &str, allocated: u64) {
    assert_eq!(cost, (calls.to_owned(), allocated), "{what}");
}

/// The third request: the first ones fill buckets and define series.
fn of<F: Filter>(configuration: &str, headers: &[Header]) -> (String, u64) {
    let worker = worker::<F>(configuration);
    let exchange = || {
        let _ = worker.host().take_made();
        let ((), count) = allocations::count(|| {
            let (_, mut exchange) = worker.send("GET", "/api/items", headers);
            exchange.response(&[(":status", b"200")]);
            exchange.end(Some(200), Duration::from_millis(3));
        });
        (worker.host().take_made(), count)
    };
    exchange();
    exchange();
    exchange()
}

fn check<F: Filter>(configuration: &str, calls: &str, allocated: u64) {
    assert_eq!(cost::<F>(configuration), (calls.to_owned(), allocated), "{}", F::NAME);
}

#[test]
fn each_filter_makes_the_calls_that_it_must() {
    check::<Auth>(AUTH, "add 2, edit 2, request_headers 1, set_property 1", 7);
    check::<RateLimit>(LIMIT, "add 1, now 1, request_headers 1, set_shared 1, shared 1", 0);
    check::<HeaderRouting>(
        ROUTING,
        "add 1, clear_route_cache 1, edit 1, request_headers 1, set_property 1",
        3,
    );
    // What was recorded is told at ticks.
    check::<Telemetry>(TELEMETRY, "property 2, response_status 1", 0);
}

#[test]
fn the_suite_reads_the_headers_once() {
    let all = format!(
        r#"{{"auth": {AUTH}, "rate_limit": {LIMIT}, "header_routing": {ROUTING}, "telemetry": {TELEMETRY}}}"#
    );
    let calls = "add 4, clear_route_cache 1, edit 3, now 1, property 1, request_headers 1, response_status 1, set_property 2, set_shared 1, \
                 shared 1";
    check::<Suite>(&all, calls, 10);
    check::<Suite>(&format!(r#"{{"auth": {AUTH}}}"#), "add 2, edit 2, request_headers 1, set_property 1", 7);
}

/// One of each kind in which a filter does more, or less, than for the plain request above.
#[test]
fn each_kind_of_request_has_its_cost() {
    let (key, user): (Header, Header) = (("x-api-key", b"acme-key-1"), ("x-user-id", b"ann"));
    let refusing = LIMIT.replace("\"requests\": 100", "\"requests\": 1");
    let beta: Header = ("x-beta", b"1");
    let in_flight = r#"{"metrics": [{"name": "in_flight", "type": "gauge", "value": "in_flight"}]}"#;
    let by_header =
        r#"{"metrics": [{"name": "m", "type": "counter", "labels": {"tenant": {"header": "x-user-id"}}}]}"#;
    let spans = r#"{"trace": {"otlp": {"cluster": "c"}, "batch": {"every": "1h"}}}"#;
    let logs = r#"{"access_log": [{"to": {"otlp": {"cluster": "c"}}, "batch": {"every": "1h"}}]}"#;
    let unsampled = r#"{"access_log": [{"to": {"otlp": {"cluster": "c"}}, "when": {"status": [500]}}]}"#;
    same("auth, refused", of::<Auth>(AUTH, &[user]), "add 2, reply 1, request_headers 1", 12);
    same(
        "rate-limit, refused",
        of::<RateLimit>(&refusing, &[user]),
        "add 1, now 1, reply 1, request_headers 1, shared 1",
        7,
    );
    same("rate-limit, no key", of::<RateLimit>(LIMIT, &[key]), "request_headers 1", 0);
    same(
        "header-routing, a rule",
        of::<HeaderRouting>(ROUTING, &[beta]),
        "add 1, clear_route_cache 1, edit 1, request_headers 1, set_property 1",
        3,
    );
    same("telemetry, in flight", of::<Telemetry>(in_flight, &[user]), "", 1);
    same("telemetry, by header", of::<Telemetry>(by_header, &[user]), "request_header 1", 0);
    same(
        "telemetry, spans",
        of::<Telemetry>(spans, &[user]),
        "add 1, edit 1, property 16, request_headers 2, response_status 1",
        39,
    );
    same(
        "telemetry, logs",
        of::<Telemetry>(logs, &[user]),
        "add 1, property 14, request_headers 1, response_status 1",
        26,
    );
    same("telemetry, a log that is not written", of::<Telemetry>(unsampled, &[user]), "response_status 1", 0);
}
