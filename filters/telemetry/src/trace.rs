//! Trace contexts: read from a request, decided on, and written for those that come next.

mod b3;
mod baggage;
mod context;
mod hex;
mod w3c;

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Headers};

pub(crate) use baggage::is_token;
pub(crate) use context::{Context, Sampling};
pub(crate) use hex::{text as hex_text, write as write_hex};

use crate::config::trace::Trace;
use crate::ids::Ids;
use context::{Incoming, Parent};

/// A way to write a trace context into headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `traceparent`, `tracestate`, `baggage`.
    W3c,
    /// `b3`.
    B3,
    /// `x-b3-traceid` and its companions.
    B3Multi,
}

impl Format {
    fn read(self, headers: &Headers) -> Incoming {
        match self {
            Self::W3c => w3c::read(headers),
            // Who writes one form of B3 reads both.
            Self::B3 | Self::B3Multi => b3::read(headers),
        }
    }
}

/// The id of the trace that a request is part of, whatever the format.
pub(crate) fn trace_id(headers: &Headers) -> Option<[u8; 16]> {
    [w3c::read(headers), b3::read(headers)].into_iter().find_map(|incoming| match incoming {
        Incoming::Parent(parent) => Some(parent.trace_id),
        _ => None,
    })
}

/// What is done with the contexts of all requests.
#[derive(Debug)]
pub(crate) struct Tracing {
    config: Trace,
    names: Names,
}

impl Tracing {
    pub(crate) fn new(config: Trace) -> Self {
        Self { config, names: Names::new() }
    }

    pub(crate) fn config(&self) -> &Trace {
        &self.config
    }

    /// Decides where a request stands in its trace, and tells those that come next.
    pub(crate) fn begin(&self, exchange: &mut Exchange, ids: &Ids) -> Context {
        let (parent, decision) = self.parent(exchange.request());
        let trace_id = parent.map_or_else(|| ids.next(), |parent| parent.trace_id);
        let sampled = decision.unwrap_or_else(|| self.config.sample.takes(trace_id));
        // Whoever records no span of its own passes on what it got: a span that nobody records would be a gap.
        let recorded = sampled && self.config.to.is_some();
        let span_id = match parent {
            Some(parent) if !recorded => parent.span_id,
            _ => ids.next_half(),
        };
        let context =
            Context { trace_id, span_id, parent: parent.map(|parent| parent.span_id), sampled, recorded };
        self.write(&context, exchange);
        if self.config.restart {
            self.remove_others(exchange);
        }
        context
    }

    fn parent(&self, headers: &Headers) -> (Option<Parent>, Option<bool>) {
        if self.config.restart {
            return (None, None);
        }
        let mut decision = None;
        for format in &self.config.propagate {
            match format.read(headers) {
                Incoming::Parent(parent) => return (Some(parent), parent.sampled.or(decision)),
                Incoming::Decision(decided) => decision = decision.or(Some(decided)),
                Incoming::Nothing => {}
            }
        }
        (None, decision)
    }

    fn write(&self, context: &Context, exchange: &mut Exchange) {
        let names = &self.names;
        let continues_w3c = w3c::read(exchange.request())
            == Incoming::Parent(Parent {
                trace_id: context.trace_id,
                span_id: context.parent.unwrap_or_default(),
                sampled: Some(context.sampled),
            });
        for format in &self.config.propagate {
            match format {
                Format::W3c => {
                    // A state belongs to the context that it came with.
                    let headers = exchange.request();
                    let keep = continues_w3c && w3c::is_state(headers.values(w3c::TRACESTATE));
                    let value = w3c::write(context.trace_id, context.span_id, context.sampled);
                    set(exchange, &names.traceparent, value);
                    if !keep {
                        remove(exchange, &names.tracestate);
                    }
                }
                Format::B3 => {
                    set(exchange, &names.b3, b3::write_single(context));
                    if !self.config.propagate.contains(&Format::B3Multi) {
                        names.multi().into_iter().for_each(|name| remove(exchange, name));
                    }
                }
                Format::B3Multi => {
                    set(exchange, &names.trace_id, hex::text(&context.trace_id));
                    set(exchange, &names.span_id, hex::text(&context.span_id));
                    let flag: &[u8] = if context.sampled { b"1" } else { b"0" };
                    set(exchange, &names.sampled, flag.to_vec());
                    match context.parent.filter(|_| context.recorded) {
                        Some(parent) => set(exchange, &names.parent_span_id, hex::text(&parent)),
                        None => remove(exchange, &names.parent_span_id),
                    }
                    remove(exchange, &names.flags);
                    if !self.config.propagate.contains(&Format::B3) {
                        remove(exchange, &names.b3);
                    }
                }
            }
        }
    }

    /// A trace that a client began in a format that is not spoken here ends here too: whoever comes next and speaks it
    /// would go on with it.
    fn remove_others(&self, exchange: &mut Exchange) {
        let names = &self.names;
        if !self.config.propagate.contains(&Format::W3c) {
            remove(exchange, &names.traceparent);
            remove(exchange, &names.tracestate);
        }
        if !self.config.propagate.contains(&Format::B3) {
            remove(exchange, &names.b3);
        }
        if !self.config.propagate.contains(&Format::B3Multi) {
            names.multi().into_iter().for_each(|name| remove(exchange, name));
        }
    }

    /// Puts one's own members into the baggage, and drops what is malformed or too much of it.
    pub(crate) fn write_baggage(&self, own: &[(&str, Option<Vec<u8>>)], exchange: &mut Exchange) {
        if !self.config.propagate.contains(&Format::W3c) && own.is_empty() {
            return;
        }
        match baggage::rewrite(exchange.request().values("baggage"), own) {
            baggage::Outcome::Keep => {}
            baggage::Outcome::Set(value) => set(exchange, &self.names.baggage, value),
            baggage::Outcome::Remove => remove(exchange, &self.names.baggage),
        }
    }
}

/// The headers' names, checked once. All of them are tokens; where one were not, its header would be left alone.
#[derive(Debug)]
struct Names {
    traceparent: Option<HeaderName>,
    tracestate: Option<HeaderName>,
    baggage: Option<HeaderName>,
    b3: Option<HeaderName>,
    trace_id: Option<HeaderName>,
    span_id: Option<HeaderName>,
    parent_span_id: Option<HeaderName>,
    sampled: Option<HeaderName>,
    flags: Option<HeaderName>,
}

impl Names {
    fn new() -> Self {
        let name = |text| HeaderName::new(text).ok();
        Self {
            traceparent: name(w3c::TRACEPARENT),
            tracestate: name(w3c::TRACESTATE),
            baggage: name("baggage"),
            b3: name(b3::SINGLE),
            trace_id: name(b3::TRACE_ID),
            span_id: name(b3::SPAN_ID),
            parent_span_id: name(b3::PARENT_SPAN_ID),
            sampled: name(b3::SAMPLED),
            flags: name(b3::FLAGS),
        }
    }

    fn multi(&self) -> [&Option<HeaderName>; 5] {
        [&self.trace_id, &self.span_id, &self.parent_span_id, &self.sampled, &self.flags]
    }
}

fn set(exchange: &mut Exchange, name: &Option<HeaderName>, value: Vec<u8>) {
    if let (Some(name), Ok(value)) = (name, HeaderValue::new(value)) {
        exchange.request_mut().set(name, &value);
    }
}

fn remove(exchange: &mut Exchange, name: &Option<HeaderName>) {
    if let Some(name) = name {
        exchange.request_mut().remove(name);
    }
}
