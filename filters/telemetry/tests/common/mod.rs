//! What tests of records that go to a collector share: reading OTLP, and a collector's answers.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_filter_api::{CallToken, Callout, CalloutFailure, CalloutResponse, HeaderBlock, HttpCall};
use tidegate_protobuf::{Message, Value, fields};
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::Worker;

/// Ticks a second apart.
pub(crate) fn tick(worker: &Worker<Telemetry>, seconds: u64) {
    for _ in 0..seconds {
        worker.host().advance(Duration::from_secs(1));
        worker.tick();
    }
}

/// The n-th call (from 1).
pub(crate) fn call(worker: &Worker<Telemetry>, number: usize) -> HttpCall {
    match worker.host().calls().into_iter().nth(number - 1) {
        Some(Callout::Http(call)) => call,
        other => panic!("no call {number}: {other:?}"),
    }
}

pub(crate) fn calls(worker: &Worker<Telemetry>) -> usize {
    worker.host().calls().len()
}

/// Ends the last call.
pub(crate) fn answer(worker: &Worker<Telemetry>, status: u16, headers: &[(&str, &str)], body: &[u8]) {
    let status = status.to_string();
    let pairs = [(":status", status.as_str())].into_iter().chain(headers.iter().copied());
    let pairs: Vec<(&[u8], &[u8])> = pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let headers = HeaderBlock::from_pairs(pairs.into_iter());
    worker.end_dispatched(last(worker), Ok(CalloutResponse { headers, body: body.to_vec() }));
}

pub(crate) fn no_answer(worker: &Worker<Telemetry>) {
    worker.end_dispatched(last(worker), Err(CalloutFailure::NoAnswer));
}

fn last(worker: &Worker<Telemetry>) -> CallToken {
    CallToken::Http(u32::try_from(calls(worker)).unwrap())
}

/// An answer that takes all but some records.
pub(crate) fn rejecting(records: u64) -> Vec<u8> {
    let mut partial = Message::new();
    partial.varint(1, records).bytes(2, b"too old");
    let mut message = Message::new();
    message.message(1, &partial);
    message.into_bytes()
}

/// All messages in fields of this number.
pub(crate) fn messages(message: &[u8], number: u32) -> Vec<Vec<u8>> {
    let found = fields(message).map(|field| field.unwrap()).filter(|(other, _)| *other == number);
    found
        .map(|(_, value)| match value {
            Value::Bytes(bytes) => bytes.to_vec(),
            other => panic!("field {number} is {other:?}"),
        })
        .collect()
}

/// The only number in a field.
pub(crate) fn number(message: &[u8], wanted: u32) -> Option<u64> {
    fields(message).map(|field| field.unwrap()).find(|(other, _)| *other == wanted).map(|(_, value)| {
        match value {
            Value::Varint(number) | Value::Fixed64(number) => number,
            Value::Fixed32(number) => number.into(),
            Value::Bytes(bytes) => panic!("field {wanted} is {bytes:?}"),
        }
    })
}

/// The records of a message: log records, spans or metrics.
pub(crate) fn records(call: &HttpCall) -> Vec<Vec<u8>> {
    let whole = messages(&call.body, 1);
    assert_eq!(whole.len(), 1);
    let scope = messages(&whole[0], 2);
    assert_eq!(scope.len(), 1);
    messages(&scope[0], 2)
}

/// The resource's attributes.
pub(crate) fn resource(call: &HttpCall) -> BTreeMap<String, String> {
    attributes(&messages(&messages(&call.body, 1)[0], 1)[0], 1)
}

/// Attributes as text.
pub(crate) fn attributes(message: &[u8], number: u32) -> BTreeMap<String, String> {
    let pairs = messages(message, number).into_iter().map(|pair| {
        let name = String::from_utf8(messages(&pair, 1).remove(0)).unwrap();
        let any = messages(&pair, 2).remove(0);
        let value = match fields(&any).next().unwrap().unwrap() {
            (1, Value::Bytes(text)) => String::from_utf8(text.to_vec()).unwrap(),
            (3, Value::Varint(number)) => number.to_string(),
            other => panic!("{name} is {other:?}"),
        };
        (name, value)
    });
    pairs.collect()
}
