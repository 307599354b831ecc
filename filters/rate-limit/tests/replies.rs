//! What clients are told: fields of quotas on every response, and the replies to refused requests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so at once")]

use std::time::Duration;

use tidegate_filter_api::{GrpcStatus, Property};
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Outcome, Worker, worker};

const TWO_QUOTAS: &str = r#"{"name": "per-user", "quotas": [{"requests": 3, "per": "1m", "burst": 2}, {"requests": 5, "per": "1h"}]}"#;

fn with_reply(limits: &str, reply: &str) -> Worker<RateLimit> {
    worker(&format!(r#"{{"limits": [{limits}], "reply": {reply}}}"#))
}

/// The status, and the values of these headers of the response as the client gets it.
fn told(worker: &Worker<RateLimit>, upstream: &[(&str, &[u8])], names: &[&str]) -> (u16, Vec<Vec<String>>) {
    let (outcome, mut exchange) = worker.send("GET", "/", &[]);
    let pairs = match &outcome {
        Outcome::Replied(reply) => {
            let own = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let status = reply.status.to_string();
            let headers: Vec<_> = [(":status", status.as_bytes())].into_iter().chain(own).collect();
            exchange.response(&headers)
        }
        _ => exchange.response(upstream),
    };
    let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
    let values =
        |name: &&str| pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| text(value)).collect();
    (outcome.status(), names.iter().map(values).collect())
}

#[test]
fn every_quota_is_named_on_admitted_and_refused_responses() {
    let worker = with_reply(TWO_QUOTAS, r#"{"headers": "draft_11"}"#);
    let policy = r#""per-user:1m";q=3;w=60;tidegate-burst=2, "per-user:1h";q=5;w=3600"#;
    let expected = [
        (200, r#""per-user:1m";r=1;t=20, "per-user:1h";r=4;t=720"#, None),
        (200, r#""per-user:1m";r=0;t=20, "per-user:1h";r=3;t=720"#, None),
        (429, r#""per-user:1m";r=0;t=20, "per-user:1h";r=3;t=720"#, Some("20")),
    ];
    for (status, limit, retry) in expected {
        let seen = told(&worker, &[], &["ratelimit-policy", "ratelimit", "retry-after"]);
        let retry: Vec<String> = retry.into_iter().map(str::to_owned).collect();
        assert_eq!(seen, (status, vec![vec![policy.to_owned()], vec![limit.to_owned()], retry]));
    }
}

#[test]
fn a_field_is_never_there_twice() {
    for (fields, name) in [("draft_11", "ratelimit"), ("x_ratelimit", "x-ratelimit-remaining")] {
        let worker = with_reply(TWO_QUOTAS, &format!(r#"{{"headers": "{fields}"}}"#));
        let upstream = [(name, b"theirs".as_slice()), (name, b"twice")];
        for _ in 0..3 {
            let (_, seen) = told(&worker, &upstream, &[name]);
            assert_eq!(seen[0].len(), 1, "{seen:?}");
            assert_ne!(seen[0][0], "theirs");
        }
    }
    let silent = with_reply(TWO_QUOTAS, r#"{"headers": "none"}"#);
    let (_, seen) = told(&silent, &[("ratelimit", b"theirs")], &["ratelimit"]);
    assert_eq!(seen[0], ["theirs"], "who says nothing changes nothing");
}

#[test]
fn quotas_of_several_limits_stand_in_one_field_and_those_tried_out_in_none() {
    let worker = with_reply(
        r#"{"name": "a", "quotas": [{"requests": 9, "per": "1s"}]},
           {"name": "trial", "mode": "shadow", "quotas": [{"requests": 1, "per": "1h"}]},
           {"name": "elsewhere", "match": {"paths": [{"prefix": "/x"}]}, "quotas": [{"requests": 1, "per": "1h"}]},
           {"name": "exports", "quotas": [{"units": 50, "per": "1500ms"}], "concurrency": {"max": 4, "expire": "5m"}}"#,
        r#"{"headers": "draft_11"}"#,
    );
    let (_, seen) = told(&worker, &[], &["ratelimit-policy", "ratelimit"]);
    let policy =
        r#""a";q=9;w=1, "exports:1500ms";q=50;qu="units", "exports:concurrent";q=4;qu="concurrent-requests""#;
    assert_eq!(seen, [[policy], [r#""a";r=8;t=1, "exports:1500ms";r=49;t=1, "exports:concurrent";r=3"#]]);
}

#[test]
fn a_cost_known_from_the_response_is_in_its_fields() {
    let worker = with_reply(
        r#"{"name": "tokens", "quotas": [{"units": 100, "per": "100s"}], "cost": {"response_header": "x-used"}}"#,
        r#"{"headers": "draft_11"}"#,
    );
    let (_, seen) = told(&worker, &[(":status", b"200"), ("x-used", b"30")], &["ratelimit"]);
    assert_eq!(seen, [[r#""tokens";r=70;t=1"#]]);
    let (_, seen) = told(&worker, &[(":status", b"200")], &["ratelimit"]);
    assert_eq!(seen, [[r#""tokens";r=70;t=1"#]]);
    worker.host().advance(Duration::from_secs(100));
    let (_, seen) = told(&worker, &[(":status", b"200")], &["ratelimit"]);
    assert_eq!(seen, [[r#""tokens";r=100"#]], "nothing more will come of a whole quota");
}

#[test]
fn the_older_fields_speak_of_the_quota_with_the_least_left() {
    let worker = with_reply(TWO_QUOTAS, r#"{"headers": "x_ratelimit"}"#);
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let all = "3, 3;w=60, 5;w=3600";
    let expected = [(200, [all, "1", "20"]), (200, [all, "0", "40"]), (429, [all, "0", "40"])];
    for (status, values) in expected {
        assert_eq!(told(&worker, &[], &names), (status, values.map(|value| vec![value.to_owned()]).to_vec()));
    }
}

fn replied(outcome: Outcome) -> tidegate_filter_api::LocalReply {
    let Outcome::Replied(reply) = outcome else { panic!("no reply: {outcome:?}") };
    reply
}

fn header(reply: &tidegate_filter_api::LocalReply, name: &str) -> Option<String> {
    let found = reply.headers.iter().find(|(found, _)| found.as_str() == name);
    found.map(|(_, value)| String::from_utf8(value.as_bytes().to_vec()).unwrap())
}

const ONCE: &str =
    r#"{"name": "once", "quotas": [{"requests": 1, "per": "1h"}, {"requests": 10, "per": "1d"}]}"#;

#[test]
fn a_problem_names_the_policies_that_were_violated() {
    let worker = with_reply(ONCE, r#"{"problem_json": true}"#);
    assert_eq!(worker.get("/", &[]).status(), 200);
    let reply = replied(worker.get("/", &[]));
    assert_eq!(header(&reply, "content-type").as_deref(), Some("application/problem+json"));
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "violated-policies": ["once:1h"],
        })
    );
}

#[test]
fn problems_that_are_no_violation_say_what_they_are() {
    let worker = with_reply(
        r#"{"name": "per-user", "key": [{"header": "x-user-id"}], "on_missing": "deny", "quotas": [{"requests": 1, "per": "1h"}]}"#,
        r#"{"problem_json": true}"#,
    );
    let kind = |outcome: Outcome| {
        let reply = replied(outcome);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["status"], reply.status);
        (reply.status, body["type"].as_str().unwrap().to_owned())
    };
    assert_eq!(kind(worker.get("/", &[])), (429, "about:blank".to_owned()));
    worker.host().fail("shared", tidegate_filter_api::HostError::InternalFailure);
    assert_eq!(kind(worker.get("/", &[("x-user-id", b"a")])), (503, "about:blank".to_owned()));
}

#[test]
fn a_refusal_says_in_plain_words_what_it_is_for() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [{"name": "per-user", "key": [{"header": "x-user-id"}], "on_missing": "deny", "quotas": [{"requests": 1, "per": "1h"}]}],
            "table": {"max_keys": 1}}"#,
    );
    let said = |headers: &[(&str, &[u8])]| replied(worker.get("/", headers)).body.into_owned();
    assert_eq!(worker.get("/", &[("x-user-id", b"a")]).status(), 200);
    assert_eq!(said(&[("x-user-id", b"a")]), "too many requests\n");
    assert_eq!(said(&[]), "the request lacks what it would be counted by\n");
    assert_eq!(said(&[("x-user-id", b"b")]), "there is no room to count the request in\n");
    worker.host().fail("shared", tidegate_filter_api::HostError::InternalFailure);
    assert_eq!(said(&[("x-user-id", b"a")]), "the rate limit could not be checked\n");
}

#[test]
fn a_full_table_is_reduced_capacity() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [{"name": "per-user", "key": [{"header": "x-user-id"}], "quotas": [{"requests": 1, "per": "1h"}]}],
            "table": {"max_keys": 1}, "reply": {"problem_json": true, "headers": "draft_11"}}"#,
    );
    assert_eq!(worker.get("/", &[("x-user-id", b"a")]).status(), 200);
    let reply = replied(worker.get("/", &[("x-user-id", b"b")]));
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    assert_eq!((reply.status, header(&reply, "retry-after"), header(&reply, "ratelimit")), (429, None, None));
}

#[test]
fn the_body_and_the_status_can_be_ones_own() {
    let worker = with_reply(ONCE, r#"{"status": 503, "body": "<p>later</p>", "content_type": "text/html"}"#);
    let _ = worker.get("/", &[]);
    let reply = replied(worker.get("/", &[]));
    assert_eq!((reply.status, &*reply.body), (503, "<p>later</p>"));
    assert_eq!(header(&reply, "content-type").as_deref(), Some("text/html"));
    assert_eq!(header(&reply, "x-envoy-ratelimited").as_deref(), Some("true"));
}

#[test]
fn grpc_gets_a_status_and_a_plain_message() {
    for reply in [r#"{"problem_json": true}"#, r#"{"body": "<p>later</p>", "content_type": "text/html"}"#] {
        let worker = with_reply(ONCE, reply);
        let grpc: &[(&str, &[u8])] = &[("content-type", b"application/grpc+proto")];
        let _ = worker.get("/", grpc);
        let reply = replied(worker.get("/", grpc));
        assert_eq!(reply.grpc_status, GrpcStatus::ResourceExhausted);
        assert_eq!(header(&reply, "content-type"), None, "that is Envoy's to set");
        assert!(!reply.body.contains('{'), "{}", reply.body);
    }
}

#[test]
fn what_refused_is_published_only_if_asked_for() {
    let limits = r#"{"name": "trial", "mode": "shadow", "quotas": [{"requests": 1, "per": "1h"}]},
                    {"name": "real", "quotas": [{"requests": 2, "per": "1h"}]}"#;
    let published = |worker: &Worker<RateLimit>| {
        let _ = worker.get("/", &[]);
        let limit = tidegate_filter_api::Host::property(worker.host(), Property::LIMIT);
        limit.map(|limit| String::from_utf8(limit).unwrap())
    };
    let telling = worker::<RateLimit>(&format!(r#"{{"limits": [{limits}], "publish_decisions": true}}"#));
    assert_eq!(published(&telling), None);
    assert_eq!(published(&telling).as_deref(), Some("trial"), "it would have refused");
    assert_eq!(published(&telling).as_deref(), Some("real"), "who refuses comes before who would");
    let silent = with_reply(limits, "{}");
    assert_eq!([published(&silent), published(&silent), published(&silent)], [None, None, None]);
}
