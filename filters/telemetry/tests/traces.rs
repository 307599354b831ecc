//! Trace contexts and spans, on a fake host.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so at once"
)]

#[cfg(test)]
mod common;

use std::time::Duration;

use common::{answer, attributes, call, calls, messages, number, records, tick};
use tidegate_filter_api::Property;
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{Outcome, Worker, worker};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn tracing(trace: &str) -> Worker<Telemetry> {
    worker(&format!(r#"{{"trace": {trace}}}"#))
}

fn upstream(worker: &Worker<Telemetry>, headers: &[(&str, &str)]) -> Outcome {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    worker.get("/", &headers)
}

fn value(outcome: &Outcome, name: &str) -> Option<String> {
    let values = outcome.upstream(name);
    assert!(values.len() <= 1, "{name} stands {} times", values.len());
    values.first().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// Trace id, span id and flags.
fn parent(outcome: &Outcome) -> (String, String, String) {
    let value = value(outcome, "traceparent").expect("a traceparent");
    let parts: Vec<&str> = value.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { panic!("{value}") };
    assert_eq!((version, trace.len(), span.len()), ("00", 32, 16), "{value}");
    (trace.to_owned(), span.to_owned(), flags.to_owned())
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

#[test]
fn who_records_no_spans_passes_a_context_on_as_it_came() {
    let worker = tracing(r#"{"sample": 1}"#);
    for flags in ["00", "01"] {
        let outcome = upstream(&worker, &[("traceparent", &traceparent(flags)), ("tracestate", "a=1, b=2")]);
        assert_eq!(value(&outcome, "traceparent"), Some(traceparent(flags)));
        assert_eq!(value(&outcome, "tracestate").as_deref(), Some("a=1, b=2"));
    }
}

#[test]
fn who_records_spans_is_the_parent_of_those_that_come_next() {
    let worker = tracing(r#"{"otlp": {"cluster": "collector"}}"#);
    let (trace, span, flags) =
        parent(&upstream(&worker, &[("traceparent", &traceparent("01")), ("tracestate", "a=1")]));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
    assert_ne!(span, SPAN);
    // What is not sampled is not recorded, and keeps its parent.
    let (_, span, flags) = parent(&upstream(&worker, &[("traceparent", &traceparent("00"))]));
    assert_eq!((span.as_str(), flags.as_str()), (SPAN, "00"));
}

#[test]
fn a_request_without_a_context_begins_a_trace() {
    let worker = tracing(r#"{"sample": 1}"#);
    let (first, span, flags) = parent(&upstream(&worker, &[]));
    assert_eq!(flags, "01");
    assert_ne!((first.as_str(), span.as_str()), ("0".repeat(32).as_str(), "0".repeat(16).as_str()));
    let (second, ..) = parent(&upstream(&worker, &[]));
    assert_ne!(first, second);
}

#[test]
fn malformed_contexts_are_replaced_and_their_state_is_dropped() {
    let worker = tracing("{}");
    let zero = format!("00-{}-{SPAN}-01", "0".repeat(32));
    let long = format!("{}-00", traceparent("01"));
    for malformed in ["", "nonsense", &zero, &long, &format!("ff-{TRACE}-{SPAN}-01")] {
        let outcome = upstream(&worker, &[("traceparent", malformed), ("tracestate", "a=1")]);
        let (trace, ..) = parent(&outcome);
        assert_ne!(trace, TRACE, "{malformed}");
        assert_eq!(value(&outcome, "tracestate"), None, "{malformed}");
    }
    let twice = [("traceparent", &*traceparent("01")), ("traceparent", &*traceparent("01"))];
    assert_ne!(parent(&upstream(&worker, &twice)).0, TRACE, "it stands once");
}

#[test]
fn a_malformed_state_is_dropped_and_the_context_kept() {
    let worker = tracing("{}");
    for state in ["A=1", "a", &(0..33).map(|key| format!("k{key}=1")).collect::<Vec<_>>().join(",")] {
        let outcome = upstream(&worker, &[("traceparent", &traceparent("01")), ("tracestate", state)]);
        assert_eq!(parent(&outcome).0, TRACE);
        assert_eq!(value(&outcome, "tracestate"), None, "{state}");
    }
    // Several headers are one state.
    let outcome = upstream(
        &worker,
        &[("traceparent", &traceparent("01")), ("tracestate", "a=1"), ("tracestate", "b=2")],
    );
    assert_eq!(outcome.upstream("tracestate"), [b"a=1", b"b=2"]);
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let worker = tracing("{}");
    let outcome = upstream(&worker, &[("traceparent", &format!("cc-{TRACE}-{SPAN}-03-more"))]);
    assert_eq!(value(&outcome, "traceparent"), Some(traceparent("01")));
}

#[test]
fn about_what_is_sampled_the_first_to_know_decides() {
    let worker = tracing(r#"{"sample": 0.5, "propagate": ["w3c", "b3"]}"#);
    let sampled = |outcome: &Outcome| parent(outcome).2 == "01";
    assert!(sampled(&upstream(&worker, &[("traceparent", &traceparent("01"))])));
    assert!(!sampled(&upstream(&worker, &[("traceparent", &traceparent("00"))])));
    assert!(sampled(&upstream(&worker, &[("b3", "1")])));
    assert!(!sampled(&upstream(&worker, &[("b3", "0")])));
    let mut yes = 0;
    for _ in 0..400 {
        yes += i32::from(sampled(&upstream(&worker, &[])));
    }
    assert!((150..250).contains(&yes), "{yes} of 400");
    // Left open: the trace's id decides, the same way each time.
    let low = format!("{TRACE}-{SPAN}");
    let once = sampled(&upstream(&worker, &[("b3", &low)]));
    assert!((0..10).all(|_| sampled(&upstream(&worker, &[("b3", &low)])) == once));
}

#[test]
fn nothing_is_sampled_of_what_nobody_wants_sampled() {
    let worker = tracing(r#"{"sample": 0, "otlp": {"cluster": "collector"}}"#);
    let (_, exchange) = worker.send("GET", "/", &[]);
    exchange.end(Some(200), Duration::ZERO);
    tick(&worker, 10);
    assert_eq!(calls(&worker), 0);
}

#[test]
fn a_trust_boundary_begins_traces_of_its_own() {
    let worker = tracing(r#"{"incoming": "restart", "sample": 0}"#);
    let outcome = upstream(&worker, &[("traceparent", &traceparent("01")), ("tracestate", "a=1")]);
    let (trace, _, flags) = parent(&outcome);
    assert_ne!(trace, TRACE);
    assert_eq!(flags, "00", "a client cannot have itself recorded");
    assert_eq!(value(&outcome, "tracestate"), None);
}

#[test]
fn b3_goes_in_and_out_in_one_header_or_in_several() {
    let both = tracing(r#"{"propagate": ["w3c", "b3"]}"#);
    let outcome = upstream(&both, &[("b3", &format!("{TRACE}-{SPAN}-1"))]);
    assert_eq!(value(&outcome, "b3"), Some(format!("{TRACE}-{SPAN}-1")));
    assert_eq!(value(&outcome, "traceparent"), Some(traceparent("01")));
    // Several in, one out: what nobody updates must not stay.
    let multi =
        [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0"), ("x-b3-parentspanid", SPAN)];
    let outcome = upstream(&both, &multi);
    assert_eq!(value(&outcome, "b3"), Some(format!("{TRACE}-{SPAN}-0")));
    assert_eq!(value(&outcome, "x-b3-traceid"), None);
    assert_eq!(value(&outcome, "x-b3-parentspanid"), None);

    let several = tracing(r#"{"propagate": ["b3_multi"], "otlp": {"cluster": "c"}}"#);
    let outcome = upstream(&several, &[("b3", &format!("{TRACE}-{SPAN}-d"))]);
    assert_eq!(value(&outcome, "x-b3-traceid").as_deref(), Some(TRACE));
    assert_eq!(value(&outcome, "x-b3-parentspanid").as_deref(), Some(SPAN));
    assert_ne!(value(&outcome, "x-b3-spanid").as_deref(), Some(SPAN));
    assert_eq!(value(&outcome, "x-b3-sampled").as_deref(), Some("1"));
    assert_eq!((value(&outcome, "b3"), value(&outcome, "traceparent")), (None, None));
}

#[test]
fn the_formats_are_believed_in_their_order() {
    let other = "b".repeat(32);
    let headers = [("traceparent", &*traceparent("01")), ("b3", &*format!("{other}-{SPAN}-0"))];
    assert_eq!(parent(&upstream(&tracing(r#"{"propagate": ["w3c", "b3"]}"#), &headers)).0, TRACE);
    let b3_first = upstream(&tracing(r#"{"propagate": ["b3", "w3c"]}"#), &headers);
    assert_eq!(parent(&b3_first).0, other);
    // A format that is not spoken is left alone.
    let outcome = upstream(&tracing("{}"), &headers);
    assert_eq!(value(&outcome, "b3"), Some(format!("{other}-{SPAN}-0")));
}

#[test]
fn baggage_is_bounded_and_ones_own_cannot_be_forged() {
    let worker = tracing(r#"{"baggage": {"tenant": {"header": "x-tenant"}, "env": {"text": "prod"}}}"#);
    let outcome = upstream(&worker, &[("x-tenant", "ac me"), ("baggage", "a=1,tenant=evil,=bad")]);
    assert_eq!(value(&outcome, "baggage").as_deref(), Some("tenant=ac%20me,env=prod,a=1"));
    let outcome = upstream(&worker, &[("baggage", "tenant=evil")]);
    assert_eq!(value(&outcome, "baggage").as_deref(), Some("env=prod"));
    let long = "x".repeat(300);
    let outcome = upstream(&worker, &[("x-tenant", &long)]);
    assert_eq!(value(&outcome, "baggage").as_deref(), Some("env=prod"), "too long is none");
    let plain = upstream(&tracing("{}"), &[("baggage", "a=1 ; p=2,b=3")]);
    assert_eq!(value(&plain, "baggage").as_deref(), Some("a=1 ; p=2,b=3"));
}

#[test]
fn the_response_tells_the_trace_where_that_is_asked_for() {
    let worker = tracing(r#"{"response_header": "x-trace-id"}"#);
    let headers: [(&str, &[u8]); 1] =
        [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    let (_, mut exchange) = worker.send("GET", "/", &headers);
    let response = exchange.response(&[(":status", b"200"), ("x-trace-id", b"forged")]);
    let ids: Vec<_> = response.iter().filter(|(name, _)| name == "x-trace-id").collect();
    assert_eq!(ids, [&("x-trace-id".to_owned(), TRACE.as_bytes().to_vec())]);
    let silent = tracing("{}");
    let (_, mut exchange) = silent.send("GET", "/", &headers);
    assert_eq!(exchange.response(&[(":status", b"200")]).len(), 1);
}

#[test]
fn a_span_says_what_became_of_a_request() {
    let worker = worker::<Telemetry>(
        r#"{"path_templates": ["/users/{id}"], "trace": {"otlp": {"cluster": "collector", "path": "/in/traces"},
            "attributes": {"tenant": {"header": "x-tenant"}}, "batch": {"max": 1}}}"#,
    );
    let host = worker.host();
    let headers: [(&str, &[u8]); 5] = [
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (":scheme", b"https"),
        ("user-agent", b"curl/8"),
        ("x-tenant", b"acme"),
        ("authorization", b"Bearer s3cret"),
    ];
    let (outcome, exchange) = worker.send("PUT", "/users/7?token=s3cret", &headers);
    let Outcome::Passed(pairs) = outcome else { panic!("{outcome:?}") };
    let sent = pairs.iter().find(|(name, _)| name == "traceparent").unwrap().1.clone();
    host.set(Property::REQUEST_TIME, &5_000_000_000_i64.to_le_bytes());
    for (property, value) in [
        (Property::ROUTE_NAME, "users"),
        (Property::UPSTREAM_CLUSTER, "users-v2"),
        (Property::LIMIT, "per-user"),
        (Property::AUTH_RULE, "api"),
        (Property::ROUTING_RULE, "canary"),
        (Property::ROUTING_ARM, "beta"),
        (Property::REQUEST_PROTOCOL, "HTTP/2"),
    ] {
        host.set(property, value.as_bytes());
    }
    host.set(Property::RESPONSE_FLAGS, &(1_i64 << 5).to_le_bytes());
    exchange.end(Some(503), Duration::from_millis(42));
    let call = call(&worker, 1);
    assert!(call.headers.contains(&(":path".to_owned(), b"/in/traces".to_vec())));
    let span = records(&call).remove(0);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&messages(&span, 1)[0]), TRACE);
    assert_eq!(hex(&messages(&span, 4)[0]), SPAN, "the parent is the client's");
    let own = hex(&messages(&span, 2)[0]);
    assert_eq!(String::from_utf8(sent).unwrap(), format!("00-{TRACE}-{own}-01"), "the upstream's parent");
    assert_eq!(messages(&span, 5), [b"PUT /users/{id}"]);
    assert_eq!(
        (number(&span, 6), number(&span, 7), number(&span, 8)),
        (Some(2), Some(5_000_000_000), Some(5_042_000_000))
    );
    assert_eq!(number(&messages(&span, 15)[0], 3), Some(2), "an error");
    let attributes = attributes(&span, 9);
    for (name, expected) in [
        ("http.request.method", "PUT"),
        ("http.response.status_code", "503"),
        ("http.route", "/users/{id}"),
        ("url.path", "/users/7"),
        ("url.scheme", "https"),
        ("server.address", "shop.example.com"),
        ("client.address", "192.0.2.1"),
        ("network.protocol.version", "2"),
        ("user_agent.original", "curl/8"),
        ("error.type", "503"),
        ("envoy.route_name", "users"),
        ("envoy.upstream_cluster", "users-v2"),
        ("envoy.response_flags", "UF"),
        ("tidegate.limit", "per-user"),
        ("tidegate.auth_rule", "api"),
        ("tidegate.routing_rule", "canary"),
        ("tidegate.routing_arm", "beta"),
        ("tenant", "acme"),
    ] {
        assert_eq!(attributes.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert!(!format!("{attributes:?}").contains("s3cret"));
    answer(&worker, 200, &[], b"");
    assert_eq!(host.metric("tidegate.telemetry.exported_spans"), 1);
    assert_eq!(host.metric("tidegate.telemetry.dropped_spans"), 0);
}

#[test]
fn a_request_that_ended_well_has_no_error_and_one_without_a_parent_is_a_root() {
    let worker = tracing(r#"{"otlp": {"cluster": "collector"}, "batch": {"max": 1}}"#);
    let (_, exchange) = worker.send("GET", "/x", &[]);
    exchange.end(Some(404), Duration::ZERO);
    let span = records(&call(&worker, 1)).remove(0);
    assert_eq!((messages(&span, 4).len(), messages(&span, 15).len()), (0, 0));
    assert_eq!(messages(&span, 5), [b"GET"], "a span's name has few values");
}

#[test]
fn a_request_that_never_got_here_has_no_span() {
    let worker = tracing(r#"{"otlp": {"cluster": "collector"}, "batch": {"max": 1}}"#);
    worker.unseen("GET", "/", &[]).end(Some(403), Duration::ZERO);
    tick(&worker, 5);
    assert_eq!(calls(&worker), 0);
}

#[test]
fn a_trace_in_a_format_that_is_not_spoken_ends_at_a_trust_boundary() {
    let b3 = format!("{TRACE}-{SPAN}-1");
    let traceparent = traceparent("01");
    let all = [
        ("traceparent", &*traceparent),
        ("tracestate", "a=1"),
        ("b3", &*b3),
        ("x-b3-traceid", TRACE),
        ("x-b3-flags", "1"),
    ];
    for (format, own) in [("w3c", "traceparent"), ("b3", "b3"), ("b3_multi", "x-b3-traceid")] {
        let worker = tracing(&format!(r#"{{"incoming": "restart", "propagate": ["{format}"]}}"#));
        let outcome = upstream(&worker, &all);
        for (name, client) in all {
            let seen = value(&outcome, name);
            assert_ne!(seen.as_deref(), Some(client), "{format}: {name}");
            assert!(seen.is_none() || name == own, "{format}: {name} is {seen:?}");
        }
    }
}

#[test]
fn baggage_tells_nobody_a_token_of_a_url() {
    let worker = tracing(r#"{"baggage": {"from": {"header": "referer"}}}"#);
    let outcome = upstream(&worker, &[("referer", "https://a/?token=s3cret")]);
    let baggage = value(&outcome, "baggage").unwrap();
    assert!(!baggage.contains("s3cret") && baggage.starts_with("from=https://a/?token"), "{baggage}");
    // Several libraries decode keys, though none is escaped.
    let worker = tracing(r#"{"baggage": {"tenant": {"header": "x-tenant"}}}"#);
    let outcome = upstream(&worker, &[("x-tenant", "acme"), ("baggage", "%74enant=evil,a=1")]);
    assert_eq!(value(&outcome, "baggage").as_deref(), Some("tenant=acme,a=1"));
}

#[test]
fn a_span_holds_no_credential_whatever_it_stands_in() {
    let worker = tracing(
        r#"{"otlp": {"cluster": "collector"}, "batch": {"max": 1}, "redact": {"query": ["voucher"], "headers": ["x-own"]},
            "attributes": {"from": {"header": "referer"}, "to": {"response_header": "location"}, "own": {"header": "x-own"},
                "q": "query", "host": "host"}}"#,
    );
    let headers: [(&str, &[u8]); 4] = [
        ("user-agent", b"an app, token=s3cret"),
        ("referer", b"https://ann:s3cret@a.example/?token=s3cret&page=2"),
        ("x-own", b"s3cret"),
        (":authority", b"ann:s3cret@shop.example"),
    ];
    let (_, mut exchange) = worker.send("GET", "/a;jsessionid=s3cret/b?voucher=s3cret", &headers);
    exchange.response(&[(":status", b"302"), ("location", b"/cb#access_token=s3cret")]);
    exchange.end(Some(302), Duration::ZERO);
    let span = records(&call(&worker, 1)).remove(0);
    assert!(!String::from_utf8_lossy(&span).contains("s3cret"), "{:?}", attributes(&span, 9));
    let attributes = attributes(&span, 9);
    assert_eq!(attributes["from"], "https://[redacted]@a.example/?token=[redacted]&page=2");
    assert_eq!(attributes["to"], "/cb#access_token=[redacted]");
    assert_eq!(attributes["url.path"], "/a;jsessionid=[redacted]/b");
    assert_eq!(attributes["q"], "voucher=[redacted]");
}
