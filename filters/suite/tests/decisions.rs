//! What only a suite has to get right: order, absent filters, responses, refusals.

use std::time::Duration;

use tidegate_filter_api::{Callout, CalloutFailure, CalloutResponse, HeaderBlock};
use tidegate_suite::Suite;
use tidegate_testkit::fake::{Outcome, refusal, worker};

const ALL: &str = r#"{
    "auth": {
        "providers": {"keys": {"api_key": {"from": [{"header": "x-api-key"}],
            "keys": [{"id": "acme", "sha256": "KEY"}]}}},
        "rules": [{"name": "api", "match": {"paths": [{"prefix": "/api"}]}, "require": "keys"}],
        "default": "allow"
    },
    "rate_limit": {"limits": [{"name": "each", "key": ["principal"], "quotas": [{"requests": 1, "per": "1m"}]}]},
    "header_routing": {
        "rules": [{"name": "acme", "match": {"principals": [{"exact": "acme"}]}, "route": "beta"}],
        "route_header": "x-route"
    },
    "telemetry": {"metrics": [{"name": "requests", "type": "counter", "labels": {"who": "principal", "code": "status_class"}}]}
}"#;
/// Of "acme-key-1".
const DIGEST: &str = "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508";

fn all() -> String {
    ALL.replace("KEY", DIGEST)
}

const KEY: &[(&str, &[u8])] = &[("x-api-key", b"acme-key-1")];

#[test]
fn what_one_filter_finds_out_the_next_knows() {
    let suite = worker::<Suite>(&all());
    let first = suite.get("/api", KEY);
    assert_eq!(first.upstream("x-route"), [b"beta"], "routed by the principal");
    assert_eq!(suite.get("/api", KEY).status(), 429, "limited by the principal");
    // Without a principal there is nothing to count by.
    assert_eq!(suite.get("/", &[]).upstream("x-route"), [] as [&[u8]; 0]);
}

#[test]
fn a_refused_request_meets_no_later_filter_but_is_counted() {
    let suite = worker::<Suite>(&all());
    let (outcome, exchange) = suite.send("GET", "/api", &[]);
    assert_eq!(outcome.status(), 401);
    assert_eq!(suite.host().metric("tidegate.rate_limit.each.allowed"), 0);
    exchange.end(Some(401), Duration::from_millis(1));
    suite.tick();
    assert_eq!(suite.host().metric("code=.=4xx;.;who=.=unknown;.;requests"), 1);
}

#[test]
fn the_order_is_the_configurations() {
    let order = r#""order": ["rate_limit", "auth", "header_routing", "telemetry"], "auth""#;
    let suite = worker::<Suite>(&all().replace("\"auth\"", order).replace(r#"["principal"]"#, "[]"));
    assert_eq!(suite.get("/api", &[]).status(), 401);
    assert_eq!(suite.get("/api", &[]).status(), 429, "counted before anybody is asked who they are");
}

#[test]
fn filters_that_are_not_configured_do_nothing() {
    let suite = worker::<Suite>(r#"{"telemetry": {"metrics": [{"name": "requests", "type": "counter"}]}}"#);
    let Outcome::Passed(pairs) = suite.get("/", KEY) else { panic!("not let through") };
    assert_eq!(pairs.len(), 4, "nothing was added: {pairs:?}");
    assert!(
        !suite.host().metric_names().iter().any(|name| name.contains("auth") || name.contains("rate_limit"))
    );
}

#[test]
fn every_error_of_every_filter_is_told_with_its_path() {
    assert_eq!(
        refusal::<Suite>(
            r#"{"auth": {"rules": 1}, "rate_limit": {"limits": []}, "routing": {}, "order": ["auth"]}"#
        ),
        "auth.rules: expected a list, found 1\n\
         rate_limit.limits: expected a list of at least one, found an empty list\n\
         order: expected each configured filter once: auth, rate_limit, found auth\n\
         routing: expected one of \"auth\", \"rate_limit\", \"header_routing\", \"telemetry\", \"order\", found an unknown key"
    );
    for nothing in ["{}", r#"{"order": []}"#] {
        assert!(refusal::<Suite>(nothing).contains(
            "configuration: expected at least one of \"auth\", \"rate_limit\", \"header_routing\", \"telemetry\", found none of them"
        ));
    }
}

/// What an earlier filter took away or wrote is not what the client sent: a decision service hears of the former.
#[test]
fn a_decision_service_is_told_what_goes_on_from_the_filters_before() {
    let suite = worker::<Suite>(
        r#"{"header_routing": {"default": {"route": "stable"}, "rules": [], "route_header": "x-route"},
            "auth": {"providers": {"policy": {"external": {"http": {"cluster": "policy"}}}},
                     "rules": [{"name": "all", "require": "policy"}]},
            "order": ["header_routing", "auth"]}"#,
    );
    assert!(matches!(suite.get("/", &[("x-route", b"forged")]), Outcome::Waiting(_)));
    let calls = suite.host().calls();
    let [Callout::Http(call)] = calls.as_slice() else { panic!("{calls:?}") };
    let told: Vec<&[u8]> = call
        .headers
        .iter()
        .filter(|(name, _)| name == "x-route")
        .map(|(_, value)| value.as_slice())
        .collect();
    assert_eq!(told, [b"stable"]);
}

fn answered(pairs: &[(&str, &str)], body: &[u8]) -> CalloutResponse {
    let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    CalloutResponse { headers: HeaderBlock::from_pairs(pairs), body: body.to_vec() }
}

/// Each filter may hold the request for a call of its own: those behind it wait, those before it are not asked again, what
/// all of them edit is edited once, and telemetry, behind them all, sees how it ended.
#[test]
fn filters_in_the_middle_hold_the_request_one_after_the_other() {
    let suite = worker::<Suite>(
        r#"{"auth": {"providers": {"policy": {"external": {"http": {"cluster": "policy"}, "upstream_headers": ["x-tier"]}}},
                     "rules": [{"name": "all", "require": "policy"}]},
            "rate_limit": {"limits": [{"name": "all", "key": [{"header": "x-tier"}], "global": true}],
                           "global": {"cluster": "limits", "domain": "shop", "on_error": "deny"}},
            "header_routing": {"rules": [], "default": {"route": "stable"}, "route_header": "x-route"},
            "telemetry": {"metrics": [{"name": "requests", "type": "counter", "labels": {"code": "status_class"}}]}}"#,
    );
    let host = suite.host();
    let within = |status: &str| answered(&[(":status", status), ("x-tier", "gold")], b"");
    // OverallCode: 1 is within the limit, 2 is over it (envoy.service.ratelimit.v3).
    let limit = |code: u8| answered(&[], &[8, code]);
    let ask = || {
        let (Outcome::Waiting(first), exchange) = suite.send("GET", "/", &[("x-tier", b"forged")]) else {
            panic!("nobody was asked who it is")
        };
        (first, exchange)
    };
    let _ = host.take_made();
    let (first, mut exchange) = ask();
    assert_eq!(host.calls().len(), 1, "the limit waits for the identity");
    let Some(Outcome::Waiting(second)) = exchange.answer(first, Ok(within("200"))) else {
        panic!("nobody was asked how many")
    };
    assert_eq!(host.calls().len(), 2);
    assert!(exchange.answer(first, Ok(within("500"))).is_none(), "a call ends once");
    let passed = exchange.answer(second, Ok(limit(1))).unwrap();
    assert_eq!(
        (passed.upstream("x-tier"), passed.upstream("x-route")),
        (vec![&b"gold"[..]], vec![&b"stable"[..]])
    );
    let made = host.take_made();
    assert!(made.contains("request_headers 1") && made.contains("clear_route_cache 1"), "{made}");
    exchange.end(Some(200), Duration::ZERO);

    let (first, mut exchange) = ask();
    let refused = exchange.answer(first, Ok(within("403"))).unwrap();
    assert_eq!((refused.status(), host.calls().len()), (403, 3), "who is refused is not counted");
    exchange.end(Some(403), Duration::ZERO);

    let (first, mut exchange) = ask();
    let Some(Outcome::Waiting(second)) = exchange.answer(first, Ok(within("200"))) else {
        panic!("not held")
    };
    assert_eq!(exchange.answer(second, Ok(limit(2))).unwrap().status(), 429);
    exchange.end(Some(429), Duration::ZERO);

    let (first, mut exchange) = ask();
    assert_eq!(exchange.answer(first, Err(CalloutFailure::NoAnswer)).unwrap().status(), 503);
    exchange.end(Some(503), Duration::ZERO);
    suite.tick();
    let counted = ["2xx", "4xx", "5xx"].map(|code| host.metric(&format!("code=.={code};.;requests")));
    assert_eq!(counted, [1, 2, 1]);
}
