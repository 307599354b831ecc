//! What rules do with requests, on a fake host.

use tidegate_filter_api::{Host, Property};
use tidegate_header_routing::HeaderRouting;
use tidegate_testkit::fake::{Outcome, Worker, refusal, worker};

/// A worker with one rule.
fn rule(rule: &str) -> Worker<HeaderRouting> {
    worker(&format!(
        r#"{{"rules": [{{"name": "r", {rule}}}], "default": {{"route": "stable"}}, "route_header": "x-route"}}"#
    ))
}

fn text(value: &[u8]) -> String {
    value.escape_ascii().to_string()
}

/// What the upstream gets under `name`, joined.
fn upstream(outcome: &Outcome, name: &str) -> String {
    let values: Vec<String> = outcome.upstream(name).into_iter().map(text).collect();
    values.join(", ")
}

#[test]
fn paths_are_rewritten_from_templates_and_the_original_is_kept() {
    let worker = rule(
        r#""match": {"paths": [{"template": "/v1/users/{id}/{*rest}"}]}, "rewrite": {"path": "/v2/{rest}/of/{id}", "host": "api.internal"}"#,
    );
    let outcome = worker.get("/v1/users/7/a/b?x=1&y", &[("x-envoy-original-path", b"/forged")]);
    assert_eq!(upstream(&outcome, ":path"), "/v2/a/b/of/7?x=1&y");
    assert_eq!(upstream(&outcome, ":authority"), "api.internal");
    assert_eq!(upstream(&outcome, "x-envoy-original-path"), "/v1/users/7/a/b?x=1&y");
    assert_eq!(upstream(&outcome, "x-route"), "stable", "a rule without a route takes the default's");
    let outcome = worker.get("/v1/users/%2e%2E/x", &[]);
    assert_eq!(upstream(&outcome, ":path"), "/v1/users/%2e%2E/x", "it is /v1/x, which does not match");
    let outcome = worker.get("/v1/users/a%2Fb/c%20d", &[]);
    assert_eq!(upstream(&outcome, ":path"), "/v2/c%20d/of/a%2Fb", "escapes stay escapes");
    // What a server that decodes more, or drops parameters, would take for the folder above.
    for path in [
        "/v1/users/7/..%2f..%2fadmin",
        "/v1/users/7/..;/admin",
        "/v1/users/..;x=y/admin",
        "/v1/users/7/%252e%252e/admin",
        "/v1/users/7/..%5cadmin",
        "/v1/users/7/%c0%ae%c0%ae/admin",
    ] {
        assert_eq!(worker.get(path, &[]).status(), 400, "{path}");
    }
}

#[test]
fn what_is_no_path_is_not_rewritten() {
    let worker = rule(r#""rewrite": {"path": "/v2"}, "set_query": {"v": "1"}"#);
    let path = |method: &str, path: &str| upstream(&worker.send(method, path, &[]).0, ":path");
    assert_eq!(path("OPTIONS", "*"), "*");
    assert_eq!(path("CONNECT", ""), "");
    assert_eq!(path("GET", "/a?b"), "/v2?b&v=1");
}

#[test]
fn paths_and_hosts_are_rewritten_by_regular_expressions() {
    let worker = rule(
        r#""rewrite": {"path": {"regex": "/(?P<lang>en|de)/(.*)", "with": "/{2}?lang={lang}"}, "host": {"regex": "(.*)\\.example\\.com", "with": "{1}.internal:80"}}"#,
    );
    let outcome = worker.get("/de/a?old=1", &[]);
    assert_eq!(upstream(&outcome, ":path"), "/a?lang=de", "a rule that writes a query replaces it");
    assert_eq!(upstream(&outcome, ":authority"), "shop.internal:80");
    let raw = rule(r#""match": {"paths": [{"regex": "/a(.*)", "raw": true}]}, "rewrite": {"path": "/b{1}"}"#);
    assert_eq!(upstream(&raw.get("/a/c?d", &[]), ":path"), "/b/c?d", "the query once");
    let outcome = worker.get("/fr/a", &[]);
    assert_eq!(upstream(&outcome, ":path"), "/fr/a", "what does not match stays");
    assert_eq!(upstream(&outcome, "x-envoy-original-path"), "");
}

#[test]
fn what_a_client_sends_cannot_climb_out_of_a_rewritten_path() {
    let worker = rule(r#""rewrite": {"path": "/tenants/{header.x-tenant}/{request.path}"}"#);
    let path = |tenant: &[u8]| {
        let outcome = worker.get("/x", &[("x-tenant", tenant)]);
        if outcome.status() == 400 { "refused".to_owned() } else { upstream(&outcome, ":path") }
    };
    assert_eq!(path(b"acme"), "refused", "the rule itself makes //");
    let worker = rule(r#""rewrite": {"path": "/tenants/{header.x-tenant}{request.path}"}"#);
    let path = |tenant: &[u8]| {
        let outcome = worker.get("/x?q", &[("x-tenant", tenant)]);
        if outcome.status() == 400 { "refused".to_owned() } else { upstream(&outcome, ":path") }
    };
    assert_eq!(path(b"acme"), "/tenants/acme/x?q");
    assert_eq!(path(b"a/b"), "/tenants/a%2Fb/x?q");
    for climbs in [&b"a/../../b"[..], b"..", b"..;", b"..;a", b"..\\b", b"%2e%2e", b"..%2fb", b"..\0", b"..#"]
    {
        assert_eq!(path(climbs), "refused", "{}", climbs.escape_ascii());
    }
    assert_eq!(path(b""), "refused");
    assert_eq!(path(b"a?b#c%41"), "/tenants/a%3Fb%23c%2541/x?q");
    assert_eq!(path(b"\xff\t"), "/tenants/%FF%09/x?q");
    assert_eq!(worker.host().metric("tidegate.header_routing.refused"), 10);
    let worker = rule(r#""rewrite": {"host": "{header.x-to}.internal"}"#);
    assert_eq!(worker.get("/", &[("x-to", b"evil.com/")]).status(), 400);
    assert_eq!(upstream(&worker.get("/", &[("x-to", b"eu-1")]), ":authority"), "eu-1.internal");
    let worker =
        rule(r#""match": {"paths": [{"template": "/{to}"}]}, "rewrite": {"host": "{to}.internal:8080"}"#);
    assert_eq!(upstream(&worker.get("/eu-1", &[]), ":authority"), "eu-1.internal:8080");
    for to in ["evil.com:80", "a@evil.com", "a,evil.com", "[::1]", "a..b"] {
        assert_eq!(worker.get(&format!("/{to}"), &[]).status(), 400, "{to}");
    }
}

#[test]
fn headers_are_removed_renamed_set_and_appended_in_this_order() {
    let worker = rule(
        r#""match": {"paths": [{"regex": "/(?P<id>[0-9]+)/.*"}]},
           "remove_headers": ["X-Gone"], "rename_headers": {"x-old": "x-new"},
           "set_headers": {"x-set": "{id}:{1}:{request.host}:{request.method}:{query.q}:{cookie.c}", "x-absent": "{header.x-nothing}", "x-braces": "{{}}"},
           "append_headers": {"x-more": "{header.x-more}+", "x-none": "{cookie.none}"}"#,
    );
    let outcome = worker.get(
        "/12/x?q=a+b",
        &[
            ("x-gone", b"1"),
            ("x_gone", b"1"),
            ("x_route", b"forged"),
            ("x-old", b"one"),
            ("x-old", b"two"),
            ("x-new", b"forged"),
            ("x-absent", b"forged"),
            ("x-set", b"forged"),
            ("x_set", b"forged"),
            ("x_new", b"forged"),
            ("x-more", b"1"),
            ("cookie", b"c=\xff"),
        ],
    );
    for (name, expected) in [
        ("x-gone", ""),
        ("x_gone", ""),
        ("x_route", ""),
        ("x-old", ""),
        ("x-new", "one, two"),
        ("x-set", "12:12:shop.example.com:GET:a b:\\xff"),
        ("x-absent", ""),
        ("x_set", ""),
        ("x_new", ""),
        ("x-braces", "{}"),
        ("x-more", "1, 1+"),
        ("x-none", ""),
    ] {
        assert_eq!(upstream(&outcome, name), expected, "{name}");
    }
    let outcome = worker.get("/12/x", &[("x-new", b"forged")]);
    assert_eq!(upstream(&outcome, "x-new"), "", "nothing was renamed, and what a client sent there goes");
}

#[test]
fn query_parameters_and_cookies_are_edited() {
    let worker = rule(
        r#""remove_query": ["debug"], "rename_query": {"old": "new"}, "set_query": {"v": "{header.x-v}"}, "append_query": {"tag": "a b&c"},
           "remove_cookies": ["track"], "rename_cookies": {"sid": "session"}, "set_cookies": {"tier": "{header.x-v}"}, "append_cookies": {"n": "1"}"#,
    );
    let headers: &[(&str, &[u8])] =
        &[("x-v", b"1;x=2\r"), ("cookie", b"track=1; sid=s=1"), ("cookie", b"session=forged; tier=gold")];
    let outcome = worker.get("/p?%64ebug=1&old=%C3%A9&new=forged&v=9&keep=+&flag&empty=", headers);
    assert_eq!(upstream(&outcome, ":path"), "/p?new=%C3%A9&keep=+&flag&empty=&v=1%3Bx%3D2%0D&tag=a%20b%26c");
    assert_eq!(upstream(&outcome, "cookie"), "session=s=1; tier=1%3Bx=2%0D; n=1");
    // Most servers take no notice of blanks beside the equals sign.
    let outcome =
        worker.get("/p", &[("x-v", b"gold"), ("cookie", b"tier =forged; tier\t= forged; track =1")]);
    assert_eq!(upstream(&outcome, "cookie"), "tier=gold; n=1");
    let worker = rule(r#""remove_query": ["a"], "remove_cookies": ["a"]"#);
    let outcome = worker.get("/p?a=1&a", &[("cookie", b"a=1")]);
    assert_eq!((upstream(&outcome, ":path"), upstream(&outcome, "cookie")), ("/p".to_owned(), String::new()));
}

#[test]
fn what_splits_messages_never_reaches_a_header() {
    let worker = rule(r#""set_headers": {"x-q": "{query.q}"}"#);
    for attack in ["a%0d%0aevil:+1", "%0a", "%00", "%7f"] {
        assert_eq!(worker.get(&format!("/?q={attack}"), &[]).status(), 400, "{attack}");
    }
    assert_eq!(upstream(&worker.get("/?q=%09%ff", &[]), "x-q"), "\\t\\xff");
}

#[test]
fn redirects_lead_where_the_rule_says() {
    let worker = rule(
        r#""match": {"paths": [{"template": "/old/{*rest}"}]}, "redirect": {"status": 308, "location": "https://docs.example.com/new/{rest}?{request.query}&from={query.f}"}"#,
    );
    let outcome = worker.get("/old/a/b?f=%0d%0ax:y", &[]);
    assert_eq!(outcome.status(), 308);
    assert_eq!(
        text(outcome.reply_header("location").unwrap()),
        "https://docs.example.com/new/a/b?f=%0d%0ax:y&from=%0D%0Ax%3Ay"
    );
    let worker = rule(r#""redirect": {"location": "/{query.to}"}"#);
    let location = |path: &str| {
        let outcome = worker.get(path, &[]);
        outcome.reply_header("location").map_or_else(|| outcome.status().to_string(), text)
    };
    assert_eq!(location("/?to=x"), "/x");
    assert_eq!(location("/?to=/evil.com"), "/%2Fevil.com");
    assert_eq!(location("/?to=%5Cevil.com"), "/%5Cevil.com");
    let worker =
        rule(r#""match": {"paths": [{"regex": "/go(.*)", "raw": true}]}, "redirect": {"location": "/{1}"}"#);
    assert_eq!(worker.get("/go/evil.com", &[]).status(), 400, "//evil.com would be a host");
    let worker = rule(r#""redirect": {"open": true, "location": "https://{request.host}{request.path}"}"#);
    let outcome = worker.get("/a", &[]);
    assert_eq!(text(outcome.reply_header("location").unwrap()), "https://shop.example.com/a");
}

#[test]
fn locations_that_a_client_could_bend_are_refused() {
    let refused = |location: &str, open: bool| {
        let rule = format!(
            r#"{{"rules": [{{"name": "r", "redirect": {{"location": "{location}", "open": {open}}}}}], "route_header": "x"}}"#
        );
        std::panic::catch_unwind(|| refusal::<HeaderRouting>(&rule)).is_ok()
    };
    for location in [
        "{header.x}",
        "https://{request.host}/",
        "https://docs.example.com{header.x}",
        "https://docs.example.com:{header.x}/",
        "https://user@{header.x}/",
        "//{header.x}/",
        "javascript:alert(1)",
        "docs.example.com/",
        "https://",
        "",
    ] {
        assert!(refused(location, false), "{location}");
    }
    for location in ["javascript:alert(1)", "{header.x}", ""] {
        assert!(refused(location, true), "{location}");
    }
    for location in [
        "https://docs.example.com",
        "https://docs.example.com/{header.x}",
        "http://a?{header.x}",
        "/a",
        "/{header.x}",
        "//cdn.example/{header.x}",
    ] {
        assert!(!refused(location, false), "{location}");
    }
}

#[test]
fn rules_reply_in_the_upstreams_stead() {
    let worker = rule(
        r#""reply": {"status": 410, "headers": {"x-for": "{request.path}", "x-none": "{cookie.c}"}, "body": "gone\n"}"#,
    );
    let outcome = worker.get("/a", &[]);
    let Outcome::Replied(reply) = &outcome else { unreachable!("{outcome:?}") };
    assert_eq!((reply.status, &*reply.body), (410, "gone\n"));
    assert_eq!(outcome.reply_header("x-for"), Some(b"/a".as_slice()));
    assert_eq!(outcome.reply_header("x-none"), None);
}

#[test]
fn a_trusted_senders_choice_is_no_choice_of_the_rule() {
    let worker: Worker<HeaderRouting> = worker(
        r#"{"rules": [{"name": "r", "split": {"issue_cookie": {"name": "tg"}, "to": [{"route": "tagged", "weight": 1}]},
                       "fallback": "stable"}, {"name": "other", "match": {"methods": ["PUT"]}, "route": "gone"}],
            "route_header": "x-route", "trust_route_header": {"headers": [{"name": "x-key", "exact": "1"}]}}"#,
    );
    let (outcome, mut exchange) = worker.send("GET", "/", &[("x-key", b"1"), ("x-route", b"gone")]);
    assert_eq!(upstream(&outcome, "x-route"), "gone");
    worker.host().set(Property::RESPONSE_CODE_DETAILS, b"cluster_not_found");
    assert!(exchange.response(&[]).iter().all(|(name, _)| name != "set-cookie"), "no arm to keep");
    assert_eq!(worker.host().metric("tidegate.header_routing.r.tagged.chosen"), 0);
    let outcome = worker.get("/", &[]);
    assert_eq!(upstream(&outcome, "x-route"), "tagged", "it was not this route that led nowhere");
}

#[test]
fn a_trusted_sender_may_choose_among_the_routes() {
    let configuration = |trusted: &str| {
        format!(
            r#"{{"rules": [{{"name": "r", "match": {{"headers": [{{"name": "x-beta", "exact": "1"}}]}}, "route": "beta"}}],
                 "default": {{"route": "stable"}}, "route_header": "x-route", {trusted}
                 "client_address": {{"trusted_hops": 0}}}}"#
        )
    };
    let worker: Worker<HeaderRouting> =
        worker(&configuration(r#""trust_route_header": {"source": {"cidrs": ["10.0.0.0/8"]}},"#));
    let route = |headers: &[(&str, &[u8])]| upstream(&worker.get("/", headers), "x-route");
    assert_eq!(route(&[("x-route", b"beta")]), "stable", "not from there");
    worker.host().set(Property::SOURCE_ADDRESS, b"10.1.1.1:1");
    assert_eq!(route(&[("x-route", b"beta")]), "beta");
    assert_eq!(worker.host().property(Property::ROUTE).as_deref(), Some(b"beta".as_slice()));
    assert_eq!(route(&[("x-route", b"stable"), ("x-beta", b"1")]), "stable", "it overrules the rules");
    assert_eq!(route(&[("x-route", b"unknown")]), "stable", "only routes of the configuration");
    assert_eq!(route(&[("x-route", b"beta"), ("x-route", b"beta")]), "stable", "once");
    assert_eq!(route(&[]), "stable");
    assert_eq!(
        refusal::<HeaderRouting>(&configuration(r#""trust_route_header": {},"#)),
        "trust_route_header: expected at least one condition on whose route header is believed, found none"
    );
}

#[test]
fn decisions_are_published_if_the_configuration_asks() {
    let configuration = |publish: bool| {
        format!(
            r#"{{"rules": [{{"name": "canary", "split": {{"by": ["source"], "to": [{{"route": "a", "weight": 1}}]}}}}],
                 "route_header": "x-route", "publish_decisions": {publish}}}"#
        )
    };
    for publish in [false, true] {
        let worker: Worker<HeaderRouting> = worker(&configuration(publish));
        assert_eq!(worker.get("/", &[]).status(), 200);
        let host = worker.host();
        let published = [host.property(Property::ROUTING_RULE), host.property(Property::ROUTING_ARM)];
        let expected = [b"canary".as_slice(), b"a"].map(|name| publish.then(|| name.to_vec()));
        assert_eq!(published, expected);
    }
}

#[test]
fn a_rule_may_mark_its_requests_for_telemetry() {
    for (publish, rule, name, arm) in [
        (false, r#""mark": "canary-2""#, Some("canary-2"), None),
        (true, r#""mark": "canary-2""#, Some("canary-2"), None),
        (false, r#""route": "a""#, None, None),
        (false, r#""mark": "m", "split": {"to": [{"route": "a", "weight": 1}]}"#, Some("m"), Some("a")),
        (false, r#""mark": "m", "reply": {"status": 200}"#, Some("m"), None),
        (false, r#""mark": "m", "redirect": {"location": "/"}"#, Some("m"), None),
        (true, r#""reply": {"status": 200}"#, Some("r"), None),
    ] {
        let worker: Worker<HeaderRouting> = worker(&format!(
            r#"{{"rules": [{{"name": "r", {rule}}}], "route_header": "x-route", "publish_decisions": {publish}}}"#
        ));
        let _ = worker.get("/", &[]);
        let published =
            [Property::ROUTING_RULE, Property::ROUTING_ARM].map(|property| worker.host().property(property));
        assert_eq!(published, [name, arm].map(|text| text.map(|text| text.as_bytes().to_vec())), "{rule}");
    }
    let default: Worker<HeaderRouting> =
        worker(r#"{"rules": [], "default": {"mark": "rest"}, "route_header": "x-route"}"#);
    let _ = default.get("/", &[]);
    assert_eq!(default.host().property(Property::ROUTING_RULE).as_deref(), Some(b"rest".as_slice()));
}

#[test]
fn bad_actions_are_refused_by_path() {
    assert_eq!(
        refusal::<HeaderRouting>(
            r#"{"rules": [
                {"name": "a", "match": {"paths": [{"template": "/x/{id}"}, {"exact": "/y"}]}, "rewrite": {"path": "/{id}", "host": "a b"}},
                {"name": "b", "split": {"to": [{"route": "x", "weight": 0}, {"route": "y", "weight": 0}]}},
                {"name": "c", "set_headers": {"x y": "1", "X-Route": "1", "x_route": "1", "Host": "1", "x-ok": "{nope}"}, "remove_headers": ["content-length", 5]},
                {"name": "d", "route": "x", "redirect": {"location": "/"}},
                {"name": "e"},
                {"name": "f", "match": {"paths": [{"regex": "(a"}]}, "route": "x", "fallback": {"route": "y", "for": "0s"}},
                {"name": "g", "split": {"by": ["cookie", {"header": "a", "cookie": "b"}], "to": [{"route": "x", "weight": 1}, {"route": "x", "weight": 1}], "issue_cookie": {"name": "a b", "path": "/;"}}},
                {"name": "h", "fallback": "x", "rewrite": {}},
                {"name": "i", "redirect": {"status": 200, "location": "/{request.nope}"}},
                {"name": "j", "reply": {"status": 99}, "set_query": {"": "{", "b": "}"}},
                {"name": "k", "reply": {"status": 302, "headers": {"Location": "{query.to}", "refresh": "0"}}},
                {"name": "default", "mark": "a b"},
                {"name": "m", "route": "x", "fallback": "x", "set_headers": {"a": "b\r\nc"}, "rename_headers": {"a": 5}},
                {"name": "n", "split": {"to": [{"route": "x", "weight": 1}], "issue_cookie": {"name": 5}}},
                {"name": "l", "split": {"to": [{"route": "x", "weight": 1}],
                  "issue_cookie": {"name": "c", "same_site": "none", "secure": false}}}
               ], "default": {"rewrite": {"path": "x{id}"}, "rout": "x"}, "route_header": "x-route"}"#
        )
        .lines()
        .collect::<Vec<_>>(),
        [
            "rules[0].rewrite.path: expected no capture: no template or regular expression in this rule's match.paths gives one for certain, found {id}",
            "rules[0].rewrite.host: expected a host such as \"api.internal\" or \"api.internal:8080\", found \"a b\"",
            "rules[1].split.to: expected weights whose sum is above 0, found 0",
            "rules[2].remove_headers[0]: expected a header that does not frame the message (for the host there is \"rewrite\"), found \"content-length\"",
            "rules[2].remove_headers[1]: expected a name, found 5",
            "rules[2].set_headers.x y: expected a header name of letters, digits and \"-\", found \"x y\"",
            "rules[2].set_headers.X-Route: expected a header other than the route header, which the filter writes itself, found \"X-Route\"",
            "rules[2].set_headers.x_route: expected a header other than the route header, which the filter writes itself, found \"x_route\"",
            "rules[2].set_headers.Host: expected a header that does not frame the message (for the host there is \"rewrite\"), found \"Host\"",
            "rules[2].set_headers.x-ok: expected no capture: no template or regular expression in this rule's match.paths gives one for certain, found {nope}",
            "rules[3]: expected nothing beside \"redirect\", since the request goes no further, found \"route\"",
            "rules[4]: expected an action: \"route\", \"split\", \"rewrite\", \"redirect\", \"reply\", \"mark\" or an edit such as \"set_headers\", found none",
            "rules[5].match.paths[0].regex: expected a regular expression in RE2's syntax (a \"(\" is not closed), found \"(a\"",
            "rules[5].fallback.for: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"",
            "rules[6].split.by[0]: expected \"principal\", \"source\", {header}, {cookie}, {query} or {claim}, found \"cookie\"",
            "rules[6].split.by[1]: expected one of \"header\", \"cookie\", \"query\", \"claim\", found \"header\" and \"cookie\"",
            "rules[6].split.issue_cookie.name: expected a cookie's name of letters, digits, \"-\" and \"_\", found \"a b\"",
            "rules[6].split.issue_cookie.path: expected a text without blanks and \";\", found \"/;\"",
            "rules[6].split.to: expected each route in one arm, found \"x\" in two",
            "rules[7].fallback: expected a \"route\" or \"split\" beside it, found neither",
            "rules[7].rewrite: expected one of \"path\", \"host\", found neither",
            "rules[8].redirect.status: expected 301, 302, 303, 307 or 308, found 200",
            "rules[8].redirect.location: expected {request.host}, {request.path}, {request.query}, {request.method}, {request.scheme}, {request.principal}, {request.source}, {header.NAME}, {cookie.NAME}, {query.NAME} or {claim.NAME}, found {request.nope}",
            "rules[9].set_query.: expected a parameter's name, found an empty one",
            "rules[9].set_query.: expected a \"}\" for each \"{\", with \"{{\" and \"}}\" for braces themselves, found \"{\"",
            "rules[9].set_query.b: expected a \"}\" for each \"{\", with \"{{\" and \"}}\" for braces themselves, found \"}\"",
            "rules[9]: expected nothing beside \"reply\", since the request goes no further, found \"set_query\"",
            "rules[10].reply.headers.Location: expected a header that does not send the client elsewhere (for that there is \"redirect\"), found \"Location\"",
            "rules[10].reply.headers.refresh: expected a header that does not send the client elsewhere (for that there is \"redirect\"), found \"refresh\"",
            "rules[11].name: expected another name than that of the default in metrics, found \"default\"",
            "rules[11].mark: expected a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\", found \"a b\"",
            "rules[12].fallback: expected another route than that which it stands in for, found \"x\"",
            "rules[12].rename_headers.a: expected a name, found 5",
            "rules[12].set_headers.a: expected a text without line breaks and other control characters, found \"b\\r\\nc\"",
            "rules[13].split.issue_cookie.name: expected a name, found 5",
            "rules[14].split.issue_cookie.secure: expected true, without which browsers drop a cookie of \"same_site\": \"none\", found false",
            "default.rewrite.path: expected no capture: no template or regular expression in this rule's match.paths gives one for certain, found {id}",
            "default.rout: expected one of \"mark\", \"route\", \"split\", \"fallback\", \"rewrite\", \"remove_headers\", \"rename_headers\", \"set_headers\", \"append_headers\", \"remove_query\", \"rename_query\", \"set_query\", \"append_query\", \"remove_cookies\", \"rename_cookies\", \"set_cookies\", \"append_cookies\", \"redirect\", \"reply\", found an unknown key",
        ]
    );
}
