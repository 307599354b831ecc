//! What the filter records, on a fake host.

use std::time::Duration;

use tidegate_filter_api::Property;
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{Worker, refusal, worker};

const SHOP: &str = r#"{"metrics": [
    {"name": "shop_requests_total", "type": "counter",
     "labels": {"route": "route_name", "method": "method", "code": "status_class", "tenant": {"header": "x-tenant", "allow": ["acme"]}}},
    {"name": "shop_latency_milliseconds", "type": "histogram", "value": "duration", "labels": {"route": "route_name"}}]}"#;

fn exchange(worker: &Worker<Telemetry>, method: &str, headers: &[(&str, &[u8])], status: Option<u16>) {
    worker.host().set(Property::ROUTE_NAME, b"stable");
    let (outcome, exchange) = worker.send(method, "/cart?token=secret", headers);
    assert_eq!(outcome.status(), 200);
    exchange.end(status, Duration::from_millis(42));
}

fn total(worker: &Worker<Telemetry>, method: &str, code: &str, tenant: &str) -> i64 {
    worker.host().metric(&format!(
        "code=.={code};.;method=.={method};.;route=.=stable;.;tenant=.={tenant};.;shop_requests_total"
    ))
}

#[test]
fn exchanges_are_counted_by_their_labels() {
    let worker = worker::<Telemetry>(SHOP);
    exchange(&worker, "GET", &[("x-tenant", b"acme")], Some(200));
    exchange(&worker, "GET", &[("x-tenant", b"acme")], Some(204));
    exchange(&worker, "GET", &[("x-tenant", b"evil")], Some(503));
    exchange(&worker, "BREW", &[], None);
    exchange(&worker, "GET", &[("x-tenant", b"acme"), ("x-tenant", b"acme")], Some(200));
    assert_eq!(total(&worker, "GET", "2xx", "acme"), 2);
    assert_eq!(total(&worker, "GET", "5xx", "other"), 1);
    assert_eq!(total(&worker, "_OTHER", "unknown", "unknown"), 1);
    assert_eq!(total(&worker, "GET", "2xx", "other"), 1, "two values are nobody's");
    assert_eq!(worker.host().metric("route=.=stable;.;shop_latency_milliseconds"), 5 * 42);
    let mut names = worker.host().metric_names();
    let defined = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), defined, "no metric is defined twice");
}

#[test]
fn a_label_value_cannot_forge_a_label() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [{"name": "m", "type": "counter", "labels": {"tenant": {"header": "x-tenant"}}}]}"#,
    );
    exchange(&worker, "GET", &[("x-tenant", b"a;.;code=.=2xx;.;m\n\xff")], Some(200));
    assert_eq!(worker.host().metric("tenant=.=a_._code_._2xx_._m__;.;m"), 1);
}

#[test]
fn any_number_of_values_ends_in_one_overflow_series() {
    let worker = worker::<Telemetry>(
        r#"{"max_series": 10, "metrics": [{"name": "m", "type": "counter", "labels": {"tenant": {"header": "x-tenant"}}}]}"#,
    );
    let before = worker.host().metric_names().len();
    for tenant in 0..1_000 {
        exchange(&worker, "GET", &[("x-tenant", format!("t{tenant}").as_bytes())], Some(200));
    }
    assert_eq!(worker.host().metric_names().len() - before, 11);
    assert_eq!(worker.host().metric("tenant=.=__overflow__;.;m"), 990);
    assert_eq!(worker.host().metric("tenant=.=t3;.;m"), 1);
    assert_eq!(worker.host().metric("tidegate.telemetry.dropped_label_sets"), 990);
}

#[test]
fn a_request_that_never_had_headers_is_counted_too() {
    let worker = worker::<Telemetry>(SHOP);
    let (_, exchange) = worker.send("", "", &[]);
    worker.host().set(Property::ROUTE_NAME, b"");
    exchange.end(Some(400), Duration::ZERO);
    assert_eq!(
        worker.host().metric(
            "code=.=4xx;.;method=.=unknown;.;route=.=unknown;.;tenant=.=unknown;.;shop_requests_total"
        ),
        1
    );
}

#[test]
fn a_bad_configuration_is_refused_with_every_error() {
    assert_eq!(
        refusal::<Telemetry>(
            r#"{"metrics": [{"name": "a-b", "type": "counter"},
                            {"name": "latency_seconds", "type": "histogram", "value": "duration"},
                            {"name": "c", "type": "counter", "value": "duration", "labels": {"p": "path", "x-y": "method", "z": "zone"}}],
                "max_series": 0, "access_log": [{"to": "log", "fields": ["method", "body"]}]}"#
        ),
        "metrics[0].name: expected a metric name of letters, digits and \"_\", found \"a-b\"\n\
         metrics[1].name: expected a name for whole units, such as \"latency_milliseconds\", found \"latency_seconds\"\n\
         metrics[2].value: expected \"value\" on a histogram only, found a counter\n\
         metrics[2].labels.p: expected an attribute with few values (\"path\" has one per request), found \"path\"\n\
         metrics[2].labels.x-y: expected a label named in letters, digits and \"_\", found \"x-y\"\n\
         metrics[2].labels.z: expected one of \"route_name\", \"method\", \"host\", \"path\", \"status\", \"status_class\", \"duration\", \"principal\", found \"zone\"\n\
         max_series: expected an integer from 1 to 100000, found 0\n\
         access_log[0].fields[1]: expected one of \"route_name\", \"method\", \"host\", \"path\", \"status\", \"status_class\", \"duration\", \"principal\", found \"body\""
    );
}
