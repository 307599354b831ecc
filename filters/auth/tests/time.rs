//! What time, the host's cryptography and full tables change, on a fake host whose clock tests move.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_auth::Auth;
use tidegate_filter_api::{CalloutFailure, CalloutResponse, HeaderBlock, HostError};
use tidegate_testkit::fake::{FakeHost, Outcome, Worker, worker_on};
use tidegate_testkit::tokens::{SigningKey, hmac, key_set};

const ISSUER: &str = "https://id.example.com/";
/// Where a fake host's clock begins.
const NOW: u64 = 1_700_000_000;
const ONE: SigningKey = SigningKey::P256(1);

fn token(more: &Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "shop", "sub": "ann", "exp": NOW + 60});
    if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
        claims.extend(more.clone());
    }
    format!("Bearer {}", ONE.sign(&json!({"alg": "ES256", "kid": "one"}), &claims))
}

fn corp(jwks: &Value) -> Value {
    json!({
        "providers": {"corp": {"jwt": {"issuer": ISSUER, "audiences": ["shop"], "jwks": jwks}}},
        "rules": [{"name": "all", "require": "corp"}],
    })
}

fn auth(host: &Rc<FakeHost>, configuration: &Value) -> Worker<Auth> {
    worker_on(host, &configuration.to_string())
}

fn status(worker: &Worker<Auth>, token: &str) -> u16 {
    worker.get("/", &[("authorization", token.as_bytes())]).status()
}

#[test]
fn a_remembered_token_ends_when_it_ends() {
    let host = FakeHost::new();
    let worker = auth(&host, &corp(&json!({"inline": key_set(&[(ONE, "one")])})));
    let token = token(&json!({"nbf": NOW - 10}));
    for _ in 0..2 {
        assert_eq!(status(&worker, &token), 200);
    }
    host.advance(Duration::from_secs(89));
    assert_eq!(status(&worker, &token), 200, "within the skew");
    host.advance(Duration::from_secs(1));
    assert_eq!(status(&worker, &token), 401);
    host.rewind(Duration::from_secs(131));
    assert_eq!(status(&worker, &token), 401, "before its beginning, by a clock that was put back");
}

#[test]
fn a_token_that_is_not_valid_yet_becomes_so() {
    let host = FakeHost::new();
    let worker = auth(&host, &corp(&json!({"inline": key_set(&[(ONE, "one")])})));
    let token = token(&json!({"nbf": NOW + 40, "exp": NOW + 400}));
    assert_eq!(status(&worker, &token), 401);
    host.advance(Duration::from_secs(11));
    assert_eq!(status(&worker, &token), 200);
}

#[test]
fn the_host_verifies_each_token_once_and_pure_rust_where_it_does_not() {
    let host = FakeHost::new();
    let asked = Rc::new(Cell::new(0));
    let counting = Rc::clone(&asked);
    host.offer("verify_signature", move |_| {
        counting.set(counting.get() + 1);
        Ok(vec![0x08, 0x01])
    });
    let worker = auth(&host, &corp(&json!({"inline": key_set(&[(ONE, "one")])})));
    // This host takes any signature; what it says counts.
    let token = token(&json!({}));
    let malformed = format!("{token}.x");
    for _ in 0..3 {
        assert_eq!(status(&worker, &token), 200);
    }
    assert_eq!(asked.get(), 1, "then it is remembered");
    assert_eq!(status(&worker, &malformed), 401, "what is no token is not asked about");
    assert_eq!(asked.get(), 1);

    for answer in [Ok(Vec::new()), Ok(vec![0x08, 0x00]), Ok(b"\xff\xff".to_vec()), Ok(vec![0x12, 0x01, 0x08])]
    {
        let host = FakeHost::new();
        host.offer("verify_signature", move |_| answer.clone());
        let worker = auth(&host, &corp(&json!({"inline": key_set(&[(ONE, "one")])})));
        assert_eq!(status(&worker, &token), 401, "an answer other than true");
    }
    let host = FakeHost::new();
    host.offer("verify_signature", |_| Err(HostError::Unimplemented));
    let worker = auth(&host, &corp(&json!({"inline": key_set(&[(ONE, "one")])})));
    assert_eq!(status(&worker, &token), 200, "in pure Rust");
}

fn answer(status: &str, body: &str) -> CalloutResponse {
    let headers = HeaderBlock::from_pairs([(b":status".as_slice(), status.as_bytes())].into_iter());
    CalloutResponse { headers, body: body.as_bytes().to_vec() }
}

#[test]
fn keys_are_fetched_at_a_tick_before_they_grow_old() {
    let host = FakeHost::new();
    let worker = auth(&host, &corp(&json!({"cluster": "idp", "path": "/jwks", "refresh": "10m"})));
    assert!(worker.tick_period().is_some());
    worker.tick();
    let keys = key_set(&[(ONE, "one")]).to_string();
    let token_of = |number| tidegate_filter_api::CallToken::Http(number);
    worker.end_dispatched(token_of(1), Ok(answer("200", &keys)));
    let good = token(&json!({"exp": NOW + 100_000}));
    assert_eq!(status(&worker, &good), 200, "nobody had to wait");
    for _ in 0..599 {
        host.advance(Duration::from_secs(1));
        worker.tick();
    }
    assert_eq!(host.calls().len(), 1);
    host.advance(Duration::from_secs(1));
    worker.tick();
    worker.tick();
    assert_eq!(host.calls().len(), 2, "one at a time");
    worker.end_dispatched(token_of(2), Err(CalloutFailure::NoAnswer));
    assert_eq!(status(&worker, &good), 200, "the last good ones stay");
    worker.tick();
    assert_eq!(host.calls().len(), 2, "not at once again");
    host.advance(Duration::from_secs(10));
    worker.tick();
    assert_eq!(host.calls().len(), 3);
    assert_eq!((host.metric("tidegate.auth.keys_fetched"), host.metric("tidegate.auth.keys_failed")), (1, 1));
}

#[test]
fn a_missing_token_passes_while_there_are_no_keys_and_a_present_one_does_not() {
    let host = FakeHost::new();
    let mut configuration = corp(&json!({"cluster": "idp", "path": "/jwks"}));
    configuration["rules"][0]["require"] = json!({"provider": "corp", "allow_missing": true});
    let worker = auth(&host, &configuration);
    host.fail("call", HostError::BadArgument);
    assert_eq!(worker.get("/", &[]).status(), 200);
    assert_eq!(status(&worker, &token(&json!({}))), 503);
    assert_eq!(status(&worker, "Bearer x"), 401);
    // Good and bad, in both orders: bad is bad, whatever cannot be checked beside it.
    let good = token(&json!({}));
    configuration["providers"]["corp"]["jwt"]["from"] = json!([{"header": "x-a"}, {"header": "x-b"}]);
    let worker = auth(&host, &configuration);
    let bare = good.strip_prefix("Bearer ").unwrap().as_bytes();
    for (a, b) in [(bare, b"x.y.z".as_slice()), (b"x.y.z", bare)] {
        assert_eq!(worker.get("/", &[("x-a", a), ("x-b", b)]).status(), 401);
    }
}

const SECRET: &[u8] = b"0123456789abcdef";

fn hooks(max: u64, on_full: &str) -> Worker<Auth> {
    let host = FakeHost::new();
    host.set_variable("SECRET", SECRET);
    let configuration = json!({
        "providers": {"hooks": {"hmac": {"from": {"header": "x-signature"}, "secret_env": "SECRET",
            "signed": ["path", "header:x-time"], "timestamp": {"header": "x-time"}, "window": "5m",
            "encoding": "hex", "max": max, "on_full": on_full}}},
        "rules": [{"name": "all", "require": "hooks"}],
    });
    auth(&host, &configuration)
}

fn signed(worker: &Worker<Auth>, path: &str, at: u64) -> u16 {
    let signature = hmac(SECRET, format!("{path}\n{at}").as_bytes());
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let at = at.to_string();
    worker.get(path, &[("x-signature", signature.as_bytes()), ("x-time", at.as_bytes())]).status()
}

#[test]
fn a_signature_is_good_once_and_for_a_while() {
    let worker = hooks(1_000, "deny");
    assert_eq!(signed(&worker, "/a", NOW - 300), 200);
    assert_eq!(signed(&worker, "/b", NOW - 301), 401, "too old");
    assert_eq!(signed(&worker, "/b", NOW + 300), 200);
    assert_eq!(signed(&worker, "/b", NOW + 301), 401, "too new");
    assert_eq!(signed(&worker, "/a", NOW - 300), 401, "used");
    worker.host().advance(Duration::from_secs(400));
    assert_eq!(signed(&worker, "/b", NOW + 300), 401, "used, and good still");
    // What is forgotten is too old by then.
    worker.host().advance(Duration::from_secs(10_000));
    assert_eq!(signed(&worker, "/b", NOW + 300), 401);
}

#[test]
fn a_full_table_denies_unless_told_otherwise_and_is_bounded() {
    for (on_full, expected) in [("deny", 503), ("allow", 200)] {
        let worker = hooks(16, on_full);
        for number in 0..16 {
            assert_eq!(signed(&worker, &format!("/{number}"), NOW), 200);
        }
        assert_eq!(signed(&worker, "/more", NOW), expected);
        worker.host().advance(Duration::from_secs(301));
        assert_eq!(signed(&worker, "/later", NOW + 301), 200, "those before are forgotten");
        let (keys, bytes) = worker.host().shared_size();
        assert!(keys == 1 && bytes < 500, "{keys} keys, {bytes} bytes");
        worker.host().overwrite_shared(b"another plugin's");
        assert_eq!(signed(&worker, "/again", NOW + 301), 200, "what is read back is checked");
        worker.host().fail("set_shared", HostError::InternalFailure);
        assert_eq!(signed(&worker, "/last", NOW + 301), 503, "what cannot be remembered does not pass");
    }
}

#[test]
fn a_body_is_read_only_for_a_signature_that_covers_it() {
    let host = FakeHost::new();
    host.set_variable("SECRET", SECRET);
    let configuration = json!({
        "providers": {"hooks": {"hmac": {"from": {"header": "x-signature"}, "secret_env": "SECRET",
            "signed": ["header:x-time", "body_sha256"], "timestamp": {"header": "x-time"}}}},
        "rules": [{"name": "open", "match": {"paths": [{"prefix": "/open"}]}, "allow": "anyone"},
                  {"name": "all", "require": "hooks"}],
    });
    let worker = auth(&host, &configuration);
    let signature = "00".repeat(32);
    let headers: [(&str, &[u8]); 2] = [("x-signature", signature.as_bytes()), ("x-time", b"1700000000")];
    let first = |path: &str, headers: &[(&str, &[u8])]| worker.begin("POST", path, headers).0;
    assert!(matches!(first("/open", &headers), Outcome::Passed(_)), "no rule asks for it");
    assert_eq!(first("/", &[]).status(), 401, "there is none");
    assert_eq!(first("/", &[("x-signature", b"short")]).status(), 401, "it is malformed");
    let (outcome, mut exchange) = worker.begin("POST", "/", &headers);
    assert_eq!(outcome, Outcome::Held);
    assert_eq!(exchange.body(b"x", true).status(), 401);
}
