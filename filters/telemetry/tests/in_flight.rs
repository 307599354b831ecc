//! Requests under way, on a fake host: right in the end whatever became of them.

use std::rc::Rc;
use std::time::Duration;

use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{FakeHost, Worker, worker, worker_on};

const IN_FLIGHT: &str = r#"{"metrics": [{"name": "in_flight", "type": "gauge", "value": "in_flight"}]}"#;
const BY_METHOD: &str = r#"{"metrics": [{"name": "in_flight", "type": "gauge", "value": "in_flight",
    "labels": {"method": "method", "tenant": {"header": "x-tenant", "allow": ["acme"]}},
    "when": {"paths": [{"prefix": "/api"}]}}]}"#;

/// Ticks a second apart.
fn tick(worker: &Worker<Telemetry>, seconds: u64) {
    for _ in 0..seconds {
        worker.host().advance(Duration::from_secs(1));
        worker.tick();
    }
}

#[test]
fn a_gauge_shows_what_is_under_way() {
    let worker = worker::<Telemetry>(IN_FLIGHT);
    let (_, first) = worker.send("GET", "/", &[]);
    let (_, second) = worker.send("GET", "/", &[]);
    tick(&worker, 1);
    assert_eq!(worker.host().metric("in_flight"), 2);
    first.end(Some(200), Duration::ZERO);
    tick(&worker, 3_600);
    assert_eq!(worker.host().metric("in_flight"), 1, "a stream of an hour is under way still");
    // Reset before a response: it has ended all the same.
    second.end(None, Duration::from_secs(3_600));
    tick(&worker, 1);
    assert_eq!(worker.host().metric("in_flight"), 0);
}

#[test]
fn a_request_leaves_the_series_that_it_entered() {
    let worker = worker::<Telemetry>(BY_METHOD);
    let (_, exchange) = worker.send("GET", "/api/x", &[("x-tenant", b"acme")]);
    let (_, other) = worker.send("GET", "/static", &[("x-tenant", b"acme")]);
    tick(&worker, 1);
    assert_eq!(worker.host().metric("method=.=GET;.;tenant=.=acme;.;in_flight"), 1);
    // Filters behind have edited the request in the meantime.
    worker.host().fail("request_headers", tidegate_filter_api::HostError::InternalFailure);
    exchange.end(Some(200), Duration::ZERO);
    other.end(Some(200), Duration::ZERO);
    tick(&worker, 1);
    assert_eq!(worker.host().metric("method=.=GET;.;tenant=.=acme;.;in_flight"), 0);
    assert_eq!(worker.host().metric_names().iter().filter(|name| name.ends_with("in_flight")).count(), 1);
}

#[test]
fn what_was_never_under_way_here_is_not_taken_out() {
    let worker = worker::<Telemetry>(IN_FLIGHT);
    worker.unseen("GET", "/", &[]).end(Some(403), Duration::ZERO);
    tick(&worker, 1);
    assert_eq!(worker.host().metric("in_flight"), 0);
}

/// A worker that traps: nothing of it is ever heard again.
fn trap(worker: Worker<Telemetry>) {
    drop(worker);
}

#[test]
fn what_a_worker_that_trapped_left_in_a_gauge_is_taken_out() {
    let host = FakeHost::new();
    let (one, other) = (worker_on::<Telemetry>(&host, IN_FLIGHT), worker_on::<Telemetry>(&host, IN_FLIGHT));
    let _stranded = [(); 3].map(|()| one.send("GET", "/", &[]).1);
    let (_, alive) = other.send("GET", "/", &[]);
    tick(&one, 1);
    tick(&other, 1);
    assert_eq!(host.metric("in_flight"), 4);
    trap(one);
    tick(&other, 20);
    assert_eq!(host.metric("in_flight"), 4, "it may come back yet");
    tick(&other, 25);
    assert_eq!(host.metric("in_flight"), 1);
    alive.end(Some(200), Duration::ZERO);
    tick(&other, 60);
    assert_eq!(host.metric("in_flight"), 0);
}

#[test]
fn what_a_trapped_worker_had_not_told_yet_is_nobodys() {
    let host = FakeHost::new();
    let (one, other) = (worker_on::<Telemetry>(&host, IN_FLIGHT), worker_on::<Telemetry>(&host, IN_FLIGHT));
    let _stranded = one.send("GET", "/", &[]);
    trap(one);
    tick(&other, 60);
    assert_eq!(host.metric("in_flight"), 0);
}

#[test]
fn a_worker_that_was_taken_for_dead_puts_its_part_back() {
    let host = FakeHost::new();
    let (one, other) = (worker_on::<Telemetry>(&host, IN_FLIGHT), worker_on::<Telemetry>(&host, IN_FLIGHT));
    let (_, exchange) = one.send("GET", "/", &[]);
    tick(&one, 1);
    // Blocked for a minute, or the clock was set.
    tick(&other, 60);
    assert_eq!(host.metric("in_flight"), 0);
    tick(&one, 10);
    assert_eq!(host.metric("in_flight"), 1);
    exchange.end(Some(200), Duration::ZERO);
    tick(&one, 1);
    assert_eq!(host.metric("in_flight"), 0);
}

#[test]
fn a_new_configuration_of_the_same_plugin_takes_over() {
    let host: Rc<FakeHost> = FakeHost::new();
    let old = worker_on::<Telemetry>(&host, BY_METHOD);
    let _stranded = old.send("GET", "/api", &[("x-tenant", b"acme")]);
    tick(&old, 1);
    assert_eq!(host.metric("method=.=GET;.;tenant=.=acme;.;in_flight"), 1);
    trap(old);
    let new = worker_on::<Telemetry>(&host, IN_FLIGHT);
    tick(&new, 60);
    assert_eq!(host.metric("method=.=GET;.;tenant=.=acme;.;in_flight"), 0);
}

#[test]
fn a_gauge_that_was_put_right_is_not_defined_again() {
    let host: Rc<FakeHost> = FakeHost::new();
    let (one, other) = (worker_on::<Telemetry>(&host, BY_METHOD), worker_on::<Telemetry>(&host, BY_METHOD));
    let name = "method=.=GET;.;tenant=.=acme;.;in_flight";
    let _stranded = one.send("GET", "/api", &[("x-tenant", b"acme")]);
    tick(&one, 1);
    trap(one);
    tick(&other, 60);
    assert_eq!(host.metric(name), 0);
    let (_, exchange) = other.send("GET", "/api", &[("x-tenant", b"acme")]);
    tick(&other, 1);
    assert_eq!(host.metric(name), 1);
    exchange.end(Some(200), Duration::ZERO);
    tick(&other, 1);
    assert_eq!(host.metric(name), 0);
    let defined = host.metric_names().iter().filter(|defined| *defined == name).count();
    assert_eq!(defined, 2, "once by each of the two workers");
}

#[test]
fn shared_data_does_not_grow_with_workers_or_time() {
    let host = FakeHost::new();
    for _ in 0..50 {
        let worker = worker_on::<Telemetry>(&host, IN_FLIGHT);
        let _stranded = worker.send("GET", "/", &[]);
        tick(&worker, 40);
        trap(worker);
    }
    let (keys, bytes) = host.shared_size();
    assert!(keys <= 6 && bytes < 4_096, "{keys} keys, {bytes} bytes");
    assert!(host.metric("in_flight") <= 2, "the last ones are not given up yet");
}
