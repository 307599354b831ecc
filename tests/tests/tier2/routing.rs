//! What header routing promises beyond scenarios: every way to let Envoy's routes follow, cookies that keep an arm, and a
//! fallback for clusters that are not there.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use e2e::bootstrap::{self, Form};
use e2e::client::{Connection, http2};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::{Request, Response};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("routing::routes_follow_filter_state", routes_follow_filter_state),
        Trial::test("routing::cluster_header_follows", cluster_header_follows),
        Trial::test("routing::a_route_chosen_before_is_chosen_again", chosen_again),
        Trial::test("routing::an_issued_cookie_keeps_its_arm", an_issued_cookie_keeps_its_arm),
        Trial::test("routing::an_address_keeps_its_arm", an_address_keeps_its_arm),
        Trial::test("routing::a_fallback_learns_from_a_response", a_fallback_learns),
        Trial::test("routing::a_fallback_with_a_probe_loses_no_request", a_probe_loses_no_request),
        Trial::test("routing::no_client_brings_a_fallback_about", no_client_brings_a_fallback_about),
        Trial::test("routing::marks_are_filter_state", marks_are_filter_state),
        Trial::test("routing::hosts_in_every_form", hosts_in_every_form),
        Trial::test("routing::bytes_of_any_kind_never_trap", bytes_of_any_kind),
    ]
}

const BETA: &str = "x-beta";

/// An Envoy with these rules in front of these routes.
struct Routing {
    envoy: Envoy,
    _upstreams: Upstreams,
}

impl Routing {
    fn start(configuration: &Value, routes: &Value) -> Result<Self, Failed> {
        Self::start_with(configuration, routes, &["*"])
    }

    /// The same for these domains only.
    fn start_with(configuration: &Value, routes: &Value, domains: &[&str]) -> Result<Self, Failed> {
        let upstreams = Upstreams::start()?;
        let mut bootstrap =
            bootstrap::with_filters(&[("header-routing", configuration)], &upstreams, Form::Struct)?;
        let place = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config";
        let config = bootstrap.pointer_mut(place).ok_or("the bootstrap has no routes")?;
        config["validate_clusters"] = json!(false);
        config["virtual_hosts"][0]["routes"] = routes.clone();
        config["virtual_hosts"][0]["domains"] = json!(domains);
        Ok(Self { envoy: Envoy::start(&bootstrap, 1)?, _upstreams: upstreams })
    }

    /// The response over HTTP/1.1 and over HTTP/2.
    fn send(&self, path: &str, headers: &[(&str, &[u8])]) -> Result<[Response; 2], Failed> {
        let request = Request {
            method: "GET".to_owned(),
            path: path.as_bytes().to_vec(),
            host: "shop.example".to_owned(),
            headers: headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect(),
            body: Vec::new(),
            grpc: false,
        };
        let address = self.envoy.address();
        let first = Connection::open(address)?.send(&request)?;
        Ok([first.into(), http2(address, &request)?.into()])
    }

    /// Who answers these bytes, or with what status nobody did.
    fn raw(&self, bytes: &str) -> Result<String, Failed> {
        let reply: Response = Connection::open(self.envoy.address())?.exchange(bytes.as_bytes())?.into();
        Ok(reply.reached.unwrap_or_else(|| reply.status.to_string()))
    }

    fn expect(&self, headers: &[(&str, &[u8])], reached: &str) -> Result<(), Failed> {
        for response in self.send("/", headers)? {
            let seen = response.reached.clone().unwrap_or_else(|| response.status.to_string());
            if seen != reached {
                return Err(
                    format!("{headers:?}: expected {reached}, seen {seen}\n{}", self.envoy.log()).into()
                );
            }
        }
        Ok(())
    }
}

fn beta_rule() -> Value {
    json!({
        "rules": [{"name": "beta", "match": {"headers": [{"name": BETA, "present": true}]}, "route": "beta"}],
        "default": {"route": "stable"},
        "route_header": "x-tidegate-route",
    })
}

fn by_state(route: &str) -> Value {
    let state = json!({"key": "wasm.tg.route", "string_match": {"exact": route}});
    json!({"match": {"prefix": "/", "filter_state": [state]}, "route": {"cluster": route}})
}

fn by_header() -> Value {
    json!([{"match": {"prefix": "/"}, "route": {"cluster_header": "x-tidegate-route"}}])
}

fn routes_follow_filter_state() -> Result<(), Failed> {
    let none = json!({"match": {"prefix": "/"}, "direct_response": {"status": 418}});
    let routing = Routing::start(&beta_rule(), &json!([by_state("beta"), by_state("stable"), none]))?;
    routing.expect(&[(BETA, b"1")], "beta")?;
    routing.expect(&[], "stable")?;
    // Neither the header nor anything else that a client sends is filter state.
    routing.expect(&[("x-tidegate-route", b"beta"), ("wasm.tg.route", b"beta")], "stable")
}

fn cluster_header_follows() -> Result<(), Failed> {
    let routing = Routing::start(&beta_rule(), &by_header())?;
    routing.expect(&[(BETA, b"1")], "beta")?;
    routing.expect(&[], "stable")?;
    routing.expect(&[("x-tidegate-route", b"beta")], "stable")
}

/// Envoy has chosen by what the client sent before the filter changes it: path, host and headers.
fn chosen_again() -> Result<(), Failed> {
    let configuration = json!({
        "rules": [
            {"name": "path", "match": {"paths": [{"prefix": "/old"}]}, "rewrite": {"path": "/new"}},
            {"name": "host", "match": {"paths": [{"prefix": "/host"}]}, "rewrite": {"host": "beta.internal"}},
            {"name": "header", "match": {"paths": [{"prefix": "/header"}]}, "set_headers": {"x-to": "beta"}},
        ],
        "route_header": "x-tidegate-route",
    });
    let to = |condition: Value, cluster: &str| json!({"match": condition, "route": {"cluster": cluster}});
    let header = |name: &str, value: &str| json!({"name": name, "string_match": {"exact": value}});
    let routes = json!([
        to(json!({"prefix": "/new"}), "beta"),
        to(json!({"prefix": "/", "headers": [header(":authority", "beta.internal")]}), "beta"),
        to(json!({"prefix": "/", "headers": [header("x-to", "beta")]}), "beta"),
        to(json!({"prefix": "/"}), "stable"),
    ]);
    let routing = Routing::start(&configuration, &routes)?;
    for (path, reached) in [("/old", "beta"), ("/host", "beta"), ("/header", "beta"), ("/", "stable")] {
        for response in routing.send(path, &[])? {
            if response.reached.as_deref() != Some(reached) {
                return Err(format!("{path}: expected {reached}, seen {response:?}").into());
            }
        }
    }
    Ok(())
}

fn an_issued_cookie_keeps_its_arm() -> Result<(), Failed> {
    let arm = |route: &str| json!({"route": route, "weight": 50});
    let configuration = json!({
        "rules": [{"name": "canary", "split": {
            "issue_cookie": {"name": "tg", "max_age": "1h"}, "to": [arm("beta"), arm("stable")]}}],
        "route_header": "x-tidegate-route",
    });
    let routing = Routing::start(&configuration, &by_header())?;
    let mut reached = BTreeSet::new();
    for _ in 0..20 {
        for first in routing.send("/", &[])? {
            let cookie = first.header("set-cookie").ok_or("no cookie was issued")?;
            let pair = cookie.split(';').next().unwrap_or_default();
            for again in routing.send("/", &[("cookie", pair.as_bytes())])? {
                if again.reached != first.reached || again.header("set-cookie").is_some() {
                    return Err(format!("{pair}: first {first:?}, then {again:?}").into());
                }
            }
            reached.extend(first.reached);
        }
    }
    // That all 40 have one arm happens once in 5e11 runs.
    if reached.len() == 2 { Ok(()) } else { Err(format!("only {reached:?} was reached").into()) }
}

fn an_address_keeps_its_arm() -> Result<(), Failed> {
    let arm = |route: &str| json!({"route": route, "weight": 50});
    let configuration = json!({
        "rules": [{"name": "canary", "split": {"by": ["source"], "to": [arm("beta"), arm("stable")]}}],
        // Envoy writes its peer behind what the client sent.
        "client_address": {"trusted_hops": 2},
        "route_header": "x-tidegate-route",
    });
    let routing = Routing::start(&configuration, &by_header())?;
    let mut reached = BTreeSet::new();
    for number in 0..20 {
        let address = format!("10.0.0.{number}");
        let headers = [("x-forwarded-for", address.as_bytes())];
        let [first, second] = routing.send("/", &headers)?;
        let arm = first.reached.clone().ok_or_else(|| format!("{first:?}"))?;
        if second.reached.as_ref() != Some(&arm) {
            return Err(format!("{address}: first {arm}, then {second:?}").into());
        }
        routing.expect(&headers, &arm)?;
        reached.insert(arm);
    }
    if reached.len() == 2 { Ok(()) } else { Err(format!("only {reached:?} was reached").into()) }
}

fn tagged(fallback: &Value) -> Value {
    json!({
        "rules": [
            {"name": "gone", "match": {"headers": [{"name": "x-gone", "present": true}]}, "route": "gone", "fallback": fallback},
            {"name": "beta", "route": "beta", "fallback": fallback},
        ],
        "route_header": "x-tidegate-route",
    })
}

fn a_fallback_learns() -> Result<(), Failed> {
    let routing = Routing::start(&tagged(&json!({"route": "stable", "for": "1s"})), &by_header())?;
    let gone: &[(&str, &[u8])] = &[("x-gone", b"1")];
    let [first, second] = routing.send("/", gone)?;
    if (first.status, second.reached.as_deref()) != (503, Some("stable")) {
        return Err(format!(
            "expected 503, then stable; seen {first:?}, {second:?}\n{}",
            routing.envoy.log()
        )
        .into());
    }
    routing.expect(gone, "stable")?;
    routing.expect(&[], "beta")?;
    thread::sleep(Duration::from_millis(1_100));
    let [first, second] = routing.send("/", gone)?;
    if (first.status, second.reached.as_deref()) != (503, Some("stable")) {
        return Err(format!("expected to be tried again; seen {first:?}, {second:?}").into());
    }
    Ok(())
}

fn a_probe_loses_no_request() -> Result<(), Failed> {
    let fallback = json!({"route": "stable", "probe": {"path": "/healthz"}});
    let routing = Routing::start(&tagged(&fallback), &by_header())?;
    routing.expect(&[("x-gone", b"1")], "stable")?;
    routing.expect(&[], "beta")?;
    let counted = routing.envoy.stat("header_routing.gone.fallback")?;
    if counted != 2 {
        return Err(format!("expected 2 requests to fall back, seen {counted}").into());
    }
    Ok(())
}

/// A host that no virtual host takes ends in 404, and says nothing about the route.
fn no_client_brings_a_fallback_about() -> Result<(), Failed> {
    let configuration = tagged(&json!({"route": "stable", "for": "1m"}));
    let routing = Routing::start_with(&configuration, &by_header(), &["shop.example"])?;
    for _ in 0..3 {
        let seen = routing.raw("GET / HTTP/1.1\r\nhost: nowhere.example\r\n\r\n")?;
        if seen != "404" {
            return Err(format!("expected no route for that host, seen {seen}").into());
        }
        routing.expect(&[], "beta")?;
    }
    Ok(())
}

fn marks_are_filter_state() -> Result<(), Failed> {
    let configuration = json!({
        "rules": [{"name": "r", "match": {"headers": [{"name": BETA, "present": true}]}, "mark": "early"}],
        "route_header": "x-tidegate-route",
    });
    let state = json!({"key": "wasm.tg.routing_rule", "string_match": {"exact": "early"}});
    let routes = json!([
        {"match": {"prefix": "/", "filter_state": [state]}, "route": {"cluster": "beta"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "stable"}},
    ]);
    let routing = Routing::start(&configuration, &routes)?;
    routing.expect(&[(BETA, b"1")], "beta")?;
    routing.expect(&[("wasm.tg.routing_rule", b"early")], "stable")
}

/// The host that counts is the one that Envoy and the backend see.
fn hosts_in_every_form() -> Result<(), Failed> {
    let configuration = json!({
        "rules": [{"name": "r", "match": {"hosts": ["beta.internal"]}, "route": "beta"}],
        "default": {"route": "stable"},
        "route_header": "x-tidegate-route",
    });
    let routing = Routing::start(&configuration, &by_header())?;
    for (head, reached) in [
        ("GET / HTTP/1.1\r\nhost: BETA.internal.:80\r\n", &["beta"][..]),
        ("GET http://beta.internal/ HTTP/1.1\r\nhost: shop.example\r\n", &["beta"]),
        ("GET http://shop.example/ HTTP/1.1\r\nhost: beta.internal\r\n", &["stable"]),
        ("GET / HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-host: beta.internal\r\n", &["stable"]),
        // Two are none that a rule knows, or are refused.
        ("GET / HTTP/1.1\r\nhost: shop.example\r\nhost: beta.internal\r\n", &["stable", "400"]),
        ("GET / HTTP/1.1\r\nhost: beta.internal\r\nhost: shop.example\r\n", &["stable", "400"]),
        ("GET / HTTP/1.1\r\nhost: shop.example@beta.internal\r\n", &["beta", "400"]),
    ] {
        let seen = routing.raw(&format!("{head}\r\n"))?;
        if !reached.contains(&seen.as_str()) {
            return Err(format!("{head:?}: expected {reached:?}, seen {seen}").into());
        }
    }
    Ok(())
}

/// Every value that an edit, a rewrite, a redirect or a split is built from, with bytes that are no text.
fn bytes_of_any_kind() -> Result<(), Failed> {
    let configuration = json!({
        "rules": [
            {"name": "to", "match": {"query": [{"name": "to", "present": true}]}, "redirect": {"location": "/{query.to}"}},
            {"name": "all",
             "match": {"paths": [{"regex": "/(.*)", "raw": true}]},
             "rewrite": {"path": "/{header.x}{1}", "host": {"regex": "(.*)", "with": "h{header.x}"}},
             "set_headers": {"y": "{header.x}{cookie.c}{1}"}, "set_query": {"q": "{header.x}"},
             "set_cookies": {"c": "{header.x}"}, "rename_cookies": {"d": "e"},
             "split": {"by": [{"header": "x"}, {"cookie": "c"}], "to": [{"route": "stable", "weight": 1}]}},
        ],
        "route_header": "x-tidegate-route",
    });
    let routing = Routing::start(&configuration, &by_header())?;
    let odd: [&[u8]; 8] = [b"", b"\xff", b"\xc3\xa9", b"a\tb", b"../..", b"%", b"{x}", b"\\"];
    for x in odd {
        for cookie in [&b"c=\xff; d=;;=; e"[..], b"=", b"c"] {
            for path in ["/a", "/?to=%ff%00%0d%0a", "/%ff%", "/?to"] {
                // What matters is that each is answered: a trap would end in 503 for a second.
                for response in routing.send(path, &[("x", x), ("cookie", cookie)])? {
                    if !matches!(response.status, 200 | 302 | 400) {
                        let log = routing.envoy.log();
                        return Err(format!("{path} {x:?} {cookie:?}: {response:?}\n{log}").into());
                    }
                }
            }
        }
    }
    Ok(())
}
