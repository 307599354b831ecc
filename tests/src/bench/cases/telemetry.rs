//! Metrics, access logs and traces, beside Envoy's own.
//!
//! There is no Lua case: Lua filters cannot define metrics.

use serde_json::{Value, json};

use super::{load, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

/// The series of the load, under all of its labels.
const SERIES: &str = "code=.=2xx;.;method=.=GET;.;route=.=stable;.;tenant=.=acme;.;bench_requests_total";

/// What shows that the filter is in the way of requests whose logs are not looked at.
const COUNTED: &str = "logged_requests_total";

pub(super) fn cases() -> Vec<Case> {
    let about = "a counter with four labels, a histogram with one";
    let of = |name: &str, about: &str, configuration: fn() -> Value| {
        Case::new(name, about, load(), move || Setup::of(HttpFilter::Module("telemetry", configuration())))
    };
    let native = |name: &str, about: &str, loggers: fn() -> Vec<Value>| {
        Case::new(name, about, load(), move || Setup { access_log: loggers(), ..Setup::default() })
    };
    let counted = |case: Case| {
        case.check("a request is counted", request(), Expected::Counted(COUNTED)).counted_by(COUNTED)
    };
    vec![
        checked(of("telemetry", about, configuration)).counted_by(SERIES).native("telemetry/native"),
        checked(native("telemetry/native", "the stats access logger, the same metrics", || {
            vec![stats_logger()]
        }))
        .counted_by("bench_requests_total"),
        of("telemetry/two", "a counter by class of status, and durations", two)
            .check("a request is counted", request(), Expected::Counted("bench_requests_total"))
            .counted_by("code=.=2xx;.;bench_requests_total"),
        of("telemetry/ten", "ten metrics with five labels each", ten)
            .check("a request is counted", request(), Expected::Counted("bench_0_total"))
            .counted_by("bench_0_total")
            .native("telemetry/ten-native"),
        native("telemetry/ten-native", "the stats access logger, ten metrics with five labels", || {
            vec![ten_native()]
        })
        .check("a request is counted", request(), Expected::Counted("bench_0_total"))
        .counted_by("bench_0_total"),
        counted(of("telemetry/log-off", "a JSON log of failures, of which there are none", || {
            logging(&json!({"status": {"gte": 500}}))
        })),
        counted(of("telemetry/log-sampled", "a JSON log of one request in a hundred", || {
            logging(&json!({"sample": 0.01}))
        })),
        counted(of("telemetry/log", "a JSON log of every request", || {
            logging(&json!({"status": {"gte": 100}}))
        }))
        .native("telemetry/log-native"),
        native("telemetry/log-native", "the file access logger, the same JSON log", || {
            vec![stats_of_logged(), file_logger()]
        })
        .check("a request is counted", request(), Expected::Counted(COUNTED))
        .counted_by(COUNTED),
        of("telemetry/trace", "a trace context for every request, no spans", || json!({"trace": {}})).check(
            "the context goes on",
            super::super::load::Request::to(crate::bench::case::ECHO)
                .with("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            Expected::Upstream(
                "traceparent",
                Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ),
        ),
    ]
}

/// What was sent is counted, under the label that it has.
pub(super) fn checked(case: Case) -> Case {
    case.check("a request is counted", request(), Expected::Counted("bench_requests_total")).check(
        "another tenant is not acme",
        request().with("x-tenant", "globex"),
        Expected::Counted("globex"),
    )
}

pub(super) fn filter() -> HttpFilter {
    HttpFilter::Module("telemetry", configuration())
}

pub(super) fn configuration() -> Value {
    json!({"metrics": [
        {"name": "bench_requests_total", "type": "counter", "labels": {
            "route": "route_name", "method": "method", "code": "status_class",
            "tenant": {"header": "x-tenant", "allow": ["acme", "globex"]},
        }},
        {"name": "bench_latency_milliseconds", "type": "histogram", "value": "duration",
            "labels": {"route": "route_name"}},
    ]})
}

fn two() -> Value {
    json!({"metrics": [
        {"name": "bench_requests_total", "type": "counter", "labels": {"code": "status_class"}},
        {"name": "bench_latency_milliseconds", "type": "histogram", "value": "duration"},
    ]})
}

/// Labels that the native logger can have too.
fn ten() -> Value {
    let labels = json!({
        "route": "route_name", "cluster": "upstream_cluster", "method": "method", "code": "status",
        "tenant": {"header": "x-tenant", "allow": ["acme", "globex"]},
    });
    let counter =
        |index: u32| json!({"name": format!("bench_{index}_total"), "type": "counter", "labels": labels});
    let histogram = |index: u32, value: &str| json!({"name": format!("bench_{index}"), "type": "histogram", "value": value, "labels": labels});
    let mut metrics: Vec<Value> = (0..7).map(counter).collect();
    metrics.push(histogram(7, "duration"));
    metrics.push(histogram(8, "request_bytes"));
    metrics.push(histogram(9, "response_bytes"));
    json!({"metrics": metrics})
}

fn logging(when: &Value) -> Value {
    json!({
        "metrics": [{"name": COUNTED, "type": "counter"}],
        "access_log": [{"when": when, "to": "log", "fields": FIELDS.map(|(field, _)| field)}],
    })
}

/// Fields that both logs have.
const FIELDS: [(&str, &str); 8] = [
    ("time", "%START_TIME%"),
    ("method", "%REQUEST_HEADER(:METHOD)%"),
    ("host", "%REQUEST_HEADER(:AUTHORITY)%"),
    ("path", "%PATH(NQ)%"),
    ("status", "%RESPONSE_CODE%"),
    ("duration", "%DURATION%"),
    ("response_bytes", "%BYTES_SENT%"),
    ("route_name", "%ROUTE_NAME%"),
];

fn file_logger() -> Value {
    let format: serde_json::Map<String, Value> =
        FIELDS.iter().map(|(name, format)| ((*name).to_owned(), json!(format))).collect();
    json!({"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/null",
        "log_format": {"json_format": format},
    }})
}

pub(super) fn stats_logger() -> Value {
    let tags = [
        tag("route", "%ROUTE_NAME%"),
        tag("method", "%REQUEST_HEADER(:METHOD)%"),
        tag("code", "%RESPONSE_CODE%"),
        tag("tenant", "%REQUEST_HEADER(X-TENANT)%"),
    ];
    stats(
        &[counter("bench_requests_total", &tags)],
        &[histogram("bench_latency_milliseconds", "%DURATION%", &[tag("route", "%ROUTE_NAME%")])],
    )
}

fn stats_of_logged() -> Value {
    stats(&[counter(COUNTED, &[])], &[])
}

fn ten_native() -> Value {
    let tags = [
        tag("route", "%ROUTE_NAME%"),
        tag("cluster", "%UPSTREAM_CLUSTER%"),
        tag("method", "%REQUEST_HEADER(:METHOD)%"),
        tag("code", "%RESPONSE_CODE%"),
        tag("tenant", "%REQUEST_HEADER(X-TENANT)%"),
    ];
    let counters: Vec<Value> = (0..7).map(|index| counter(&format!("bench_{index}_total"), &tags)).collect();
    let formats = [(7, "%DURATION%"), (8, "%BYTES_RECEIVED%"), (9, "%BYTES_SENT%")];
    let histograms = formats.map(|(index, format)| histogram(&format!("bench_{index}"), format, &tags));
    stats(&counters, &histograms)
}

fn stats(counters: &[Value], histograms: &[Value]) -> Value {
    json!({"name": "envoy.access_loggers.stats", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
        "stat_prefix": "bench",
        "counters": counters,
        "histograms": histograms,
    }})
}

fn tag(name: &str, format: &str) -> Value {
    json!({"name": name, "value_format": format})
}

fn counter(name: &str, tags: &[Value]) -> Value {
    json!({"value_fixed": 1, "stat": {"name": name, "tags": tags}})
}

fn histogram(name: &str, format: &str, tags: &[Value]) -> Value {
    json!({"value_format": format, "unit": "Unspecified", "stat": {"name": name, "tags": tags}})
}
