//! A counter with four labels and a histogram with one.
//!
//! There is no Lua case: Lua filters cannot define metrics.

use serde_json::{Value, json};

use super::{load, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

/// The series of the load, under all of its labels.
const SERIES: &str = "code=.=2xx;.;method=.=GET;.;route=.=stable;.;tenant=.=acme;.;bench_requests_total";

pub(super) fn cases() -> Vec<Case> {
    let native = || Setup { access_log: vec![stats_logger()], ..Setup::default() };
    let about = "a counter with four labels, a histogram with one";
    vec![
        checked(Case::new("telemetry", about, load(), || Setup::of(filter())))
            .counted_by(SERIES)
            .native("telemetry/native"),
        checked(Case::new("telemetry/native", "the stats access logger, the same metrics", load(), native))
            .counted_by("bench_requests_total"),
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

pub(super) fn stats_logger() -> Value {
    let tag = |name: &str, format: &str| json!({"name": name, "value_format": format});
    json!({"name": "envoy.access_loggers.stats", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
        "stat_prefix": "bench",
        "counters": [{"value_fixed": 1, "stat": {"name": "bench_requests_total", "tags": [
            tag("route", "%ROUTE_NAME%"),
            tag("method", "%REQUEST_HEADER(:METHOD)%"),
            tag("code", "%RESPONSE_CODE%"),
            tag("tenant", "%REQUEST_HEADER(X-TENANT)%"),
        ]}}],
        "histograms": [{"value_format": "%DURATION%", "unit": "Milliseconds", "stat": {
            "name": "bench_latency_milliseconds", "tags": [tag("route", "%ROUTE_NAME%")],
        }}],
    }})
}
