//! OTLP over HTTP: what is sent, when, and what becomes of it when the collector is not there.
//!
//! Protobuf, because every receiver must take it ("OTLP/HTTP", binary protobuf encoding), and it is half the size of JSON.

mod exporter;
mod sender;

use tidegate_filter_api::{Host, Property};
pub(crate) use tidegate_protobuf::Message;

pub(crate) use exporter::{Counters, Exporter};
pub(crate) use sender::{Ending, Sender};

use crate::ids::Ids;
use crate::trace;

/// What is exported. Their messages are alike: the same numbers for resource, scope and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Logs,
    Traces,
    Metrics,
}

impl Signal {
    /// Where a receiver takes it, if nobody says otherwise.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// What its records are called in metrics and log lines.
    pub(crate) fn records(self) -> &'static str {
        match self {
            Self::Logs => "log_records",
            Self::Traces => "spans",
            Self::Metrics => "data_points",
        }
    }
}

/// Writes a message within a message.
pub(crate) fn nested(message: &mut Message, field: u32, write: impl FnOnce(&mut Message)) {
    let mut inner = Message::new();
    write(&mut inner);
    message.message(field, &inner);
}

/// Writes a string: what is not UTF-8 is replaced, since a receiver refuses the whole message for it.
pub(crate) fn text(message: &mut Message, field: u32, value: &[u8]) {
    message.bytes(field, String::from_utf8_lossy(value).as_bytes());
}

/// A value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attribute<'v> {
    Text(&'v [u8]),
    Number(u64),
}

/// Writes an attribute: a `KeyValue` with an `AnyValue`.
pub(crate) fn attribute(message: &mut Message, field: u32, name: &str, value: Attribute<'_>) {
    let mut any = Message::new();
    match value {
        Attribute::Text(value) => text(&mut any, 1, value),
        Attribute::Number(number) => drop(any.varint(3, number)),
    }
    let mut pair = Message::new();
    pair.bytes(1, name.as_bytes()).message(2, &any);
    message.message(field, &pair);
}

/// Who speaks: what comes before the records in each message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preamble {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Preamble {
    /// What is configured, and what the conventions ask for beside it.
    pub(crate) fn new(configured: &[(String, String)], ids: &Ids, host: &dyn Host) -> Self {
        let mut resource = Message::new();
        for (name, value) in configured {
            attribute(&mut resource, 1, name, Attribute::Text(value.as_bytes()));
        }
        let is_said = |name: &str| configured.iter().any(|(known, _)| known == name);
        if !is_said("service.name") {
            let told = host.property(Property::NODE_CLUSTER).filter(|name| !name.is_empty());
            let name = told.unwrap_or_else(|| b"unknown_service:envoy".to_vec());
            attribute(&mut resource, 1, "service.name", Attribute::Text(&name));
        }
        if !is_said("service.instance.id") {
            // Each worker counts for itself: to a receiver they are instances of one service.
            let id = trace::hex_text(&ids.next());
            attribute(&mut resource, 1, "service.instance.id", Attribute::Text(&id));
        }
        let mut scope = Message::new();
        scope.bytes(1, b"tidegate.telemetry");
        scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        Self { resource: resource.into_bytes(), scope: scope.into_bytes() }
    }

    /// A whole message with these records.
    pub(crate) fn envelope<'r>(&self, records: impl Iterator<Item = &'r [u8]>) -> Vec<u8> {
        let mut scoped = Message::new();
        scoped.bytes(1, &self.scope);
        for record in records {
            scoped.bytes(2, record);
        }
        let mut whole = Message::new();
        whole.bytes(1, &self.resource).message(2, &scoped);
        let mut message = Message::new();
        message.message(1, &whole);
        message.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_protobuf::{Value, fields};

    use super::*;

    fn all(message: &[u8], wanted: u32) -> Vec<&[u8]> {
        let found = fields(message).map(|field| field.unwrap()).filter(|(number, _)| *number == wanted);
        found
            .map(|(_, value)| match value {
                Value::Bytes(bytes) => bytes,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_envelope_holds_resource_scope_and_records() {
        let preamble = Preamble { resource: vec![1; 300], scope: b"scope".to_vec() };
        let records: Vec<Vec<u8>> = vec![vec![7; 200], vec![8]];
        let message = preamble.envelope(records.iter().map(Vec::as_slice));
        let whole = all(&message, 1)[0];
        assert_eq!(all(whole, 1), [vec![1; 300]]);
        let scoped = all(whole, 2)[0];
        assert_eq!(all(scoped, 1), [b"scope"]);
        assert_eq!(all(scoped, 2), [vec![7; 200], vec![8]]);
    }

    #[test]
    fn text_is_always_utf8() {
        let mut message = Message::new();
        text(&mut message, 1, b"a\xff");
        assert_eq!(message.into_bytes(), "\x0a\x04a\u{fffd}".as_bytes());
    }
}
