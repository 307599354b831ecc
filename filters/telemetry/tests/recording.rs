//! What metrics record, on a fake host.

use std::time::Duration;

use tidegate_filter_api::{HostError, Property};
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{FakeHost, Worker, worker, worker_on};

const SHOP: &str = r#"{"metrics": [
    {"name": "shop_requests_total", "type": "counter",
     "labels": {"route": "route_name", "method": "method", "code": "status_class", "tenant": {"header": "x-tenant", "allow": ["acme"]}}},
    {"name": "shop_latency_milliseconds", "type": "histogram", "value": "duration", "labels": {"route": "route_name"}}]}"#;

fn exchange(worker: &Worker<Telemetry>, method: &str, headers: &[(&str, &[u8])], status: Option<u16>) {
    worker.host().set(Property::ROUTE_NAME, b"stable");
    let (outcome, exchange) = worker.send(method, "/cart?token=secret", headers);
    assert_eq!(outcome.status(), 200);
    exchange.end(status, Duration::from_millis(42));
    worker.tick();
}

fn total(worker: &Worker<Telemetry>, method: &str, code: &str, tenant: &str) -> i64 {
    worker.host().metric(&format!(
        "code=.={code};.;method=.={method};.;route=.=stable;.;tenant=.={tenant};.;shop_requests_total"
    ))
}

fn number(host: &FakeHost, property: Property, number: i64) {
    host.set(property, &number.to_le_bytes());
}

#[test]
fn exchanges_are_counted_by_their_labels() {
    let worker = worker::<Telemetry>(SHOP);
    exchange(&worker, "GET", &[("x-tenant", b"acme")], Some(200));
    exchange(&worker, "GET", &[("x-tenant", b"acme")], Some(204));
    exchange(&worker, "GET", &[("x-tenant", b"evil")], Some(503));
    exchange(&worker, "BREW", &[], None);
    exchange(&worker, "GET", &[("x-tenant", b"acme"), ("x-tenant", b"acme")], Some(200));
    assert_eq!(total(&worker, "GET", "2xx", "acme"), 2);
    assert_eq!(total(&worker, "GET", "5xx", "other"), 1);
    assert_eq!(total(&worker, "_OTHER", "unknown", "unknown"), 1);
    assert_eq!(total(&worker, "GET", "2xx", "other"), 1, "two values are nobody's");
    assert_eq!(worker.host().metric("route=.=stable;.;shop_latency_milliseconds"), 5 * 42);
    let mut names = worker.host().metric_names();
    let defined = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), defined, "no metric is defined twice");
}

#[test]
fn what_was_recorded_is_told_at_ticks() {
    let worker = worker::<Telemetry>(SHOP);
    assert_eq!(worker.tick_period(), Some(Duration::from_secs(1)));
    worker.host().set(Property::ROUTE_NAME, b"stable");
    for _ in 0..3 {
        let (_, exchange) = worker.send("GET", "/", &[("x-tenant", b"acme")]);
        exchange.end(Some(200), Duration::from_millis(1));
    }
    assert_eq!(total(&worker, "GET", "2xx", "acme"), 0);
    worker.tick();
    worker.tick();
    assert_eq!(total(&worker, "GET", "2xx", "acme"), 3, "once");
}

#[test]
fn a_worker_that_goes_tells_what_it_has() {
    let host = FakeHost::new();
    let worker = worker_on::<Telemetry>(&host, SHOP);
    host.set(Property::ROUTE_NAME, b"stable");
    let (_, exchange) = worker.send("GET", "/", &[("x-tenant", b"acme")]);
    exchange.end(Some(200), Duration::from_millis(7));
    worker.end();
    assert_eq!(
        host.metric("code=.=2xx;.;method=.=GET;.;route=.=stable;.;tenant=.=acme;.;shop_requests_total"),
        1
    );
    assert_eq!(host.metric("route=.=stable;.;shop_latency_milliseconds"), 7);
}

#[test]
fn a_label_value_cannot_forge_a_label() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [{"name": "m", "type": "counter", "labels": {"tenant": {"header": "x-tenant"}}}]}"#,
    );
    exchange(&worker, "GET", &[("x-tenant", b"a;.;status=.=2xx;.;m\n\xff")], Some(200));
    assert_eq!(worker.host().metric("tenant=.=a_._status_._2xx_._m__;.;m"), 1);
    exchange(&worker, "GET", &[("x-tenant", b"x.rbac.denied")], Some(200));
    assert_eq!(worker.host().metric("tenant=.=x.rbac_denied;.;m"), 1, "nor one of Istio's");
}

const BY_TENANT: &str = r#"{"max_series": 10, "metrics": [{"name": "m", "type": "counter", "labels": {"tenant": {"header": "x-tenant"}}}]}"#;

#[test]
fn any_number_of_values_ends_in_one_overflow_series() {
    let worker = worker::<Telemetry>(BY_TENANT);
    let before = worker.host().metric_names().len();
    for tenant in 0..1_000 {
        exchange(&worker, "GET", &[("x-tenant", format!("t{tenant}").as_bytes())], Some(200));
    }
    assert_eq!(worker.host().metric_names().len() - before, 11);
    assert_eq!(worker.host().metric("tenant=.=__overflow__;.;m"), 990);
    assert_eq!(worker.host().metric("tenant=.=t3;.;m"), 1);
    assert_eq!(worker.host().metric("tidegate.telemetry.dropped_label_sets"), 990);
}

#[test]
fn the_bound_is_for_all_workers_together() {
    let host = FakeHost::new();
    let workers = [(); 3].map(|()| worker_on::<Telemetry>(&host, BY_TENANT));
    for tenant in 0..300 {
        exchange(&workers[tenant % 3], "GET", &[("x-tenant", format!("t{tenant}").as_bytes())], Some(200));
    }
    let mut names = host.metric_names();
    names.retain(|name| name.ends_with(";.;m") && !name.contains("overflow"));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10);
    assert_eq!(host.metric("tenant=.=__overflow__;.;m"), 290);
    // What one worker has entered, another may have too.
    exchange(&workers[1], "GET", &[("x-tenant", b"t0")], Some(200));
    assert_eq!(host.metric("tenant=.=t0;.;m"), 2);
}

#[test]
fn each_metric_has_an_overflow_series_of_its_own() {
    let worker = worker::<Telemetry>(
        r#"{"max_series": 1, "metrics": [
            {"name": "a", "type": "counter", "labels": {"tenant": {"header": "x-tenant"}}},
            {"name": "b", "type": "histogram", "value": {"constant": 5}, "labels": {"tenant": {"header": "x-tenant"}}}]}"#,
    );
    exchange(&worker, "GET", &[("x-tenant", b"x")], Some(200));
    exchange(&worker, "GET", &[("x-tenant", b"y")], Some(200));
    assert_eq!(worker.host().metric("tenant=.=x;.;a"), 1);
    assert_eq!(worker.host().metric("tenant=.=__overflow__;.;a"), 1);
    assert_eq!(worker.host().metric("tenant=.=__overflow__;.;b"), 10);
}

#[test]
fn a_request_that_never_had_headers_is_counted_too() {
    let worker = worker::<Telemetry>(SHOP);
    worker.host().set(Property::ROUTE_NAME, b"");
    worker.unseen("", "", &[]).end(Some(400), Duration::ZERO);
    worker.tick();
    assert_eq!(
        worker.host().metric(
            "code=.=4xx;.;method=.=unknown;.;route=.=unknown;.;tenant=.=unknown;.;shop_requests_total"
        ),
        1
    );
}

#[test]
fn a_request_that_a_filter_in_front_refused_has_its_labels() {
    let worker = worker::<Telemetry>(SHOP);
    worker.host().set(Property::ROUTE_NAME, b"stable");
    worker.unseen("POST", "/cart", &[("x-tenant", b"acme")]).end(Some(403), Duration::from_millis(1));
    worker.tick();
    assert_eq!(total(&worker, "POST", "4xx", "acme"), 1);
}

#[test]
fn values_come_from_wherever_the_configuration_says() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [
            {"name": "first_byte_microseconds", "type": "histogram", "value": "time_to_first_byte", "unit": "us"},
            {"name": "seconds_spent", "type": "counter", "value": "duration"},
            {"name": "upload_bytes", "type": "histogram", "value": "request_bytes"},
            {"name": "download_bytes", "type": "counter", "value": "response_bytes"},
            {"name": "tokens_total", "type": "counter", "value": {"response_header": "x-tokens"}},
            {"name": "weight", "type": "histogram", "value": {"header": "x-weight"}},
            {"name": "depth", "type": "gauge", "value": {"header": "x-depth"}},
            {"name": "build_info", "type": "gauge", "value": {"constant": 1}},
            {"name": "by_threes", "type": "counter", "value": {"constant": 3}}]}"#,
    );
    let host = worker.host();
    for depth in ["7", "4"] {
        let headers: [(&str, &[u8]); 2] = [("x-weight", b" 12 "), ("x-depth", depth.as_bytes())];
        let (_, mut exchange) = worker.send("PUT", "/", &headers);
        host.advance(Duration::from_millis(3));
        exchange.response(&[(":status", b"200"), ("x-tokens", b"20")]);
        host.advance(Duration::from_millis(9));
        exchange.response(&[(":status", b"200"), ("x-tokens", b"20")]);
        number(host, Property::REQUEST_SIZE, 100);
        number(host, Property::RESPONSE_SIZE, 1_000);
        exchange.end(Some(200), Duration::from_millis(12));
    }
    worker.tick();
    for (name, expected) in [
        ("first_byte_microseconds", 6_000),
        ("seconds_spent", 24),
        ("upload_bytes", 200),
        ("download_bytes", 2_000),
        ("tokens_total", 40),
        ("weight", 24),
        ("depth", 4),
        ("build_info", 1),
        ("by_threes", 6),
    ] {
        assert_eq!(host.metric(name), expected, "{name}");
    }
}

#[test]
fn what_is_no_number_is_counted_and_not_recorded() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [{"name": "weight", "type": "counter", "value": {"header": "x-weight"}}]}"#,
    );
    let bad: [&[u8]; 6] = [b"-1", b"1.5", b"x", b"\xff", b"18446744073709551616", b""];
    for value in bad {
        exchange(&worker, "GET", &[("x-weight", value)], Some(200));
    }
    exchange(&worker, "GET", &[("x-weight", b"1"), ("x-weight", b"2")], Some(200));
    exchange(&worker, "GET", &[], Some(200));
    assert_eq!(worker.host().metric("weight"), 0);
    assert_eq!(worker.host().metric("tidegate.telemetry.unusable_values"), 6, "absent and empty are none");
}

#[test]
fn metrics_with_conditions_record_what_satisfies_them() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [
            {"name": "uploads", "type": "counter", "when": {"methods": ["PUT", "POST"]}},
            {"name": "failures", "type": "counter", "when": {"status": ["5xx", 429]}},
            {"name": "slow", "type": "counter", "when": {"duration": {"gte": "42ms"}}},
            {"name": "fast", "type": "counter", "when": {"duration": {"lt": "42ms"}}},
            {"name": "either", "type": "counter", "when": {"any": [{"status": [503]}, {"methods": ["PUT"]}]}},
            {"name": "neither", "type": "counter", "when": {"not": {"methods": ["PUT"]}, "status": ["2xx"]}},
            {"name": "grpc", "type": "counter", "when": {"grpc_status": ["UNAVAILABLE"]}}]}"#,
    );
    number(worker.host(), Property::GRPC_STATUS, 14);
    exchange(&worker, "PUT", &[], Some(200));
    exchange(&worker, "GET", &[], Some(503));
    exchange(&worker, "GET", &[("content-type", b"application/grpc+proto")], Some(200));
    exchange(&worker, "GET", &[], None);
    for (name, expected) in [
        ("uploads", 1),
        ("failures", 1),
        ("slow", 4),
        ("fast", 0),
        ("either", 2),
        ("neither", 1),
        ("grpc", 1),
    ] {
        assert_eq!(worker.host().metric(name), expected, "{name}");
    }
}

#[test]
fn labels_come_from_wherever_the_configuration_says() {
    let worker = worker::<Telemetry>(
        r#"{"path_templates": ["/users/{id}", "/orders/{id}/items"], "metrics": [{"name": "m", "type": "counter", "labels": {
            "a": "upstream_cluster", "b": "host", "c": "grpc_status", "d": "path_template", "e": {"cookie": "plan"},
            "f": "principal", "g": {"claim": "realm.tier"}, "h": "source_locality", "i": "limit", "j": "auth_rule",
            "k": "routing_rule", "l": "routing_arm", "m": "response_flags", "n": "status",
            "o": {"response_header": "x-cache"}, "p": "error_type"}}]}"#,
    );
    let host = worker.host();
    let headers: [(&str, &[u8]); 2] = [("content-type", b"application/grpc"), ("cookie", b"a=1; plan=gold")];
    let (_, mut exchange) = worker.send("POST", "/orders/7/items?x=1", &headers);
    exchange.response(&[(":status", b"200"), ("x-cache", b"hit")]);
    for (property, value) in [
        (Property::UPSTREAM_CLUSTER, "orders"),
        (Property::PRINCIPAL, "ann"),
        (Property::CLAIMS, r#"{"realm": {"tier": 3}}"#),
        (Property::NODE_REGION, "eu"),
        (Property::NODE_ZONE, "eu-1"),
        (Property::LIMIT, "per-user"),
        (Property::AUTH_RULE, "api"),
        (Property::ROUTING_RULE, "canary"),
        (Property::ROUTING_ARM, "beta"),
    ] {
        host.set(property, value.as_bytes());
    }
    number(host, Property::GRPC_STATUS, 7);
    number(host, Property::RESPONSE_FLAGS, 1 << 2);
    exchange.end(Some(200), Duration::from_millis(1));
    worker.tick();
    let expected = "a=.=orders;.;b=.=shop.example.com;.;c=.=PERMISSION_DENIED;.;d=.=/orders/{id}/items;.;e=.=gold;.;\
                    f=.=ann;.;g=.=3;.;h=.=eu/eu-1;.;i=.=per-user;.;j=.=api;.;k=.=canary;.;l=.=beta;.;m=.=UT;.;n=.=200;.;\
                    o=.=hit;.;p=.=unknown;.;m";
    assert_eq!(host.metric(expected), 1, "{:?}", host.metric_names());
}

#[test]
fn a_path_is_a_template_or_other_and_hosts_are_written_in_one_way() {
    let worker = worker::<Telemetry>(
        r#"{"path_templates": ["/users/{id}"], "metrics": [{"name": "m", "type": "counter", "labels": {"path": "path_template"}},
            {"name": "h", "type": "counter", "labels": {"host": "host"}}]}"#,
    );
    for path in ["/users/1", "/users/%37?x=1", "//users/../users/x", "/users/1/2", "/", "/\u{e9}"] {
        let (_, exchange) = worker.send("GET", path, &[]);
        exchange.end(Some(200), Duration::ZERO);
    }
    worker.tick();
    assert_eq!(worker.host().metric("path=.=/users/{id};.;m"), 3);
    assert_eq!(worker.host().metric("path=.=other;.;m"), 3);
    assert_eq!(worker.host().metric("host=.=shop.example.com;.;h"), 6);
}

#[test]
fn a_path_that_was_rewritten_is_labelled_as_it_came() {
    let worker = worker::<Telemetry>(
        r#"{"path_templates": ["/users/{id}", "/v2/{rest}"],
            "metrics": [{"name": "m", "type": "counter", "labels": {"path": "path_template"}}]}"#,
    );
    let (_, exchange) = worker.send("GET", "/v2/users", &[("x-envoy-original-path", b"/users/7")]);
    exchange.end(Some(200), Duration::ZERO);
    worker.tick();
    assert_eq!(worker.host().metric("path=.=/users/{id};.;m"), 1);
}

#[test]
fn the_preset_follows_the_conventions() {
    let worker = worker::<Telemetry>(r#"{"preset": "otel_http", "path_templates": ["/users/{id}"]}"#);
    worker.host().set(Property::REQUEST_PROTOCOL, b"HTTP/1.1");
    number(worker.host(), Property::REQUEST_SIZE, 5);
    let headers: [(&str, &[u8]); 1] = [(":scheme", b"https")];
    let (_, exchange) = worker.send("GET", "/users/7", &headers);
    exchange.end(Some(200), Duration::from_millis(42));
    let (_, exchange) = worker.send("BREW", "/users/7", &headers);
    exchange.end(Some(503), Duration::from_millis(1));
    worker.tick();
    let host = worker.host();
    let good = "http_request_method=.=GET;.;http_response_status_code=.=200;.;http_route=.=/users/{id};.;\
                network_protocol_version=.=1.1;.;url_scheme=.=https;.;";
    assert_eq!(host.metric(&format!("{good}http_server_request_duration_milliseconds")), 42);
    assert_eq!(host.metric(&format!("{good}http_server_request_body_size_bytes")), 5);
    let bad = "error_type=.=503;.;http_request_method=.=_OTHER;.;http_response_status_code=.=503;.;\
               http_route=.=/users/{id};.;network_protocol_version=.=1.1;.;url_scheme=.=https;.;";
    assert_eq!(host.metric(&format!("{bad}http_server_request_duration_milliseconds")), 1);
    let under_way = "http_request_method=.=GET;.;url_scheme=.=https;.;http_server_active_requests";
    assert!(host.metric_names().iter().any(|name| name == under_way), "{:?}", host.metric_names());
    assert_eq!(host.metric(under_way), 0);
}

#[test]
fn a_host_that_does_not_do_its_part_costs_metrics_only() {
    let host = FakeHost::new();
    host.fail("shared", HostError::Unimplemented);
    host.fail("random", HostError::Unimplemented);
    host.fail("request_headers", HostError::InternalFailure);
    let worker = worker_on::<Telemetry>(&host, BY_TENANT);
    let (outcome, exchange) = worker.send("GET", "/", &[]);
    assert_eq!(outcome.status(), 200);
    exchange.end(Some(200), Duration::ZERO);
    worker.tick();
    assert_eq!(host.metric("tenant=.=unknown;.;m"), 1);
}

#[test]
fn no_client_writes_into_an_overflow_series_or_a_token_into_a_label() {
    let worker = worker::<Telemetry>(
        r#"{"metrics": [{"name": "m", "type": "counter", "labels": {"from": {"header": "x-from"}}}]}"#,
    );
    exchange(&worker, "GET", &[("x-from", b"__overflow__")], Some(200));
    exchange(&worker, "GET", &[("x-from", b"/a?token=s3cret")], Some(200));
    worker.tick();
    assert_eq!(worker.host().metric("from=.=-_overflow__;.;m"), 1);
    assert_eq!(worker.host().metric("from=.=/a_token__redacted_;.;m"), 1);
    assert!(!worker.host().metric_names().iter().any(|name| name.contains("s3cret")));
    assert_eq!(worker.host().metric("tidegate.telemetry.dropped_label_sets"), 0);
}
