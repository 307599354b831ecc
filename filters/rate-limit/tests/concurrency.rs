//! How many requests of a key may be under way.

use std::rc::Rc;
use std::time::Duration;

use tidegate_filter_api::HostError;
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Exchange, FakeHost, Worker, worker_on};

const EXPORTS: &str = r#"{"limits": [{"name": "exports", "key": [{"header": "x-tenant"}], "on_missing": "deny",
    "concurrency": {"max": 2, "expire": "1m"}}]}"#;

fn begin(worker: &Worker<RateLimit>, tenant: &[u8]) -> (u16, Exchange<RateLimit>) {
    let (outcome, exchange) = worker.send("GET", "/export", &[("x-tenant", tenant)]);
    (outcome.status(), exchange)
}

fn two_workers() -> (Rc<FakeHost>, Worker<RateLimit>, Worker<RateLimit>) {
    let host = FakeHost::new();
    let (one, two) = (worker_on(&host, EXPORTS), worker_on(&host, EXPORTS));
    (host, one, two)
}

#[test]
fn no_more_than_so_many_are_under_way_over_all_workers() {
    let (host, one, two) = two_workers();
    let (first, second) = (begin(&one, b"a"), begin(&two, b"a"));
    assert_eq!((first.0, second.0), (200, 200));
    let third = begin(&one, b"a");
    assert_eq!(third.0, 429);
    assert_eq!(begin(&one, b"b").0, 200, "each key has its own");
    third.1.end(Some(429), Duration::ZERO);
    assert_eq!(begin(&two, b"a").0, 429, "a refused request gives nothing back");
    first.1.end(Some(200), Duration::ZERO);
    assert_eq!(begin(&two, b"a").0, 200);
    assert_eq!(host.metric("tidegate.rate_limit.exports.denied"), 2);
}

#[test]
fn what_has_no_response_is_given_back_too() {
    let (_, one, _) = two_workers();
    for _ in 0..10 {
        let (status, exchange) = begin(&one, b"a");
        assert_eq!(status, 200);
        exchange.end(None, Duration::ZERO);
    }
}

#[test]
fn streams_that_are_lost_with_their_worker_expire() {
    let (host, one, two) = two_workers();
    // A virtual machine that traps takes its streams with it: no end is ever told.
    drop((begin(&one, b"a"), begin(&one, b"a")));
    assert_eq!(begin(&two, b"a").0, 429);
    host.advance(Duration::from_secs(60));
    assert_eq!(begin(&two, b"a").0, 429, "an expiry is never early");
    host.advance(Duration::from_secs(15));
    assert_eq!(begin(&two, b"a").0, 200, "and late by a quarter at most");
}

#[test]
fn what_ends_after_it_has_expired_takes_nobody_elses_place() {
    let (host, one, two) = two_workers();
    let slow = begin(&one, b"a");
    host.advance(Duration::from_secs(75));
    let (first, second) = (begin(&two, b"a"), begin(&two, b"a"));
    assert_eq!((first.0, second.0), (200, 200));
    slow.1.end(Some(200), Duration::from_secs(75));
    assert_eq!(begin(&two, b"a").0, 429);
}

#[test]
fn a_request_that_a_later_limit_refuses_gives_its_place_back() {
    let host = FakeHost::new();
    let worker = worker_on::<RateLimit>(
        &host,
        r#"{"limits": [{"name": "one", "concurrency": {"max": 1, "expire": "1m"}},
                       {"name": "few", "quotas": [{"requests": 1, "per": "1s"}]}]}"#,
    );
    let statuses = [200, 429, 429].map(|_| {
        let (outcome, exchange) = worker.send("GET", "/", &[]);
        let status = outcome.status();
        exchange.end(Some(status), Duration::ZERO);
        status
    });
    assert_eq!(statuses, [200, 429, 429]);
    assert_eq!(host.metric("tidegate.rate_limit.one.denied"), 0);
    assert_eq!(host.metric("tidegate.rate_limit.few.denied"), 2);
}

#[test]
fn quotas_and_concurrency_of_one_limit_are_one_decision() {
    let host = FakeHost::new();
    let worker = worker_on::<RateLimit>(
        &host,
        r#"{"limits": [{"name": "both", "quotas": [{"requests": 2, "per": "1h"}], "concurrency": {"max": 1, "expire": "1m"}}]}"#,
    );
    let (outcome, first) = worker.send("GET", "/", &[]);
    assert_eq!(outcome.status(), 200);
    for _ in 0..5 {
        assert_eq!(worker.get("/", &[]).status(), 429, "too many at once, which costs the quota nothing");
    }
    first.end(Some(200), Duration::ZERO);
    assert_eq!(worker.get("/", &[]).status(), 200);
}

#[test]
fn a_place_that_cannot_be_given_back_is_counted_and_expires() {
    let (host, one, _) = two_workers();
    let (first, second) = (begin(&one, b"a"), begin(&one, b"a"));
    host.fail("set_shared", HostError::CasMismatch);
    first.1.end(Some(200), Duration::ZERO);
    host.heal();
    assert_eq!(host.metric("tidegate.rate_limit.exports.errors"), 1);
    assert_eq!(begin(&one, b"a").0, 429);
    second.1.end(Some(200), Duration::ZERO);
    assert_eq!(begin(&one, b"a").0, 200);
}

#[test]
fn an_unchanged_limit_knows_after_a_reload_what_is_under_way() {
    let (host, one, _) = two_workers();
    let running = (begin(&one, b"a"), begin(&one, b"a"));
    let reloaded = worker_on::<RateLimit>(
        &host,
        &EXPORTS.replace("{\"limits\"", "{\"on_error\": \"allow\", \"limits\""),
    );
    assert_eq!(begin(&reloaded, b"a").0, 429);
    running.0.1.end(Some(200), Duration::ZERO);
    assert_eq!(begin(&reloaded, b"a").0, 200);
}
