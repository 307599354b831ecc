//! Splits, fallbacks and what explains them, on a fake host.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use std::time::Duration;

use tidegate_config::decode;
use tidegate_filter_api::{Callout, Exchange, HeaderBlock, Headers, HostError, Property};
use tidegate_header_routing::{Config, HeaderRouting, Verdict, explain, warnings};
use tidegate_testkit::fake::{FakeHost, Worker, worker};

fn split(rest: &str) -> Worker<HeaderRouting> {
    worker(&format!(
        r#"{{"rules": [{{"name": "canary", "split": {{{rest} "to": [{{"route": "beta", "weight": 1}}, {{"route": "stable", "weight": 1}}]}}}}],
             "route_header": "x-route"}}"#
    ))
}

fn route(worker: &Worker<HeaderRouting>, path: &str, headers: &[(&str, &[u8])]) -> String {
    let outcome = worker.get(path, headers);
    String::from_utf8_lossy(&outcome.upstream("x-route").concat()).into_owned()
}

/// Two keys of the form `prefix` and a number that have different arms, told by `route`.
fn two_keys(route: impl Fn(&str) -> String) -> (String, String) {
    let keys: Vec<String> = (0..64).map(|number| format!("key-{number}")).collect();
    let find = |wanted: &str| keys.iter().find(|key| route(key) == wanted).unwrap().clone();
    (find("beta"), find("stable"))
}

#[test]
fn the_first_key_there_is_decides() {
    let worker = split(r#""by": [{"cookie": "sid"}, {"header": "x-user"}, {"query": "u"}, "source"],"#);
    let by_cookie = |key: &str| route(&worker, "/", &[("cookie", format!("a=b; sid={key}").as_bytes())]);
    let (beta, stable) = two_keys(by_cookie);
    for _ in 0..3 {
        assert_eq!(by_cookie(&beta), "beta", "sticky");
    }
    // A key is a key, wherever it stands.
    assert_eq!(route(&worker, "/", &[("x-user", beta.as_bytes())]), "beta");
    assert_eq!(route(&worker, &format!("/?u={beta}"), &[]), "beta");
    let cookie = format!("sid={stable}");
    assert_eq!(route(&worker, &format!("/?u={beta}"), &[("cookie", cookie.as_bytes())]), "stable");
    assert_eq!(
        route(&worker, "/", &[("x-user", b""), ("cookie", b"sid=")]),
        route(&worker, "/", &[]),
        "empty is none"
    );
    let by_address = |key: u8| {
        worker.host().set(Property::SOURCE_ADDRESS, format!("10.0.0.{key}:77").as_bytes());
        route(&worker, "/", &[])
    };
    let arms: Vec<String> = (0..32).map(by_address).collect();
    assert!(arms.contains(&"beta".to_owned()) && arms.contains(&"stable".to_owned()));
    assert_eq!(arms, (0..32).map(by_address).collect::<Vec<_>>());
    let counted: i64 = ["beta", "stable"]
        .map(|arm| worker.host().metric(&format!("tidegate.header_routing.canary.{arm}.chosen")))
        .iter()
        .sum();
    assert_eq!(counted, worker.host().metric("tidegate.header_routing.canary.matched"));
}

#[test]
fn those_without_a_key_get_a_cookie_that_keeps_their_arm() {
    let worker = split(
        r#""by": [{"header": "x-user"}], "issue_cookie": {"name": "tg", "max_age": "7d", "domain": "example.com", "same_site": "strict"},"#,
    );
    let (outcome, mut exchange) = worker.send("GET", "/", &[]);
    let response = exchange.response(&[]);
    let cookie =
        response.iter().find(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone()).unwrap();
    let cookie = String::from_utf8(cookie).unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Domain=example.com; Max-Age=604800; HttpOnly; SameSite=Strict");
    assert_eq!(pair.len(), "tg=".len() + 32);
    let first = outcome.upstream("x-route").concat();
    let (outcome, mut exchange) = worker.send("GET", "/", &[("cookie", pair.as_bytes())]);
    assert_eq!(outcome.upstream("x-route").concat(), first);
    assert!(exchange.response(&[]).iter().all(|(name, _)| name != "set-cookie"), "once is enough");
    let (_, mut exchange) = worker.send("GET", "/", &[("x-user", b"1")]);
    assert!(exchange.response(&[]).iter().all(|(name, _)| name != "set-cookie"), "a key needs no cookie");
    let (_, mut exchange) = worker.send("GET", "/", &[(":scheme", b"https")]);
    let secure = exchange.response(&[]);
    assert!(secure.iter().any(|(_, value)| value.ends_with(b"; Secure")));
}

#[test]
fn without_random_numbers_the_greatest_arm_is_taken() {
    let worker: Worker<HeaderRouting> = worker(
        r#"{"rules": [{"name": "c", "split": {"to": [{"route": "a", "weight": 5}, {"route": "b", "weight": 95}]}}], "route_header": "x-route"}"#,
    );
    worker.host().fail("random", HostError::Unimplemented);
    assert_eq!(route(&worker, "/", &[]), "b");
}

fn fallback(rest: &str) -> Worker<HeaderRouting> {
    worker(&format!(
        r#"{{"rules": [{{"name": "r", "route": "tagged", "fallback": {rest}}}], "route_header": "x-route"}}"#
    ))
}

#[test]
fn a_route_that_led_nowhere_is_not_taken_again_for_a_while() {
    let worker = fallback(r#"{"route": "stable", "for": "30s"}"#);
    let respond = |details: &str| {
        let (outcome, mut exchange) = worker.send("GET", "/", &[]);
        worker.host().set(Property::RESPONSE_CODE_DETAILS, details.as_bytes());
        drop(exchange.response(&[]));
        String::from_utf8_lossy(&outcome.upstream("x-route").concat()).into_owned()
    };
    for details in ["via_upstream", "no_healthy_upstream"] {
        assert_eq!(respond(details), "tagged");
    }
    assert_eq!(respond("cluster_not_found"), "tagged", "nobody could know");
    assert_eq!(respond("via_upstream"), "stable");
    assert_eq!(worker.host().metric("tidegate.header_routing.r.fallback"), 1);
    worker.host().advance(Duration::from_secs(31));
    assert_eq!(respond("route_not_found"), "tagged", "it may be there by now");
    // Whoever sends a host or a path without a route brings that about: it must not move everybody else.
    assert_eq!(respond("cluster_not_found"), "tagged");
    assert_eq!(respond("via_upstream"), "stable");
}

#[test]
fn a_probe_finds_out_before_a_request_is_lost() {
    let worker = fallback(r#"{"route": "stable", "probe": {"path": "/healthz"}}"#);
    worker.host().fail("call", HostError::BadArgument);
    assert_eq!(route(&worker, "/", &[]), "stable", "there is no such cluster");
    worker.host().heal();
    assert_eq!(route(&worker, "/", &[]), "stable", "believed for ten seconds");
    worker.host().advance(Duration::from_secs(11));
    assert_eq!(route(&worker, "/", &[]), "tagged");
    assert_eq!(route(&worker, "/", &[]), "tagged");
    let calls = worker.host().calls();
    let [Callout::Http(call)] = calls.as_slice() else { unreachable!("one probe in ten seconds: {calls:?}") };
    assert_eq!(call.cluster, "tagged");
    assert!(call.headers.contains(&(":path".to_owned(), b"/healthz".to_vec())));
    worker.host().advance(Duration::from_secs(11));
    worker.host().fail("call", HostError::InternalFailure);
    assert_eq!(route(&worker, "/", &[]), "tagged", "a dead cluster is there");
}

const RULES: &str = r#"{"rules": [
    {"name": "beta", "match": {"paths": [{"prefix": "/shop"}], "headers": [{"name": "x-a", "present": true}, {"name": "x-beta", "exact": "1"}]}, "route": "beta"},
    {"name": "no-bots", "match": {"paths": [{"prefix": "/shop"}]}, "not": {"headers": [{"name": "user-agent", "contains": "bot"}]}, "route": "stable"},
    {"name": "either", "any": [{"methods": ["PUT"]}, {"query": [{"name": "q", "exact": "1"}]}], "route": "stable"},
    {"name": "elsewhere", "match": {"paths": [{"exact": "/other"}]}, "route": "stable"},
    {"name": "all", "route": "stable"}
   ], "route_header": "x-route"}"#;

fn explained(pairs: &[(&str, &[u8])]) -> (Vec<(String, bool, String)>, String) {
    let config: Config = decode(RULES.as_bytes()).unwrap();
    let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), *value));
    let exchange = Exchange::new(Headers::new(HeaderBlock::from_pairs(pairs)));
    let explanation = explain(&config, &exchange, &*FakeHost::new());
    let verdict = |verdict: Verdict| match verdict {
        Verdict::Failed(unmet) => unmet.to_string(),
        other => format!("{other:?}"),
    };
    let rules =
        explanation.rules.iter().map(|rule| (rule.name.clone(), rule.candidate, verdict(rule.verdict)));
    (rules.collect(), explanation.to_string())
}

#[test]
fn an_explanation_names_candidates_failures_and_the_winner() {
    let request: &[(&str, &[u8])] = &[
        (":method", b"GET"),
        (":path", b"/shop/1"),
        ("x-a", b""),
        ("x-beta", b"0"),
        ("user-agent", b"a bot"),
    ];
    let (rules, text) = explained(request);
    let rules: Vec<_> = rules
        .iter()
        .map(|(name, candidate, verdict)| (name.as_str(), *candidate, verdict.as_str()))
        .collect();
    assert_eq!(
        rules,
        [
            ("beta", false, "match.headers[1]"),
            ("no-bots", true, "not"),
            ("either", false, "any"),
            ("elsewhere", false, "match.paths"),
            ("all", true, "Won"),
        ]
    );
    assert_eq!(text, "no-bots: not does not hold\nall: won\n3 rules were no candidates\nrule: all");
    let (rules, _) = explained(&[(":method", b"PUT"), (":path", b"/shop"), ("x-a", b""), ("x-beta", b"1")]);
    let verdicts: Vec<_> = rules.iter().map(|(_, _, verdict)| verdict.as_str()).collect();
    assert_eq!(verdicts, ["Won", "TooLate", "TooLate", "match.paths", "TooLate"]);
}

#[test]
fn unreachable_and_overlapping_rules_are_warned_about_with_both_names() {
    let warned = |rules: &str| {
        let config: Config =
            decode(format!(r#"{{"rules": [{rules}], "route_header": "x-route"}}"#).as_bytes()).unwrap();
        warnings(&config, &*FakeHost::new())
    };
    let rule = |name: &str, conditions: &str| format!(r#"{{"name": "{name}", {conditions} "route": "x"}}"#);
    let pair = |one: &str, other: &str| warned(&[rule("a", one), rule("b", other)].join(", "));
    let all = ["rule \"b\" is never reached: rule \"a\" takes all of its requests"];
    for (earlier, later) in [
        ("", r#""match": {"paths": [{"exact": "/x"}]},"#),
        (
            r#""match": {"paths": [{"prefix": "/x"}]},"#,
            r#""match": {"paths": [{"exact": "/x/y"}], "methods": ["GET"]},"#,
        ),
        (r#""match": {"paths": [{"prefix": "/x"}]},"#, r#""match": {"paths": [{"template": "/x/{id}"}]},"#),
        (
            r#""match": {"paths": [{"template": "/x/{a}"}]},"#,
            r#""match": {"paths": [{"template": "/x/{b}"}]},"#,
        ),
        (
            r#""match": {"paths": [{"template": "/x/{a}"}]},"#,
            r#""match": {"paths": [{"exact": "/x/7"}, {"exact": "/x/8"}]},"#,
        ),
        (r#""match": {"paths": [{"regex": "/x.*"}]},"#, r#""match": {"paths": [{"exact": "/x7"}]},"#),
        (
            r#""match": {"paths": [{"regex": "/x[0-9]+y?"}]},"#,
            r#""match": {"paths": [{"regex": "/x[0-9]+y?"}], "methods": ["GET"]},"#,
        ),
        (r#""match": {"hosts": ["*.x.com"]},"#, r#""match": {"hosts": ["a.x.com", "*.y.x.com"]},"#),
        (
            r#""match": {"headers": [{"name": "h", "present": true}]},"#,
            r#""match": {"headers": [{"name": "h", "in": ["1", "2"]}]},"#,
        ),
        (
            r#""match": {"headers": [{"name": "h", "range": {"gte": 1}}]},"#,
            r#""match": {"headers": [{"name": "h", "range": {"gte": 2, "lt": 9}}]},"#,
        ),
        (
            r#""match": {"source": {"cidrs": ["10.0.0.0/8"]}},"#,
            r#""match": {"source": {"cidrs": ["10.1.0.0/16"]}},"#,
        ),
        (
            r#""match": {"query": [{"name": "q", "prefix": "a"}]},"#,
            r#""match": {"query": [{"name": "q", "exact": "ab", "values": "all"}]},"#,
        ),
        (
            r#""any": [{"paths": [{"exact": "/x"}]}, {"methods": ["PUT"]}],"#,
            r#""match": {"methods": ["PUT"]},"#,
        ),
        (
            r#""match": {"methods": ["GET", "PUT"]},"#,
            r#""any": [{"methods": ["PUT"]}, {"methods": ["GET"], "hosts": ["x"]}],"#,
        ),
        (
            r#""match": {"claims": [{"name": "r", "exact": "x"}]},"#,
            r#""match": {"claims": [{"name": "r", "exact": "x"}], "principal": {"exact": "y"}},"#,
        ),
        (r#""not": {"hosts": ["x"]},"#, r#""match": {"methods": ["PUT"]}, "not": {"hosts": ["x"]},"#),
    ] {
        assert_eq!(pair(earlier, later), all, "{earlier} {later}");
    }
    for (earlier, later) in [
        (r#""match": {"paths": [{"exact": "/x"}]},"#, ""),
        (
            r#""match": {"paths": [{"prefix": "/x"}], "methods": ["GET"]},"#,
            r#""match": {"paths": [{"exact": "/x/y"}]},"#,
        ),
        (
            r#""match": {"paths": [{"prefix": "/x"}]}, "not": {"methods": ["PUT"]},"#,
            r#""match": {"paths": [{"exact": "/x/y"}]},"#,
        ),
        (
            r#""match": {"headers": [{"name": "h", "exact": "1", "values": "all"}]},"#,
            r#""match": {"headers": [{"name": "h", "exact": "1"}]},"#,
        ),
        (r#""match": {"paths": [{"template": "/x/{a}"}]},"#, r#""match": {"paths": [{"prefix": "/x/y"}]},"#),
        (
            r#""match": {"claims": [{"name": "r", "contains": "x"}]},"#,
            r#""match": {"claims": [{"name": "r", "exact": "x"}]},"#,
        ),
        (r#""match": {"claims": [{"name": "r", "present": false}]},"#, ""),
    ] {
        assert_eq!(pair(earlier, later), Vec::<String>::new(), "{earlier} {later}");
    }
    assert_eq!(
        pair(
            r#""match": {"paths": [{"exact": "/x"}, {"exact": "/y"}]},"#,
            r#""match": {"paths": [{"exact": "/z"}, {"exact": "/y"}], "methods": ["GET"]},"#
        ),
        ["rule \"b\" overlaps rule \"a\", which takes all requests of its match.paths[1]"]
    );
    assert_eq!(
        pair(
            r#""match": {"headers": [{"name": "h", "exact": "1"}]},"#,
            r#""match": {"headers": [{"name": "h", "in": ["1", "2"]}]},"#
        ),
        ["rule \"b\" overlaps rule \"a\", which takes all requests of its match.headers[0].in[0]"]
    );
    assert_eq!(
        pair(r#""match": {"methods": ["PUT"]},"#, r#""any": [{"methods": ["PUT"]}, {"methods": ["GET"]}],"#),
        ["rule \"b\" overlaps rule \"a\", which takes all requests of its any[0]"]
    );
}
