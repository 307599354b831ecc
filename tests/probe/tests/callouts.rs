//! Pause, callout and resume through the pipeline, on a fake host.

use tidegate_filter_api::{CalloutFailure, CalloutResponse, HeaderBlock, HostError};
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
    assert_eq!(probe.host().calls()[0].cluster, "stable");
    assert_eq!(exchange.answer(token + 1, Err(CalloutFailure::NoAnswer)), None, "somebody else's answer");
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
