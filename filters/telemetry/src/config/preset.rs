//! Ready-made metrics: OpenTelemetry's semantic conventions for HTTP servers.
//!
//! By OTLP they are what the conventions say, names, attributes and units. By Envoy their names are what OpenTelemetry's
//! own exporter to Prometheus makes of them, but for one thing: durations are whole milliseconds, and say so.

use tidegate_filter_api::MetricKind;

use super::label::{Label, insert};
use super::metric::{Metric, Surroundings, Unit, Value, default_buckets};
use crate::attribute::Attribute;
use crate::source::Source;

const EXCHANGE: [(&str, Attribute); 5] = [
    ("error.type", Attribute::ErrorType),
    ("http.request.method", Attribute::Method),
    ("http.response.status_code", Attribute::Status),
    ("network.protocol.version", Attribute::ProtocolVersion),
    ("url.scheme", Attribute::Scheme),
];
const ARRIVAL: [(&str, Attribute); 2] =
    [("http.request.method", Attribute::Method), ("url.scheme", Attribute::Scheme)];

/// `preset: otel_http`
pub(crate) fn otel_http(around: Surroundings) -> Vec<Metric> {
    let name = |name: &str, unit: &str| match around.otlp {
        true => name.to_owned(),
        false => format!("{}{unit}", name.replace('.', "_")),
    };
    let labels = |attributes: &[(&str, Attribute)], route: bool| {
        let mut labels = Vec::new();
        let mut add = |label: &str, attribute| {
            let source = Source::Attribute(attribute);
            // What an exchange does not have is left out, as the conventions say.
            insert(&mut labels, Label { name: name(label, ""), source, allow: Vec::new(), optional: true });
        };
        for (label, attribute) in attributes {
            add(label, *attribute);
        }
        if route && around.templates {
            add("http.route", Attribute::PathTemplate);
        }
        labels
    };
    let histogram = |name, value: Value| Metric {
        name,
        kind: MetricKind::Histogram,
        buckets: default_buckets(&value),
        value,
        labels: labels(&EXCHANGE, true),
        when: None,
    };
    let unit = if around.otlp { Unit::Seconds } else { Unit::Milliseconds };
    vec![
        histogram(name("http.server.request.duration", "_milliseconds"), Value::Duration(unit)),
        histogram(name("http.server.request.body.size", "_bytes"), Value::RequestBytes),
        histogram(name("http.server.response.body.size", "_bytes"), Value::ResponseBytes),
        Metric {
            name: name("http.server.active_requests", ""),
            kind: MetricKind::Gauge,
            value: Value::InFlight,
            labels: labels(&ARRIVAL, false),
            when: None,
            buckets: Vec::new(),
        },
    ]
}
