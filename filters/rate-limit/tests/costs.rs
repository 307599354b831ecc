//! What requests cost, and when it is charged.

use std::time::Duration;

use tidegate_filter_api::HostError;
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Exchange, FakeHost, Outcome, Worker, worker, worker_on};

/// One limit of this key and with these further words.
fn limited(words: &str) -> Worker<RateLimit> {
    worker(&configuration(words))
}

fn configuration(words: &str) -> String {
    format!(r#"{{"limits": [{{"name": "tokens", "key": [{{"header": "x-user-id"}}], {words}}}]}}"#)
}

fn send(worker: &Worker<RateLimit>, headers: &[(&str, &[u8])]) -> (u16, Exchange<RateLimit>) {
    let headers: Vec<_> = headers.iter().copied().chain([("x-user-id", b"ann".as_slice())]).collect();
    let (outcome, exchange) = worker.send("GET", "/", &headers);
    (outcome.status(), exchange)
}

fn status(worker: &Worker<RateLimit>) -> u16 {
    send(worker, &[]).0
}

/// A whole exchange: the status, and what the upstream answered.
fn whole(worker: &Worker<RateLimit>, response: &[(&str, &[u8])], pieces: &[&str]) -> u16 {
    let (status, mut exchange) = send(worker, &[]);
    let mut headers = response.to_vec();
    if headers.iter().all(|(name, _)| *name != ":status") {
        headers.push((":status", b"200"));
    }
    if status == 200 {
        exchange.response(&headers);
        pieces.iter().for_each(|piece| exchange.response_body(piece.as_bytes()));
    }
    exchange.end(Some(status), Duration::ZERO);
    status
}

fn errors(worker: &Worker<RateLimit>) -> i64 {
    worker.host().metric("tidegate.rate_limit.tokens.errors")
}

const UNITS: &str = r#""quotas": [{"units": 10, "per": "10s"}]"#;

#[test]
fn a_fixed_cost_is_taken_at_once() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"fixed": 4}}"#));
    assert_eq!([status(&worker), status(&worker), status(&worker)], [200, 200, 429]);
    worker.host().advance(Duration::from_secs(2));
    assert_eq!(status(&worker), 200, "two were left, two came back");
}

#[test]
fn a_cost_in_a_request_header_is_taken_or_refused_whole() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"request_header": "X-Cost"}}"#));
    let cost = |cost: &[u8]| send(&worker, &[("x-cost", cost)]).0;
    assert_eq!([cost(b"6"), cost(b"5"), cost(b"4")], [200, 429, 200]);
    assert_eq!(cost(b"0"), 200, "what costs nothing passes");
    worker.host().advance(Duration::from_secs(100));
    assert_eq!(errors(&worker), 0);
    for unusable in [&b"-3"[..], b"1.5", b"many", b""] {
        assert_eq!(cost(unusable), 200);
    }
    assert_eq!(status(&worker), 200, "an absent cost");
    assert_eq!(errors(&worker), 5);
    assert_eq!([cost(b"5"), cost(b"1")], [200, 429], "each of them counted as one");
}

#[test]
fn a_cost_beyond_the_burst_is_refused_and_no_time_is_promised() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"request_header": "x-cost"}}"#));
    for huge in [&b"11"[..], b"99999999999999999999999999999999999999999"] {
        let (outcome, _) = worker.send("GET", "/", &[("x-user-id", b"ann"), ("x-cost", huge)]);
        assert_eq!(outcome.status(), 429);
        assert_eq!(outcome.reply_header("retry-after"), None);
    }
    assert_eq!(errors(&worker), 1, "the second is no sensible number");
    assert_eq!(status(&worker), 200, "and it cost nothing");
    let capped =
        limited(&format!(r#"{UNITS}, "cost": {{"request_header": "x-cost", "max": 8, "default": 2}}"#));
    assert_eq!(send(&capped, &[("x-cost", b"500")]).0, 200, "or it is capped");
    assert_eq!([status(&capped), status(&capped)], [200, 429], "and the default is the configuration's");
}

#[test]
fn a_cost_in_a_response_header_is_charged_when_it_is_known_and_may_overdraw() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-tokens-used"}}"#));
    let used = |used: &[u8]| whole(&worker, &[("x-tokens-used", used)], &[]);
    assert_eq!([used(b"4"), used(b"9"), used(b"1")], [200, 200, 429]);
    // Three units of debt; one more must be there.
    worker.host().advance(Duration::from_millis(3_999));
    assert_eq!(used(b"1"), 429);
    worker.host().advance(Duration::from_millis(1));
    assert_eq!(used(b"1"), 200);
    assert_eq!(errors(&worker), 0);
    worker.host().advance(Duration::from_secs(100));
    for unusable in [&b"-1"[..], b"x", b""] {
        assert_eq!(used(unusable), 200);
    }
    assert_eq!(whole(&worker, &[], &[]), 200);
    assert_eq!(errors(&worker), 4, "each counts as nothing, and as an error");
    assert_eq!(used(b"10"), 200);
    assert_eq!(used(b"1"), 429);
}

#[test]
fn a_response_that_lies_about_its_cost_locks_nobody_for_good() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-tokens-used"}}"#));
    assert_eq!(whole(&worker, &[("x-tokens-used", b"999999999999999999999")], &[]), 200);
    assert_eq!(errors(&worker), 1);
    worker.host().advance(Duration::from_secs(100));
    assert_eq!(status(&worker), 429);
    worker.host().advance(Duration::from_secs(1));
    assert_eq!(status(&worker), 200, "ten bursts of debt at most");
}

#[test]
fn requests_and_units_are_counted_side_by_side() {
    let worker = limited(
        r#""quotas": [{"requests": 3, "per": "1m"}, {"units": 100, "per": "1h"}], "cost": {"response_header": "x-used"}"#,
    );
    let used = |used: &[u8]| whole(&worker, &[("x-used", used)], &[]);
    assert_eq!([used(b"10"), used(b"10"), used(b"10"), used(b"10")], [200, 200, 200, 429]);
    worker.host().advance(Duration::from_secs(60));
    assert_eq!([used(b"80"), used(b"1")], [200, 429], "units are used up, requests are not");
}

#[test]
fn only_what_the_status_says_counts() {
    let worker =
        limited(r#""quotas": [{"requests": 2, "per": "10s"}], "count_when": {"status": [401, "5xx"]}"#);
    let answered = |status: &[u8]| whole(&worker, &[(":status", status)], &[]);
    assert_eq!([answered(b"200"), answered(b"404"), answered(b"200")], [200; 3]);
    assert_eq!([answered(b"401"), answered(b"503"), answered(b"200")], [200, 200, 429]);
    assert_eq!(answered(b"401"), 429, "a refused request is not counted again");
    worker.host().advance(Duration::from_secs(5));
    assert_eq!(answered(b"200"), 200);
    // A request whose response never came.
    let (status, exchange) = send(&worker, &[]);
    assert_eq!(status, 200);
    exchange.end(None, Duration::ZERO);
    assert_eq!(answered(b"401"), 200);
    assert_eq!(answered(b"200"), 429);
}

#[test]
fn what_a_refusal_by_another_limit_cost_is_not_charged_late() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [
            {"name": "failures", "quotas": [{"requests": 2, "per": "1h"}], "count_when": {"status": [429]}},
            {"name": "all", "quotas": [{"requests": 1, "per": "1s"}]}]}"#,
    );
    for expected in [200, 429, 429, 429, 429] {
        let (outcome, mut exchange) = worker.send("GET", "/", &[]);
        assert_eq!(outcome.status(), expected);
        exchange.response(&[(":status", expected.to_string().as_bytes())]);
        exchange.end(Some(expected), Duration::ZERO);
    }
    worker.host().advance(Duration::from_secs(1));
    assert_eq!(worker.get("/", &[]).status(), 200, "our own refusals are no failures of the caller");
}

const JSON: &[(&str, &[u8])] = &[("content-type", b"application/json")];
const STREAM: &[(&str, &[u8])] = &[("content-type", b"text/event-stream")];

#[test]
fn a_cost_is_read_from_a_body_that_passes() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"json_field": "usage.total_tokens"}}"#));
    assert_eq!(whole(&worker, JSON, &["{\"usage\": {\"total_to", "kens\": 1", "0}}"]), 200);
    assert_eq!(status(&worker), 429);
    worker.host().advance(Duration::from_secs(10));
    let events =
        ["data: {\"usage\": null}\n\n", "data: {\"usage\": {\"total_tokens\": 4}}\n", "\ndata: [DONE]\n\n"];
    assert_eq!(whole(&worker, STREAM, &events), 200);
    assert_eq!(whole(&worker, STREAM, &events), 200);
    assert_eq!(whole(&worker, STREAM, &["data: {\"usage\": {\"total_tokens\": 2}}\n\n"]), 200);
    assert_eq!(status(&worker), 429);
    assert_eq!(errors(&worker), 0);
}

/// Else whoever takes compressed answers would pay nothing for them.
#[test]
fn upstreams_are_asked_for_bodies_that_can_be_read() {
    let encodings = |cost: &str, headers: &[(&str, &[u8])]| {
        let worker = limited(&format!(r#"{UNITS}, "cost": {{{cost}}}"#));
        let (outcome, _) = worker.send("GET", "/", headers);
        outcome.upstream("accept-encoding").iter().map(|value| value.to_vec()).collect::<Vec<_>>()
    };
    let zipped: &[(&str, &[u8])] =
        &[("x-user-id", b"ann"), ("accept-encoding", b"gzip"), ("accept-encoding", b"br")];
    assert_eq!(encodings(r#""json_field": "used""#, zipped), [b"identity"]);
    assert_eq!(
        encodings(r#""json_field": "used""#, &zipped[..1]),
        [b""; 0],
        "who asks for none is left alone"
    );
    assert_eq!(
        encodings(r#""json_field": "used""#, &zipped[1..]),
        [b"gzip".as_slice(), b"br"],
        "and who is not limited"
    );
    assert_eq!(encodings(r#""response_header": "x-used""#, zipped), [b"gzip".as_slice(), b"br"]);
}

#[test]
fn a_body_without_a_cost_costs_the_default_and_is_an_error() {
    let worker =
        limited(&format!(r#"{UNITS}, "cost": {{"json_field": ["usage.in", "usage.out"], "default": 3}}"#));
    let zipped = [("content-type", b"application/json".as_slice()), ("content-encoding", b"gzip")];
    let html = [("content-type", b"text/html".as_slice())];
    assert_eq!(whole(&worker, JSON, &["{}"]), 200);
    assert_eq!(whole(&worker, &zipped, &["{\"usage\": {\"in\": 1}}"]), 200);
    assert_eq!(whole(&worker, &html, &["<html>"]), 200);
    assert_eq!(errors(&worker), 3);
    assert_eq!(whole(&worker, JSON, &["{\"usage\": {\"in\": 1, \"out\": 1}}"]), 200);
    assert_eq!(status(&worker), 429, "3 + 3 + 3 + 2");
    assert_eq!(errors(&worker), 3);
}

#[test]
fn a_stream_that_is_cut_off_costs_what_was_seen_of_it() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"json_field": "usage.total_tokens"}}"#));
    let (_, mut exchange) = send(&worker, &[]);
    exchange.response(&[(":status", b"200"), ("content-type", b"text/event-stream")]);
    exchange.response_body(b"data: {\"usage\": {\"total_tokens\": 10}}\n\ndata: {\"usage\": {\"tot");
    exchange.end(None, Duration::ZERO);
    assert_eq!(status(&worker), 429);
}

/// Whoever leaves before a response is there has had the work done all the same.
#[test]
fn a_request_without_a_response_costs_the_default_and_is_an_error() {
    for cost in [r#""response_header": "x-used""#, r#""json_field": "used""#] {
        let worker = limited(&format!(r#"{UNITS}, "cost": {{{cost}, "default": 5}}"#));
        for expected in [200, 200, 429] {
            let (status, exchange) = send(&worker, &[]);
            assert_eq!(status, expected, "{cost}");
            exchange.end(None, Duration::ZERO);
        }
        assert_eq!(errors(&worker), 2, "the refused one cost nothing");
    }
    let silent = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-used"}}"#));
    send(&silent, &[]).1.end(None, Duration::ZERO);
    assert_eq!((errors(&silent), silent.host().shared_size().0), (1, 1), "by default that is nothing");
}

/// As where the host does not give a response's headers.
#[test]
fn a_response_without_headers_costs_the_default_and_is_an_error() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-used", "default": 10}}"#));
    send(&worker, &[]).1.response(&[]);
    assert_eq!((status(&worker), errors(&worker)), (429, 1));
    let failures = limited(r#""quotas": [{"requests": 1, "per": "10s"}], "count_when": {"status": [401]}"#);
    send(&failures, &[]).1.response(&[]);
    assert_eq!(status(&failures), 200, "whether it failed nobody knows");
}

#[test]
fn a_charge_that_cannot_be_stored_is_counted() {
    let host = FakeHost::new();
    let worker = worker_on::<RateLimit>(
        &host,
        &configuration(&format!(r#"{UNITS}, "cost": {{"response_header": "x-used"}}"#)),
    );
    let (_, mut exchange) = send(&worker, &[]);
    host.fail("set_shared", HostError::InternalFailure);
    exchange.response(&[(":status", b"200"), ("x-used", b"10")]);
    host.heal();
    assert_eq!(errors(&worker), 1);
    assert_eq!(status(&worker), 200, "nothing was taken");
}

#[test]
fn shadow_limits_charge_late_costs_too() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-used"}}, "mode": "shadow""#));
    assert_eq!(whole(&worker, &[("x-used", b"10")], &[]), 200);
    assert_eq!(status(&worker), 200);
    assert_eq!(worker.host().metric("tidegate.rate_limit.tokens.shadow_denied"), 1);
}

#[test]
fn late_costs_cost_nothing_more_than_a_look_when_nothing_is_left() {
    let worker = limited(&format!(r#"{UNITS}, "cost": {{"response_header": "x-used"}}"#));
    assert_eq!(whole(&worker, &[("x-used", b"0")], &[]), 200);
    let (keys, _) = worker.host().shared_size();
    assert_eq!(keys, 1, "the seed alone: a request that cost nothing left nothing");
    assert!(matches!(worker.send("GET", "/", &[]).0, Outcome::Passed(_)));
}
