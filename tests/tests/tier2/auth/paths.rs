//! Ways round rules that depend on how Envoy itself treats paths and routes.

use e2e::client::Connection;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::site::Site;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth::paths::whatever_envoy_normalises", whatever_envoy_normalises),
        Trial::test("auth::paths::a_request_without_a_path", without_a_path),
        Trial::test("auth::paths::behind_a_filter_that_routes", behind_routing),
        Trial::test("auth::paths::addresses_by_trusted_hops", trusted_hops),
        Trial::test("auth::paths::what_auth_knows_later_filters_know", later_filters),
    ]
}

/// The digest of `acme-key-1`.
const ACME: &str = "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508";

fn auth(more: &Value) -> Value {
    let mut auth = json!({
        "providers": {"partners": {"api_key": {"from": [{"header": "x-api-key"}], "keys": [{"id": "acme", "sha256": ACME}]}}},
        "rules": [
            {"name": "admin", "match": {"paths": [{"prefix": "/admin"}]}, "require": "partners", "principals": [{"exact": "nobody"}]},
            {"name": "secret", "match": {"paths": [{"prefix": "/secret"}]}, "deny": true},
            {"name": "rest", "allow": "anyone"}],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        auth[name] = value.clone();
    }
    auth
}

const WAYS: [&str; 22] = [
    "/ADMIN",
    "/public/../ADMIN",
    "/public/./../ADMIN",
    "//ADMIN",
    "/public/..//ADMIN",
    "/public/..%2FADMIN",
    "/public%2f..%2fADMIN",
    "/public%2f%2e%2e%2fADMIN",
    "/%2e%2e/ADMIN",
    "/public\\..\\ADMIN",
    "/public%5c..%5cADMIN",
    "/public%5C%2e%2e%5CADMIN",
    "/public/..;/ADMIN",
    "/ADMIN;a=b",
    "/ADMIN#x",
    "/ADMIN?x=/public",
    "/%2561DMIN",
    "/public/%252e%252e/ADMIN",
    "/public/%c0%ae%c0%ae/ADMIN",
    "/ADMIN%00",
    "/ADMIN/",
    "/public/%2e%2e%3b/ADMIN",
];

fn whatever_envoy_normalises() -> Result<(), Failed> {
    let settings = [
        json!({}),
        json!({"normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"}),
        json!({"normalize_path": true, "path_with_escaped_slashes_action": "KEEP_UNCHANGED"}),
    ];
    let mut wrong = Vec::new();
    for ambiguous in ["refuse", "worst"] {
        for setting in &settings {
            let auth = auth(&json!({"ambiguous_paths": ambiguous}));
            let site = Site::start_with(&[("auth", &auth)], &[], 1, |bootstrap| {
                let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
                if let Some(manager) = bootstrap.pointer_mut(manager) {
                    for (name, value) in setting.as_object().into_iter().flatten() {
                        manager[name] = value.clone();
                    }
                }
            })?;
            for way in WAYS {
                for target in ["admin", "secret"] {
                    let first = if target == "admin" { "DMIN" } else { "ECRET" };
                    let encoded = if target == "admin" { "%2561" } else { "%2573" };
                    let way = way
                        .replace("%2561DMIN", &format!("{encoded}{}", first.to_lowercase()))
                        .replace("ADMIN", target);
                    let seen = site.status(&way, &[("x-api-key", "acme-key-1")])?;
                    if seen == 200 {
                        wrong.push(format!("{way} with {setting} and {ambiguous}: let through"));
                    }
                }
            }
            site.expect("an ordinary path", 200, "/public/a%20b/..c/d.e?x=/../admin", &[])?;
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn without_a_path() -> Result<(), Failed> {
    let site = Site::start(&auth(&json!({})), &[], 1)?;
    for text in [
        "CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n\r\n",
        "CONNECT /admin HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http:///admin HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET  HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a/admin HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a/public/../secret HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let reply = Connection::open(site.envoy.address())?.exchange(text.as_bytes())?;
        if reply.status == 200 {
            return Err(format!("let through: {text}").into());
        }
    }
    site.expect("the next request", 200, "/public", &[])
}

/// auth stands behind what chooses routes and looks at what will be served, whatever was asked for.
fn behind_routing() -> Result<(), Failed> {
    let routing = json!({"rules": [
        {"name": "moved", "match": {"paths": [{"prefix": "/public/moved"}]}, "route": "beta"}],
        "route_header": "x-tidegate-route"});
    let auth = auth(&json!({"rules": [
        {"name": "beta", "match": {"headers": [{"name": "x-tidegate-route", "exact": "beta"}]}, "require": "partners"},
        {"name": "rest", "allow": "anyone"}]}));
    let site = Site::start_with(&[("header-routing", &routing), ("auth", &auth)], &[], 1, |_| ())?;
    site.expect("what stays", 200, "/public/a", &[])?;
    site.expect("what is moved", 401, "/public/moved", &[])?;
    site.expect("what is moved, with a key", 200, "/public/moved", &[("x-api-key", "acme-key-1")])?;
    // What a client says of routes is taken away before auth looks.
    site.expect("a forged route", 200, "/public/a", &[("x-tidegate-route", "beta")])
}

fn trusted_hops() -> Result<(), Failed> {
    let office = json!({"source": {"cidrs": ["198.51.100.0/24"]}});
    let auth = json!({"providers": {"office": office}, "client_address": {"trusted_hops": 2},
        "rules": [{"name": "blocked", "match": {"source": {"cidrs": ["203.0.113.0/24"]}}, "deny": true},
                  {"name": "all", "require": "office"}],
        "forward": {"principal_header": "x-auth-subject"}});
    let site = Site::start(&auth, &[], 1)?;
    // Envoy adds the peer itself: the entry before it is the proxy's in front.
    for (forwarded, expected) in [
        ("198.51.100.7", 200),
        ("203.0.113.9, 198.51.100.7", 200),
        ("198.51.100.7, 203.0.113.9", 403),
        ("198.51.100.7, 192.0.2.1", 403),
        ("nonsense", 403),
    ] {
        site.expect(forwarded, expected, "/", &[("x-forwarded-for", forwarded)])?;
    }
    site.expect("nobody in front", 403, "/", &[])
}

/// Principal and claims go on as filter state: a client's headers name nobody.
fn later_filters() -> Result<(), Failed> {
    let keys = json!([{"id": "acme", "sha256": ACME, "claims": {"plan": {"tier": "gold"}}}]);
    let auth = json!({
        "providers": {"partners": {"api_key": {"from": [{"header": "x-api-key"}], "keys": keys}}},
        "rules": [{"name": "all", "require": {"provider": "partners", "allow_missing": true}}],
        "forward": {"principal_header": "x-auth-subject"},
    });
    let routing = json!({"rules": [
        {"name": "gold", "match": {"principals": [{"exact": "acme"}], "claims": [{"name": "plan.tier", "exact": "gold"}]}, "route": "beta"}],
        "default": {"route": "stable"}, "route_header": "x-tidegate-route"});
    let site = Site::start_with(&[("auth", &auth), ("header-routing", &routing)], &[], 2, |_| ())?;
    let forged = [("x-auth-subject", "acme"), ("tg.principal", "acme"), ("wasm.tg.claims", "{}")];
    for (what, headers, expected) in [
        ("known", &[("x-api-key", "acme-key-1")][..], "beta"),
        ("nobody", &[], "stable"),
        ("forged", &forged, "stable"),
    ] {
        let response = site.send("/", headers)?;
        if response.reached.as_deref() != Some(expected) {
            return Err(format!(
                "{what}: expected {expected}, seen {} {:?}",
                response.status, response.reached
            )
            .into());
        }
    }
    Ok(())
}
