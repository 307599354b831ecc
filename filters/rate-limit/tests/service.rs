//! Global limits: what the rate limit service is asked, and what comes of its answer.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so at once"
)]

use std::time::Duration;

use tidegate_filter_api::{
    CallToken, Callout, CalloutFailure, CalloutResponse, CalloutResult, GrpcCall, HeaderBlock, HostError,
};
use tidegate_protobuf::{Message, Value, fields};
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Exchange, Outcome, Worker, worker};

const PER_TENANT: &str =
    r#"{"name": "per-tenant", "key": [{"header": "x-tenant"}, "source"], "global": true}"#;

fn global(limits: &str, on_error: &str, more: &str) -> Worker<RateLimit> {
    worker(&format!(
        r#"{{"limits": [{limits}], {more}
            "global": {{"cluster": "ratelimit", "domain": "shop", "timeout": "20ms", "on_error": "{on_error}"}}}}"#
    ))
}

/// What the service was asked: each descriptor's entries and its cost.
type Asked = Vec<(Vec<(String, String)>, Option<u64>)>;

fn bytes<'b>(message: &'b [u8], number: u32) -> Vec<&'b [u8]> {
    let of = |field: Result<(u32, Value<'b>), _>| match field.unwrap() {
        (found, Value::Bytes(bytes)) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).filter_map(of).collect()
}

fn varint(message: &[u8], number: u32) -> Option<u64> {
    fields(message).find_map(|field| match field.unwrap() {
        (found, Value::Varint(value)) if found == number => Some(value),
        _ => None,
    })
}

fn asked(call: &GrpcCall) -> Asked {
    assert_eq!((call.cluster.as_str(), call.timeout), ("ratelimit", Duration::from_millis(20)));
    assert_eq!(
        (call.service, call.method),
        ("envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit")
    );
    assert_eq!(bytes(&call.message, 1), [b"shop"]);
    let common = varint(&call.message, 3);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let descriptors = bytes(&call.message, 2).into_iter().map(|descriptor| {
        let entries = bytes(descriptor, 1).into_iter();
        let entries = entries.map(|entry| (text(bytes(entry, 1)[0]), text(bytes(entry, 2)[0])));
        let own = bytes(descriptor, 3).first().map(|wrapped| varint(wrapped, 1).unwrap_or(0));
        (entries.collect(), own.or(common))
    });
    descriptors.collect()
}

/// The last call.
fn last(worker: &Worker<RateLimit>) -> Asked {
    match worker.host().calls().last() {
        Some(Callout::Grpc(call)) => asked(call),
        other => panic!("{other:?}"),
    }
}

fn entry(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn send(worker: &Worker<RateLimit>, headers: &[(&str, &[u8])]) -> (CallToken, Exchange<RateLimit>) {
    match worker.send("GET", "/", headers) {
        (Outcome::Waiting(token), exchange) => (token, exchange),
        (other, _) => panic!("nobody was asked: {other:?}"),
    }
}

const TENANT: &[(&str, &[u8])] = &[("x-tenant", b"acme")];

/// An answer: the code for all, and of each descriptor code, remaining and seconds to its reset.
fn answer(code: u64, statuses: &[(u64, u64, u64)]) -> Message {
    let mut message = Message::new();
    message.varint(1, code);
    for (code, remaining, seconds) in statuses {
        let (mut status, mut limit, mut reset) = (Message::new(), Message::new(), Message::new());
        limit.varint(1, 10).varint(2, 2);
        reset.varint(1, *seconds);
        status.varint(1, *code).message(2, &limit).varint(3, *remaining).message(4, &reset);
        message.message(2, &status);
    }
    message
}

fn said(message: Message) -> CalloutResult {
    Ok(CalloutResponse { headers: HeaderBlock::default(), body: message.into_bytes() })
}

const OK: u64 = 1;
const OVER: u64 = 2;

fn metric(worker: &Worker<RateLimit>, name: &str) -> i64 {
    worker.host().metric(&format!("tidegate.rate_limit.{name}"))
}

#[test]
fn descriptors_are_made_of_the_same_keys() {
    let worker = global(PER_TENANT, "deny", "");
    let (token, mut exchange) = send(&worker, TENANT);
    let entries = vec![entry("x-tenant", "acme"), entry("remote_address", "192.0.2.1")];
    assert_eq!(last(&worker), [(entries, Some(1))]);
    assert!(matches!(exchange.answer(token, said(answer(OK, &[(OK, 9, 1)]))), Some(Outcome::Passed(_))));
    assert_eq!(metric(&worker, "per-tenant.allowed"), 1);
    assert_eq!(worker.get("/", &[]).status(), 200, "without its key a limit asks nobody");
    assert_eq!(worker.host().calls().len(), 1);
}

#[test]
fn entries_can_be_told_apart_and_are_text() {
    let worker = global(
        r#"{"name": "all", "global": true},
           {"name": "checkout", "key": [{"path_template": "/{shop}/{item}"}, {"header": "x-id"}], "global": {"generic_key": "buy"}}"#,
        "deny",
        "",
    );
    let ids: &[(&str, &[u8])] = &[("x-id", b"1"), ("x-id", b"\xff")];
    let Outcome::Waiting(_) = worker.send("GET", "/s/i", ids).0 else { panic!("nobody was asked") };
    let checkout =
        vec![entry("generic_key", "buy"), entry("shop", "s"), entry("item", "i"), entry("x-id", r"1,\xff")];
    assert_eq!(last(&worker), [(vec![entry("generic_key", "all")], Some(1)), (checkout, Some(1))]);
}

#[test]
fn who_is_over_the_limit_is_told_when_it_is_reset() {
    let worker = global(PER_TENANT, "deny", r#""reply": {"problem_json": true, "headers": "draft_11"},"#);
    let (token, mut exchange) = send(&worker, TENANT);
    let outcome = exchange.answer(token, said(answer(OVER, &[(OVER, 0, 37)]))).unwrap();
    assert_eq!(outcome.status(), 429);
    assert_eq!(outcome.reply_header("retry-after"), Some(b"37".as_slice()));
    assert_eq!(outcome.reply_header("ratelimit-policy"), Some(br#""per-tenant";q=10;w=60"#.as_slice()));
    assert_eq!(outcome.reply_header("ratelimit"), Some(br#""per-tenant";r=0;t=37"#.as_slice()));
    let Outcome::Replied(reply) = outcome else { panic!("admitted") };
    assert!(reply.body.contains(r#""violated-policies":["per-tenant"]"#), "{}", reply.body);
    assert_eq!(metric(&worker, "per-tenant.denied"), 1);
}

/// A quota here has taken what the service then refused: to come back before it is whole would be in vain.
#[test]
fn a_refusal_of_the_service_tells_the_wait_of_limits_here_too() {
    let worker = global(
        r#"{"name": "both", "quotas": [{"requests": 1, "per": "100s"}], "global": true}, {"name": "other", "quotas": [{"requests": 9, "per": "1s"}]}"#,
        "deny",
        "",
    );
    let (token, mut exchange) = send(&worker, &[]);
    let outcome = exchange.answer(token, said(answer(OVER, &[(OVER, 0, 5)]))).unwrap();
    assert_eq!(outcome.reply_header("retry-after"), Some(b"100".as_slice()));
    worker.host().advance(Duration::from_secs(100));
    let _ = send(&worker, &[]);
}

#[test]
fn the_services_own_headers_and_body_are_passed_on_once() {
    let worker = global(PER_TENANT, "deny", r#""reply": {"headers": "draft_11"},"#);
    let with_headers = |code| {
        let mut message = answer(code, &[(code, 3, 5)]);
        for (number, name, value) in [
            (3, "RateLimit-Limit", "10"),
            (3, "ratelimit", "theirs"),
            (3, "set-cookie", "a"),
            (3, "set-cookie", "b"),
            (4, "x-plan", "free"),
        ] {
            let mut header = Message::new();
            header.bytes(1, name.as_bytes()).bytes(2, value.as_bytes());
            message.message(number, &header);
        }
        message.bytes(5, b"from the service");
        message
    };
    let (token, mut exchange) = send(&worker, &[("x-tenant", b"acme"), ("x-plan", b"forged")]);
    let outcome = exchange.answer(token, said(with_headers(OK))).unwrap();
    assert_eq!(outcome.upstream("x-plan"), [b"free"]);
    let pairs = exchange.response(&[(":status", b"200"), ("ratelimit-limit", b"upstream's")]);
    let of = |wanted: &str| -> Vec<&[u8]> {
        pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_slice()).collect()
    };
    assert_eq!(of("ratelimit-limit"), [b"10"]);
    assert_eq!(of("set-cookie"), [b"a", b"b"]);
    assert_eq!(of("ratelimit"), [br#""per-tenant";r=3;t=5"#.as_slice()], "one of a name: the filter's own");

    let (token, mut exchange) = send(&worker, TENANT);
    let Some(Outcome::Replied(reply)) = exchange.answer(token, said(with_headers(OVER))) else {
        panic!("admitted")
    };
    let count = |name: &str| reply.headers.iter().filter(|(found, _)| found.as_str() == name).count();
    assert_eq!([count("ratelimit-limit"), count("ratelimit"), count("set-cookie")], [1, 1, 2]);
    assert_eq!(reply.body, "from the service");
}

#[test]
fn a_local_limit_in_front_saves_the_call() {
    let worker = global(
        r#"{"name": "per-tenant", "key": [{"header": "x-tenant"}], "quotas": [{"requests": 1, "per": "1h"}], "global": true}"#,
        "deny",
        "",
    );
    let (token, mut exchange) = send(&worker, TENANT);
    assert_eq!(exchange.answer(token, said(answer(OK, &[(OK, 9, 1)]))).unwrap().status(), 200);
    assert_eq!(worker.get("/", TENANT).status(), 429);
    assert_eq!(worker.host().calls().len(), 1);
    assert_eq!((metric(&worker, "per-tenant.allowed"), metric(&worker, "per-tenant.denied")), (1, 1));
}

#[test]
fn every_way_not_to_answer_goes_the_configured_way_and_is_counted() {
    let ends: [fn() -> CalloutResult; 6] = [
        || Err(CalloutFailure::NoAnswer),
        || Err(CalloutFailure::Grpc(4)),
        || Err(CalloutFailure::Grpc(14)),
        || said(Message::new()),
        || Ok(CalloutResponse { headers: HeaderBlock::default(), body: b"\xff\xff".to_vec() }),
        || Err(CalloutFailure::NotSent(HostError::InternalFailure)),
    ];
    for (on_error, expected, denied) in [("allow", 200, 0), ("deny", 503, 1)] {
        let worker = global(PER_TENANT, on_error, "");
        for (count, end) in ends.iter().enumerate() {
            let (token, mut exchange) = send(&worker, TENANT);
            assert_eq!(exchange.answer(token, end()).unwrap().status(), expected);
            let count = i64::try_from(count + 1).unwrap();
            assert_eq!(metric(&worker, "per-tenant.errors"), count);
            assert_eq!(metric(&worker, "per-tenant.denied"), denied * count);
        }
        // A cluster that does not exist, or has no healthy host.
        worker.host().fail("call", HostError::BadArgument);
        assert_eq!(worker.get("/", TENANT).status(), expected);
        assert_eq!(metric(&worker, "per-tenant.errors"), 7);
    }
}

#[test]
fn limits_that_are_tried_out_refuse_nothing() {
    let worker = global(
        r#"{"name": "trial", "global": true, "mode": "shadow"}, {"name": "real", "key": [{"header": "x-tenant"}], "global": true}"#,
        "deny",
        "",
    );
    let outcome = |statuses: &[(u64, u64, u64)]| {
        let (token, mut exchange) = send(&worker, TENANT);
        exchange.answer(token, said(answer(OVER, statuses))).unwrap().status()
    };
    assert_eq!(outcome(&[(OVER, 0, 1), (OK, 5, 1)]), 200);
    assert_eq!((metric(&worker, "trial.shadow_denied"), metric(&worker, "real.allowed")), (1, 1));
    assert_eq!(outcome(&[(OK, 5, 1), (OVER, 0, 1)]), 429);
    assert_eq!(outcome(&[]), 429, "without statuses the code is for all");
    let (token, mut exchange) = send(&worker, TENANT);
    let down = exchange.answer(token, Err(CalloutFailure::Grpc(14))).unwrap();
    assert_eq!(down.status(), 503, "the one that is enforced could not be decided");
}

#[test]
fn a_cost_of_the_request_is_asked_for() {
    let worker = global(
        r#"{"name": "a", "global": true, "cost": {"request_header": "x-cost"}}, {"name": "b", "global": true, "cost": {"fixed": 3}}"#,
        "deny",
        "",
    );
    let costs = |cost: &[u8]| {
        let _ = send(&worker, &[("x-cost", cost)]);
        last(&worker).into_iter().map(|(_, cost)| cost).collect::<Vec<_>>()
    };
    assert_eq!(costs(b"7"), [Some(7), Some(3)]);
    assert_eq!(costs(b"3"), [Some(3), Some(3)]);
    assert_eq!(costs(b"0"), [Some(0), Some(3)]);
}

#[test]
fn a_cost_of_the_response_is_told_later() {
    let worker = global(
        r#"{"name": "tokens", "key": [{"header": "x-tenant"}], "global": true, "cost": {"json_field": "used"}}"#,
        "deny",
        "",
    );
    let (token, mut exchange) = send(&worker, TENANT);
    let entries = vec![entry("x-tenant", "acme")];
    assert_eq!(last(&worker), [(entries.clone(), Some(0))], "it only looks");
    assert_eq!(exchange.answer(token, said(answer(OK, &[(OK, 1, 1)]))).unwrap().status(), 200);
    exchange.response(&[(":status", b"200"), ("content-type", b"application/json")]);
    exchange.response_body(br#"{"used": 41}"#);
    exchange.end(Some(200), Duration::ZERO);
    assert_eq!(last(&worker), [(entries, Some(41))]);
    let told = CallToken::Grpc(2);
    worker.end_dispatched(told, Err(CalloutFailure::Grpc(14)));
    assert_eq!(metric(&worker, "tokens.errors"), 1, "it never heard");

    let (token, mut exchange) = send(&worker, TENANT);
    let outcome = exchange.answer(token, said(answer(OK, &[(OK, 0, 9)]))).unwrap();
    assert_eq!(outcome.status(), 429, "nothing is left to spend");
    assert_eq!(outcome.reply_header("retry-after"), Some(b"9".as_slice()));
}

#[test]
fn only_responses_that_count_are_told() {
    let worker =
        global(r#"{"name": "failures", "global": true, "count_when": {"status": [401]}}"#, "deny", "");
    for (status, calls) in [(b"200", 1), (b"401", 2)] {
        let before = worker.host().calls().len();
        let (token, mut exchange) = send(&worker, &[]);
        assert_eq!(last(&worker)[0].1, Some(0));
        let _ = exchange.answer(token, said(answer(OK, &[(OK, 5, 1)])));
        exchange.response(&[(":status", status)]);
        assert_eq!(worker.host().calls().len() - before, calls);
    }
    assert_eq!(last(&worker)[0].1, Some(1));
}
