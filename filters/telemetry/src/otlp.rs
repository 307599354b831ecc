//! OTLP over HTTP: what is sent, when, and what becomes of it when the collector is not there.
//!
//! Protobuf, because every receiver must take it ("OTLP/HTTP", binary protobuf encoding), and it is half the size of JSON.

mod exporter;
mod protobuf;
mod sender;

use tidegate_filter_api::{Host, Property};

pub(crate) use exporter::{Counters, Exporter};
pub(crate) use protobuf::Message;
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

const VALUE: u32 = 2;
const TEXT: u32 = 1;
const INTEGER: u32 = 3;

/// Writes an attribute with a text.
pub(crate) fn text_attribute(message: &mut Message, field: u32, name: &str, value: &[u8]) {
    message.message(field, |pair| {
        pair.bytes(1, name.as_bytes());
        pair.message(VALUE, |any| any.text(TEXT, value));
    });
}

/// Writes an attribute with a whole number.
pub(crate) fn number_attribute(message: &mut Message, field: u32, name: &str, value: u64) {
    message.message(field, |pair| {
        pair.bytes(1, name.as_bytes());
        pair.message(VALUE, |any| any.varint(INTEGER, value));
    });
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
        let mut resource = Message::default();
        for (name, value) in configured {
            text_attribute(&mut resource, 1, name, value.as_bytes());
        }
        let is_said = |name: &str| configured.iter().any(|(known, _)| known == name);
        if !is_said("service.name") {
            let told = host.property(Property::NODE_CLUSTER).filter(|name| !name.is_empty());
            let name = told.unwrap_or_else(|| b"unknown_service:envoy".to_vec());
            text_attribute(&mut resource, 1, "service.name", &name);
        }
        if !is_said("service.instance.id") {
            // Each worker counts for itself: to a receiver they are instances of one service.
            text_attribute(&mut resource, 1, "service.instance.id", &trace::hex_text(&ids.next()));
        }
        let mut scope = Message::default();
        scope.bytes(1, b"tidegate.telemetry");
        scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        Self { resource: resource.into_bytes(), scope: scope.into_bytes() }
    }

    /// A whole message with these records.
    pub(crate) fn envelope<'r>(&self, records: impl Iterator<Item = &'r [u8]> + Clone) -> Vec<u8> {
        let length = |field: &[u8]| protobuf::field_len(field.len());
        let scoped = length(&self.scope) + records.clone().map(length).sum::<usize>();
        let whole = length(&self.resource) + protobuf::field_len(scoped);
        let mut message = Message::default();
        message.begin(1, whole);
        message.bytes(1, &self.resource);
        message.begin(2, scoped);
        message.bytes(1, &self.scope);
        records.for_each(|record| message.bytes(2, record));
        message.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::{Field, find};

    fn within(message: &[u8], field: u64) -> &[u8] {
        match find(message, field) {
            Some(Field::Bytes(inner)) => inner,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_envelope_holds_resource_scope_and_records() {
        let preamble = Preamble { resource: vec![1; 300], scope: b"scope".to_vec() };
        let records: Vec<Vec<u8>> = vec![vec![7; 200], vec![8]];
        let message = preamble.envelope(records.iter().map(Vec::as_slice));
        let resource = within(&message, 1);
        assert_eq!(within(resource, 1), vec![1; 300]);
        let scope = within(resource, 2);
        assert_eq!(within(scope, 1), b"scope");
        assert_eq!(within(scope, 2), vec![7; 200]);
        assert_eq!(scope.last(), Some(&8), "both records are there, and nothing behind them");
    }
}
