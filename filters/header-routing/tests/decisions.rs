//! What the filter decides, on a fake host.

#![expect(clippy::panic, reason = "a test that cannot go on says so at once")]

use tidegate_filter_api::{Host, HostError, Property};
use tidegate_header_routing::HeaderRouting;
use tidegate_testkit::fake::{Worker, refusal, worker};

fn routing(conditions: &str) -> Worker<HeaderRouting> {
    worker(&format!(
        r#"{{"rules": [{{"name": "beta", {conditions} "route": "beta"}}], "default": {{"route": "stable"}},
             "route_header": "x-tidegate-route"}}"#
    ))
}

fn route(worker: &Worker<HeaderRouting>, path: &str, headers: &[(&str, &[u8])]) -> String {
    let passed = worker.get(path, headers);
    let header = passed.upstream("x-tidegate-route");
    let [header] = header.as_slice() else { panic!("one route, whatever the client sent: {passed:?}") };
    assert_eq!(worker.host().property(Property::ROUTE).as_deref(), Some(*header), "state and header agree");
    String::from_utf8_lossy(header).into_owned()
}

/// Conditions, then requests that match, then requests that do not.
type Case<'a> = (&'a str, &'a [&'a [(&'a str, &'a [u8])]], &'a [&'a [(&'a str, &'a [u8])]]);

#[test]
fn header_conditions_see_every_value() {
    let cases: &[Case<'_>] = &[
        (
            r#""match": {"headers": [{"name": "X-Beta", "exact": "1"}]},"#,
            &[
                &[("x-beta", b"1")],
                &[("x-beta", b"0"), ("x-beta", b"1")],
                &[("x-beta", b"1"), ("x-beta", b"\xff")],
            ],
            &[&[], &[("x-beta", b"11")], &[("x-beta", b"")]],
        ),
        (
            r#""match": {"headers": [{"name": "x-beta", "exact": "1", "values": "all"}]},"#,
            &[&[("x-beta", b"1")], &[("x-beta", b"1"), ("x-beta", b"1")]],
            &[&[], &[("x-beta", b"0"), ("x-beta", b"1")], &[("x-beta", b"1"), ("x-beta", b"0")]],
        ),
        (
            r#""match": {"headers": [{"name": "x-v", "prefix": "v2."}]},"#,
            &[&[("x-v", b"v2.1")], &[("x-v", b"v2.\xff")]],
            &[&[("x-v", b"v2")], &[("x-v", b"V2.1")]],
        ),
        (
            r#""match": {"headers": [{"name": "x-v", "present": true}]},"#,
            &[&[("x-v", b"")], &[("x-v", b"\xff")]],
            &[&[], &[("x-w", b"")]],
        ),
        (r#""match": {"headers": [{"name": "x-v", "present": false}]},"#, &[&[]], &[&[("x-v", b"")]]),
        (
            r#""match": {"headers": [{"name": "x-v", "range": {"gte": 10, "lt": 20}}]},"#,
            &[&[("x-v", b"10")], &[("x-v", b"19")]],
            &[
                &[("x-v", b"20")],
                &[("x-v", b"9")],
                &[("x-v", b"ten")],
                &[("x-v", b" 10")],
                &[("x-v", b"99999999999999999999")],
            ],
        ),
        (
            r#""match": {"headers": [{"name": "x-v", "in": ["a", "b"]}, {"name": "x-w", "suffix": "z"}]},"#,
            &[&[("x-v", b"b"), ("x-w", b"xyz")]],
            &[&[("x-v", b"b")], &[("x-w", b"xyz")], &[("x-v", b"c"), ("x-w", b"xyz")]],
        ),
        (
            r#""match": {"headers": [{"name": "x-v", "contains": "eta"}]}, "not": {"headers": [{"name": "x-no", "present": true}]},"#,
            &[&[("x-v", b"beta")]],
            &[&[("x-v", b"beta"), ("x-no", b"")], &[("x-v", b"et")]],
        ),
        (
            r#""any": [{"headers": [{"name": "x-v", "exact": "1"}]}, {"cookies": [{"name": "plan", "in": ["pro", "team"]}]}],"#,
            &[
                &[("x-v", b"1")],
                &[("cookie", b"a=b; plan=team")],
                &[("cookie", b"a=b"), ("cookie", b"plan=pro")],
            ],
            &[&[], &[("cookie", b"plan=free; xplan=pro")]],
        ),
    ];
    for (conditions, matching, others) in cases {
        let worker = routing(conditions);
        for headers in *matching {
            assert_eq!(route(&worker, "/", headers), "beta", "{conditions} {headers:?}");
        }
        for headers in *others {
            assert_eq!(route(&worker, "/", headers), "stable", "{conditions} {headers:?}");
        }
    }
}

#[test]
fn paths_hosts_and_queries_are_conditions_too() {
    let worker = routing(r#""match": {"paths": [{"prefix": "/cart/"}], "hosts": ["*.Example.com."]},"#);
    for path in ["/cart", "/cart/", "/cart/1", "/x/../cart", "/%63art?q"] {
        assert_eq!(route(&worker, path, &[]), "beta", "{path}");
    }
    for path in ["/cartoon", "/", "/Cart"] {
        assert_eq!(route(&worker, path, &[]), "stable", "{path}");
    }
    let worker = routing(r#""match": {"query": [{"name": "a b", "exact": "x&y"}]},"#);
    assert_eq!(route(&worker, "/?a+b=x%26y", &[]), "beta");
    assert_eq!(route(&worker, "/?a=x#?a+b=x%26y", &[]), "stable");
}

#[test]
fn a_route_that_a_client_chose_is_never_taken() {
    let spoofed = ("x-tidegate-route", b"beta".as_slice());
    let worker = routing(r#""match": {"headers": [{"name": "x-beta", "exact": "1"}]},"#);
    assert_eq!(route(&worker, "/", &[spoofed, spoofed]), "stable");
    let without_default = worker_without_default();
    assert!(without_default.get("/", &[spoofed]).upstream("x-tidegate-route").is_empty());
    assert_eq!(without_default.host().reroutes(), 1, "and Envoy, which may have believed it, chooses again");
}

fn worker_without_default() -> Worker<HeaderRouting> {
    worker(r#"{"rules": [], "route_header": "x-tidegate-route"}"#)
}

#[test]
fn the_first_matching_rule_wins_and_is_counted() {
    let worker = worker::<HeaderRouting>(
        r#"{"rules": [{"name": "one", "match": {"headers": [{"name": "a", "present": true}]}, "route": "first"},
                      {"name": "two", "route": "second"}], "route_header": "x-tidegate-route"}"#,
    );
    assert_eq!(route(&worker, "/", &[("a", b"")]), "first");
    assert_eq!(route(&worker, "/", &[]), "second");
    assert_eq!(worker.host().metric("tidegate.header_routing.one.matched"), 1);
    assert_eq!(worker.host().metric("tidegate.header_routing.two.matched"), 1);
}

#[test]
fn a_host_without_filter_state_fails_closed() {
    let worker = routing("");
    worker.host().fail("set_property", HostError::Unimplemented);
    assert_eq!(worker.get("/", &[]).status(), 500);
}

#[test]
fn a_bad_configuration_is_refused_with_every_error() {
    assert_eq!(
        refusal::<HeaderRouting>(
            r#"{"rules": [{"name": "a", "match": {"headers": [{"name": "x", "exact": "1", "prefix": "2"}, {"name": "y"}],
                           "hosts": ["a.com:80"], "methods": ["get"]}, "not": {}, "route": "r\n"}]}"#
        ),
        "configuration: expected the key \"route_header\", found none\n\
         rules[0].match.hosts[0]: expected a host such as \"shop.example.com\" or \"*.example.com\", without port, found \"a.com:80\"\n\
         rules[0].match.methods[0]: expected a method in upper case such as \"GET\", found \"get\"\n\
         rules[0].match.headers[0]: expected one of \"exact\", \"prefix\", \"suffix\", \"contains\", \"regex\", \"in\", \"range\", \"present\", found \"exact\" and \"prefix\"\n\
         rules[0].match.headers[1]: expected one of \"exact\", \"prefix\", \"suffix\", \"contains\", \"regex\", \"in\", \"range\", \"present\", found none of them\n\
         rules[0].not: expected at least one condition, found none\n\
         rules[0].route: expected a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\", found \"r\\n\""
    );
}
