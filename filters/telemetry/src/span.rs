//! Spans: one for each recorded request.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions for HTTP servers.

use tidegate_filter_api::Host;

use crate::attribute::Attribute;
use crate::config::trace::Trace;
use crate::otlp::{self, Counters, Exporter, Message, Preamble, Signal};
use crate::record;
use crate::trace::Context;
use crate::view::{Value, View};

/// Spans on their way to a collector.
#[derive(Debug)]
pub(crate) struct Spans {
    exporter: Exporter,
}

const ATTRIBUTES: u32 = 9;

impl Spans {
    /// `None`, if no spans are recorded.
    pub(crate) fn new(
        config: &Trace,
        preamble: &Preamble,
        counters: impl FnOnce() -> Counters,
        host: &dyn Host,
    ) -> Option<Self> {
        let (endpoint, queue) = config.to.as_ref()?;
        let exporter = Exporter::new(endpoint, *queue, Signal::Traces, preamble, counters(), host);
        Some(Self { exporter })
    }

    pub(crate) fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// The span of a request that has ended.
    pub(crate) fn write(&self, context: &Context, config: &Trace, view: &View<'_>) -> Vec<u8> {
        let mut span = Message::new();
        span.bytes(1, &context.trace_id);
        span.bytes(2, &context.span_id);
        if let Some(parent) = context.parent {
            span.bytes(4, &parent);
        }
        otlp::text(&mut span, 5, &name(view));
        const SERVER: u64 = 2;
        span.varint(6, SERVER);
        let start = view.start().unwrap_or_default();
        let duration = view.duration().and_then(|duration| u64::try_from(duration.as_nanos()).ok());
        span.fixed64(7, start);
        span.fixed64(8, start.saturating_add(duration.unwrap_or_default()));
        conventional_attributes(config, view, &mut span);
        for (name, value) in record::decisions(view) {
            put(&mut span, &format!("tidegate.{name}"), otlp::Attribute::Text(&value));
        }
        record::attributes(&config.attributes, &config.redact, view, ATTRIBUTES, &mut span);
        // Of a server only its own faults are errors; anything else is left unset.
        if view.status().is_none_or(|status| status >= 500) {
            const ERROR: u64 = 2;
            otlp::nested(&mut span, 15, |status| {
                status.varint(3, ERROR);
            });
        }
        const SAMPLED: u32 = 1;
        span.fixed32(16, SAMPLED);
        span.into_bytes()
    }
}

/// `GET /users/{id}`; without a template the method alone, since a span's name has few values.
fn name(view: &View<'_>) -> Vec<u8> {
    let mut name = match view.attribute(Attribute::Method) {
        Value::Text(method) if *method != *b"_OTHER" => method.into_owned(),
        _ => b"HTTP".to_vec(),
    };
    if let Some(template) = view.template() {
        name.push(b' ');
        name.extend_from_slice(template.as_bytes());
    }
    name
}

fn conventional_attributes(config: &Trace, view: &View<'_>, span: &mut Message) {
    let shown = [
        ("http.request.method", Attribute::Method),
        ("http.response.status_code", Attribute::Status),
        ("url.scheme", Attribute::Scheme),
        ("url.path", Attribute::Path),
        ("server.address", Attribute::Host),
        ("client.address", Attribute::Source),
        ("network.protocol.version", Attribute::ProtocolVersion),
        ("error.type", Attribute::ErrorType),
        ("rpc.grpc.status", Attribute::GrpcStatus),
        ("http.request.body.size", Attribute::RequestBytes),
        ("http.response.body.size", Attribute::ResponseBytes),
        ("envoy.route_name", Attribute::RouteName),
        ("envoy.upstream_cluster", Attribute::UpstreamCluster),
        ("envoy.response_flags", Attribute::ResponseFlags),
    ];
    for (name, attribute) in shown {
        let value = match view.attribute(attribute) {
            Value::Text(path) if attribute == Attribute::Path => {
                Value::Text(config.redact.text(&path).map_or(path, Into::into))
            }
            other => other,
        };
        match value {
            Value::Text(text) => put(span, name, otlp::Attribute::Text(text.get(..2_048).unwrap_or(&text))),
            Value::Number(number) if attribute == Attribute::ErrorType => {
                put(span, name, otlp::Attribute::Text(number.to_string().as_bytes()));
            }
            Value::Number(number) => put(span, name, otlp::Attribute::Number(number)),
            Value::Nothing | Value::Several => {}
        }
    }
    if let Some(template) = view.template() {
        put(span, "http.route", otlp::Attribute::Text(template.as_bytes()));
    }
    let agent = view.request().first("user-agent").filter(|_| !config.redact.hides_header("user-agent"));
    if let Some(agent) = agent {
        let agent = agent.get(..512).unwrap_or(agent);
        let hidden = config.redact.value(agent);
        put(span, "user_agent.original", otlp::Attribute::Text(hidden.as_deref().unwrap_or(agent)));
    }
}

fn put(span: &mut Message, name: &str, value: otlp::Attribute<'_>) {
    otlp::attribute(span, ATTRIBUTES, name, value);
}
