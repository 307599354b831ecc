//! Metrics that go to a collector instead of Envoy: exact seconds, cumulative sums.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so at once")]

#[cfg(test)]
mod common;

use std::time::Duration;

use common::{answer, attributes, call, calls, messages, number, records, tick};
use tidegate_protobuf::{Value, fields};
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{Worker, worker};

const METRICS: &str = r#"{"metrics_to": {"otlp": {"cluster": "collector"}, "every": "5s"}, "metrics": [
    {"name": "shop.requests", "type": "counter", "labels": {"code": "status_class"}},
    {"name": "shop_latency_seconds", "type": "histogram", "value": "duration", "buckets": [0.01, 0.1]},
    {"name": "shop.in_flight", "type": "gauge", "value": "in_flight"},
    {"name": "shop.depth", "type": "gauge", "value": {"header": "x-depth"}}]}"#;

fn exchange(worker: &Worker<Telemetry>, milliseconds: u64, status: u16) {
    let (_, exchange) = worker.send("GET", "/", &[("x-depth", b"9")]);
    exchange.end(Some(status), Duration::from_millis(milliseconds));
}

fn metric(call: &tidegate_filter_api::HttpCall, name: &str) -> Vec<u8> {
    let all = records(call);
    let found = all.iter().find(|metric| messages(metric, 1) == [name.as_bytes()]);
    found.unwrap_or_else(|| panic!("no {name}")).clone()
}

fn double(message: &[u8], number: u32) -> f64 {
    f64::from_bits(common::number(message, number).unwrap())
}

#[test]
fn everything_ever_recorded_is_sent_at_intervals() {
    let worker = worker::<Telemetry>(METRICS);
    let began = worker.host().metric_names();
    tick(&worker, 1);
    for (milliseconds, status) in [(5, 200), (10, 200), (42, 200), (500, 503)] {
        exchange(&worker, milliseconds, status);
    }
    let (_, open) = worker.send("GET", "/", &[]);
    tick(&worker, 5);
    assert_eq!(calls(&worker), 1);
    let sent = call(&worker, 1);
    assert!(sent.headers.contains(&(":path".to_owned(), b"/v1/metrics".to_vec())));

    let requests = messages(&metric(&sent, "shop.requests"), 7).remove(0);
    assert_eq!((number(&requests, 2), number(&requests, 3)), (Some(2), Some(1)), "cumulative, rising");
    let points = messages(&requests, 1);
    let counts: Vec<_> = points
        .iter()
        .map(|point| (attributes(point, 7)["code"].clone(), number(point, 6).unwrap()))
        .collect();
    assert_eq!(counts, [("2xx".to_owned(), 3), ("5xx".to_owned(), 1)]);

    let latency = metric(&sent, "shop_latency_seconds");
    assert_eq!(messages(&latency, 3), [b"s"]);
    let point = messages(&messages(&latency, 9).remove(0), 1).remove(0);
    assert_eq!(number(&point, 4), Some(4));
    assert!((double(&point, 5) - 0.557).abs() < 1e-9, "exact");
    assert!((double(&point, 11) - 0.005).abs() < 1e-9 && (double(&point, 12) - 0.5).abs() < 1e-9);
    let buckets: Vec<u64> =
        messages(&point, 6)[0].as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n)).collect();
    assert_eq!(buckets, [2, 1, 1], "a bound belongs to the bucket below");

    let in_flight = messages(&metric(&sent, "shop.in_flight"), 7).remove(0);
    assert_eq!(number(&in_flight, 3), Some(0), "goes up and down");
    assert_eq!(number(&messages(&in_flight, 1)[0], 6), Some(1));
    let depth = messages(&metric(&sent, "shop.depth"), 5).remove(0);
    assert_eq!(number(&messages(&depth, 1)[0], 6), Some(9));
    // Envoy keeps nothing but what the filter says of itself.
    assert_eq!(worker.host().metric_names(), began);

    answer(&worker, 200, &[], b"");
    exchange(&worker, 1, 200);
    open.end(Some(200), Duration::ZERO);
    tick(&worker, 5);
    let again = call(&worker, 2);
    let points = messages(&messages(&metric(&again, "shop.requests"), 7).remove(0), 1);
    assert_eq!(number(&points[0], 6), Some(5), "sums go on");
    let in_flight = messages(&messages(&metric(&again, "shop.in_flight"), 7).remove(0), 1);
    assert_eq!(number(&in_flight[0], 6), Some(0));
    assert_eq!(number(&points[0], 2), number(&in_flight[0], 2), "from one beginning");
}

#[test]
fn a_message_that_is_lost_is_made_good_by_the_next() {
    let worker = worker::<Telemetry>(METRICS);
    exchange(&worker, 1, 200);
    tick(&worker, 6);
    answer(&worker, 503, &[], b"");
    exchange(&worker, 1, 200);
    tick(&worker, 6);
    let points = messages(&messages(&metric(&call(&worker, 2), "shop.requests"), 7).remove(0), 1);
    assert_eq!(number(&points[0], 6), Some(2));
    answer(&worker, 400, &[], b"");
    assert!(worker.host().metric("tidegate.telemetry.dropped_data_points") > 0);
}

#[test]
fn the_preset_has_the_names_and_units_of_the_conventions() {
    let worker = worker::<Telemetry>(
        r#"{"metrics_to": {"otlp": {"cluster": "collector"}}, "preset": "otel_http", "path_templates": ["/users/{id}"]}"#,
    );
    worker.host().set(tidegate_filter_api::Property::REQUEST_SIZE, &7_i64.to_le_bytes());
    let (_, exchange) = worker.send("GET", "/users/1", &[(":scheme", b"http")]);
    exchange.end(Some(200), Duration::from_millis(3));
    tick(&worker, 11);
    let sent = call(&worker, 1);
    let units: Vec<(String, String)> = records(&sent)
        .iter()
        .map(|metric| {
            let text = |number| String::from_utf8(messages(metric, number).remove(0)).unwrap();
            (text(1), text(3))
        })
        .collect();
    let expected = [
        ("http.server.request.duration", "s"),
        ("http.server.request.body.size", "By"),
        ("http.server.active_requests", "{request}"),
    ];
    assert_eq!(units, expected.map(|(name, unit)| (name.to_owned(), unit.to_owned())));
    let duration = messages(&metric(&sent, "http.server.request.duration"), 9).remove(0);
    let point = messages(&duration, 1).remove(0);
    let labels: Vec<(String, String)> = attributes(&point, 9).into_iter().collect();
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/users/{id}"),
        ("url.scheme", "http"),
    ];
    assert_eq!(labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let bounds = messages(&point, 7).remove(0);
    let first = bounds.as_chunks::<8>().0[0];
    assert_eq!(f64::from_le_bytes(first), 0.005, "the conventions' buckets");
    let all_are_known =
        fields(&point).all(|field| matches!(field, Ok((2..=12, Value::Fixed64(_) | Value::Bytes(_)))));
    assert!(all_are_known);
}
