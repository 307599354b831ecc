//! Pause, callout and resume through the pipeline, on a fake host.

use tidegate_filter_api::{CallToken, Callout, CalloutFailure, CalloutResponse, HeaderBlock, HostError};
use tidegate_probe::Probe;
use tidegate_testkit::fake::{Outcome, Worker, worker};

fn probe() -> Worker<Probe> {
    worker(r#"{"timeout": "250ms"}"#)
}

const CALL: &[(&str, &[u8])] = &[("x-probe-call", b"stable")];

#[test]
fn a_paused_request_goes_on_with_the_answer() {
    let probe = probe();
    let (outcome, mut exchange) = probe.send("GET", "/", CALL);
    let Outcome::Waiting(token) = outcome else { panic!("not paused: {outcome:?}") };
    let Callout::Http(call) = &probe.host().calls()[0] else { panic!("not an HTTP call") };
    assert_eq!(call.cluster, "stable");
    let other = CallToken::Http(99);
    assert_eq!(exchange.answer(other, Err(CalloutFailure::NoAnswer)), None, "somebody else's answer");
    let headers = HeaderBlock::from_pairs([(b":status".as_slice(), b"204".as_slice())].into_iter());
    let outcome = exchange.answer(token, Ok(CalloutResponse { headers, body: b"abc".to_vec() })).unwrap();
    assert_eq!(outcome.upstream("x-probe-result"), [b"204 3 bytes"]);
    assert_eq!(exchange.answer(token, Err(CalloutFailure::NoAnswer)), None, "an answer counts once");
}

#[test]
fn no_answer_and_not_sent_are_events_too() {
    let probe = probe();
    let (outcome, mut exchange) = probe.send("GET", "/", CALL);
    let Outcome::Waiting(token) = outcome else { panic!("not paused: {outcome:?}") };
    let outcome = exchange.answer(token, Err(CalloutFailure::NoAnswer)).unwrap();
    assert_eq!(outcome.upstream("x-probe-result"), [b"no answer"]);

    probe.host().fail("call", HostError::BadArgument);
    assert_eq!(probe.get("/", CALL).upstream("x-probe-result"), [b"not sent: bad argument"]);
}

fn answer(status: &[u8], body: &[u8]) -> CalloutResponse {
    let headers = HeaderBlock::from_pairs([(b":status".as_slice(), status)].into_iter());
    CalloutResponse { headers, body: body.to_vec() }
}

#[test]
fn one_call_serves_all_that_wait_for_it() {
    let probe = probe();
    const JOIN: &[(&str, &[u8])] = &[("x-probe-join", b"stable")];
    let (first, mut one) = probe.send("GET", "/", JOIN);
    let (second, mut two) = probe.send("GET", "/", JOIN);
    let Outcome::Waiting(token) = first else { panic!("not paused: {first:?}") };
    assert_eq!(second, Outcome::Waiting(token));
    assert_eq!(probe.host().calls().len(), 1);
    assert_eq!(one.answer(token, Ok(answer(b"200", b""))), None, "the answer is the plugin's");
    probe.end_dispatched(token, Ok(answer(b"200", b"abc")));
    for exchange in [&mut one, &mut two] {
        let outcome = exchange.wake(token).unwrap();
        assert_eq!(outcome.upstream("x-probe-result"), [b"200 3 bytes"]);
        assert_eq!(exchange.wake(token), None, "an end counts once");
    }
}

#[test]
fn a_body_is_read_piece_by_piece_to_its_end_or_to_the_trailers() {
    let probe = probe();
    const READ: &[(&str, &[u8])] = &[("x-probe-body", b"1")];
    for trailers in [false, true] {
        let (outcome, mut exchange) = probe.begin("POST", "/", READ);
        assert_eq!(outcome, Outcome::Held);
        assert_eq!(exchange.body(b"\x01\x02", false), Outcome::Held);
        let outcome = if trailers {
            assert_eq!(exchange.body(b"\x03", false), Outcome::Held);
            exchange.trailers()
        } else {
            exchange.body(b"\x03", true)
        };
        assert_eq!(outcome.upstream("x-probe-result"), [b"3 bytes, checksum 6"]);
    }
    let without = probe.get("/", READ);
    assert_eq!(without.upstream("x-probe-result"), [b"0 bytes, checksum 0"]);
}

#[test]
fn a_grpc_call_ends_in_a_message_or_a_status() {
    let probe = probe();
    const CALL: &[(&str, &[u8])] = &[("x-probe-grpc", b"stable")];
    let ends = [(Ok(answer(b"", b"xy")), "0 2 bytes"), (Err(CalloutFailure::Grpc(14)), "gRPC status 14")];
    for (end, expected) in ends {
        let (outcome, mut exchange) = probe.send("GET", "/", CALL);
        let Outcome::Waiting(token @ CallToken::Grpc(_)) = outcome else { panic!("not paused: {outcome:?}") };
        let outcome = exchange.answer(token, end).unwrap();
        assert_eq!(outcome.upstream("x-probe-result"), [expected.as_bytes()]);
    }
}
