//! What a limit counts by.

use tidegate_filter_api::Property;
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Worker, refusal, worker};

/// A limit of one request an hour by this key.
fn once_per(key: &str) -> Worker<RateLimit> {
    worker(&format!(
        r#"{{"limits": [{{"name": "once", "key": {key}, "on_missing": "deny", "quotas": [{{"requests": 1, "per": "1h"}}]}}]}}"#
    ))
}

/// Whether each request is the first of its key.
fn firsts(worker: &Worker<RateLimit>, paths: &[&str]) -> Vec<bool> {
    paths.iter().map(|path| worker.get(path, &[]).status() == 200).collect()
}

#[test]
fn captures_of_a_path_template() {
    let worker = once_per(r#"[{"path_template": "/users/{id}/{*rest}"}]"#);
    let paths = [
        "/users/1/a",
        "/users/1/a?x=y",
        "/users//1/./a",
        "/users/2/a",
        "/users/1/b",
        "/users/1",
        "/users/1/a/",
    ];
    assert_eq!(firsts(&worker, &paths), [true, false, false, true, true, false, true]);
    assert_eq!(
        worker.host().metric("tidegate.rate_limit.once.denied"),
        3,
        "a path that does not fit is a missing key"
    );
}

#[test]
fn claims_of_any_kind() {
    let worker = once_per(r#"[{"claim": "tenant.id"}]"#);
    let with = |claims: &str| {
        let host = worker.host();
        host.leave_for_next(Property::CLAIMS, claims.as_bytes());
        worker.get("/", &[]).status() == 200
    };
    for (claims, expected) in [
        (r#"{"tenant": {"id": "a"}}"#, true),
        (r#"{"tenant": {"id": "a"}, "other": 1}"#, false),
        (r#"{"tenant": {"id": ["a"]}}"#, false),
        (r#"{"tenant": {"id": ["a", "b"]}}"#, true),
        (r#"{"tenant": {"id": ["b", "a"]}}"#, true),
        (r#"{"tenant": {"id": 7}}"#, true),
        (r#"{"tenant": {"id": 7.5}}"#, true),
        (r#"{"tenant": {"id": 7.25}}"#, true),
        (r#"{"tenant": {"id": true}}"#, true),
        // Nothing to count by.
        (r#"{"tenant": {"id": null}}"#, false),
        (r#"{"tenant": {"id": []}}"#, false),
        (r#"{"tenant": {"id": {"a": 1}}}"#, false),
        (r#"{"tenant": {}}"#, false),
        ("no JSON", false),
    ] {
        assert_eq!(with(claims), expected, "{claims}");
    }
}

#[test]
fn parts_taken_together_do_not_run_into_each_other() {
    let worker = once_per(r#"[{"query": "a"}, {"query": "b"}]"#);
    let paths = ["/?a=1&b=23", "/?a=12&b=3", "/?b=23&a=1", "/?a=1&a=2&b=3", "/?a=1", "/?a=%31&b=2%33"];
    assert_eq!(firsts(&worker, &paths), [true, true, false, true, false, false]);
}

#[test]
fn hosts_lose_their_case_and_methods_keep_it() {
    let worker = once_per(r#"["host", "method"]"#);
    let send = |method: &str| worker.send(method, "/", &[]).0.status() == 200;
    assert_eq!([send("GET"), send("GET"), send("get"), send("POST")], [true, false, true, true]);
}

#[test]
fn routes_principals_and_cookies() {
    let worker = once_per(r#"["route", "principal", {"cookie": "sid"}]"#);
    let with = |route: &[u8], principal: &[u8], cookie: &[u8]| {
        worker.host().set(Property::ROUTE_NAME, route);
        worker.host().leave_for_next(Property::PRINCIPAL, principal);
        worker.get("/", &[("cookie", cookie)]).status() == 200
    };
    assert!(with(b"a", b"ann", b"x=y; sid=1"));
    assert!(!with(b"a", b"ann", b"sid=1"));
    assert!(with(b"b", b"ann", b"sid=1"));
    assert!(with(b"a", b"bob", b"sid=1"));
    assert!(with(b"a", b"ann", b"sid=2"));
    assert!(!with(b"a", b"ann", b"x=y"), "no cookie, no key");
}

#[test]
fn what_is_no_key_is_refused() {
    let refused = |key: &str| {
        refusal::<RateLimit>(&format!(
            r#"{{"limits": [{{"name": "once", "key": {key}, "quotas": [{{"requests": 1, "per": "1h"}}]}}]}}"#
        ))
    };
    assert_eq!(
        refused(
            r#"[{"path_template": "/users"}, {"claim": ""}, {"header": "a b"}, {"cookie": "a", "query": "b"}, 7]"#
        ),
        "limits[0].key[0].path_template: expected a template with a capture such as \"/users/{id}\", found \"/users\"\n\
         limits[0].key[1].claim: expected a name, found \"\"\n\
         limits[0].key[2].header: expected a header name of letters, digits and \"-\", found \"a b\"\n\
         limits[0].key[3]: expected one of \"header\", \"cookie\", \"query\", \"path_template\", \"claim\", found \"cookie\" and \"query\"\n\
         limits[0].key[4]: expected one of \"host\", \"method\", \"route\", \"source\", \"principal\", {header}, {cookie}, {query}, {path_template}, {claim}, found 7"
    );
}

/// What the documentation warns of: bytes as they were sent are the key, whatever a server makes of them.
#[test]
fn cookies_and_headers_are_keys_as_they_were_sent() {
    let by_cookie = once_per(r#"[{"cookie": "sid"}]"#);
    let cookie = |value: &[u8]| by_cookie.get("/", &[("cookie", value)]).status() == 200;
    let sent: [&[u8]; 5] = [b"sid=a", b"x=1;sid=a;y=2", b"sid=%61", b"sid=\"a\"", b"sid=a; sid=b"];
    assert_eq!(sent.map(cookie), [true, false, true, true, true]);
    let by_header = once_per(r#"[{"header": "X-Id"}]"#);
    let header = |value: &[u8]| by_header.get("/", &[("x-id", value)]).status() == 200;
    assert_eq!([header(b"a"), header(b"a"), header(b"A"), header(b"")], [true, false, true, true]);
}
