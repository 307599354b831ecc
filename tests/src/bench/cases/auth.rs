//! A key check: ten keys, the last of which is sent; tokens, seen for the first time and again; rules in any number.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use tidegate_testkit::tokens::{SigningKey, key_set};

use super::{load, lua, native, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};
use crate::bench::load::{Load, Request};

const PARTNERS: u32 = 10;

pub(super) fn cases() -> Vec<Case> {
    [keys(), tokens(), rules()].concat()
}

fn keys() -> Vec<Case> {
    vec![
        checked(Case::new("auth", "one key of ten", load(), || Setup::of(filter())))
            .counted_by("tidegate.auth.api.allowed")
            .native("auth/native"),
        checked(Case::new("auth/native", "api_key_auth, one key of ten", load(), || {
            Setup::of(native_filter())
        }))
        .counted_by("api_key_auth.allowed"),
        checked(Case::new("auth/lua", "the same in Lua, keys unhashed", load(), || Setup::of(lua(&[LUA])))),
    ]
}

/// A token of each kind: looked at anew each time, or remembered.
fn tokens() -> Vec<Case> {
    let kinds = [("rs256", "RS256", SigningKey::Rsa), ("es256", "ES256", SigningKey::P256(1))];
    let mut cases = Vec::new();
    for (name, algorithm, key) in kinds {
        for (suffix, seen, remembered) in [("first", "at first sight", 0), ("again", "seen before", 1_000)] {
            let about = format!("a token, {algorithm}, {seen}");
            let ours =
                Case::new(&format!("auth-jwt/{name}-{suffix}"), &about, bearer(key, algorithm), move || {
                    Setup::of(jwt(key, remembered))
                });
            let native = format!("auth-jwt/{name}-{suffix}/native");
            cases.push(
                token_checks(ours, key, algorithm).counted_by("tidegate.auth.all.allowed").native(&native),
            );
            let about = format!("jwt_authn, {algorithm}, {seen}");
            let theirs = Case::new(&native, &about, bearer(key, algorithm), move || {
                Setup::of(jwt_authn(key, remembered))
            });
            cases.push(token_checks(theirs, key, algorithm).counted_by("jwt_authn.allowed"));
        }
    }
    cases
}

const ISSUER: &str = "https://id.example.com/";

fn token(key: SigningKey, algorithm: &str, audience: &str) -> String {
    let claims = json!({"iss": ISSUER, "aud": audience, "sub": "ann", "exp": 4_102_444_800_u64,
        "email": "ann@example.com", "groups": ["users", "buyers"], "iat": 1_700_000_000});
    format!("Bearer {}", key.sign(&json!({"alg": algorithm, "kid": "one", "typ": "JWT"}), &claims))
}

fn bearer(key: SigningKey, algorithm: &str) -> Load {
    Load::of(request().without("x-api-key").with("authorization", &token(key, algorithm, "shop")))
}

fn token_checks(case: Case, key: SigningKey, algorithm: &str) -> Case {
    let plain = || request().without("x-api-key");
    let with = |token: &str| plain().with("authorization", token);
    let good = token(key, algorithm, "shop");
    let forged = token(SigningKey::P256(9), algorithm, "shop");
    case.check("a request without a token is refused", plain(), Expected::Status(401))
        .check("another's signature is refused", with(&forged), Expected::Status(401))
        .check("a good token passes", with(&good), Expected::Status(200))
}

fn jwt(key: SigningKey, remembered: u64) -> HttpFilter {
    HttpFilter::Module(
        "auth",
        json!({
            "providers": {"corp": {"jwt": {"issuer": ISSUER, "audiences": ["shop"], "cache": {"max": remembered},
                "jwks": {"inline": key_set(&[(key, "one")])}}}},
            "rules": [{"name": "all", "require": "corp"}],
        }),
    )
}

fn jwt_authn(key: SigningKey, remembered: u64) -> HttpFilter {
    let mut provider = json!({"issuer": ISSUER, "audiences": ["shop"], "forward": true,
        "local_jwks": {"inline_string": key_set(&[(key, "one")]).to_string()}});
    if remembered > 0 {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": remembered});
    }
    native(
        "jwt_authn",
        "jwt_authn.v3.JwtAuthentication",
        json!({"providers": {"corp": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "corp"}}]}),
    )
}

/// A list of rules, the last of which decides.
fn rules() -> Vec<Case> {
    let list = |count: u32| {
        let rules: Vec<Value> = (1..=count)
            .map(|n| json!({"name": format!("rule-{n}"), "match": {"paths": [{"exact": format!("/rules/{n}")}]}, "allow": "anyone"}))
            .collect();
        HttpFilter::Module("auth", json!({"rules": rules}))
    };
    let rbac = |count: u32| {
        let policies: serde_json::Map<String, Value> = (1..=count)
            .map(|n| {
                let path = json!({"url_path": {"path": {"exact": format!("/rules/{n}")}}});
                (format!("rule-{n:05}"), json!({"permissions": [path], "principals": [{"any": true}]}))
            })
            .collect();
        native("rbac", "rbac.v3.RBAC", json!({"rules": {"action": "ALLOW", "policies": policies}}))
    };
    let mut cases = Vec::new();
    for count in [10, 1_000, 10_000] {
        let to = || Load::of(request().path(&format!("/rules/{count}")));
        let checks = |case: Case| {
            let at = |path: &str| -> Request { request().path(path) };
            case.check("what no rule names is refused", at("/rules/0"), Expected::Status(403))
                .check("the first rule lets through", at("/rules/1"), Expected::Status(200))
                .check("the last rule lets through", at(&format!("/rules/{count}")), Expected::Status(200))
        };
        let native = format!("auth-rules/{count}/native");
        let ours =
            Case::new(&format!("auth-rules/{count}"), &format!("{count} rules on paths"), to(), move || {
                Setup::of(list(count))
            });
        cases.push(checks(ours).counted_by(&format!("tidegate.auth.rule-{count}.allowed")).native(&native));
        let theirs =
            Case::new(&native, &format!("rbac, {count} policies"), to(), move || Setup::of(rbac(count)));
        cases.push(checks(theirs).counted_by("rbac.allowed"));
    }
    cases
}

/// Keys are asked for, looked at, and never sent on.
pub(super) fn checked(case: Case) -> Case {
    let echo = || request().path("/api/echo");
    case.check("a request without a key is refused", request().without("x-api-key"), Expected::Status(401))
        .check(
            "an unknown key is refused",
            request().with("x-api-key", "key-of-nobody"),
            Expected::Status(401),
        )
        .check("a key tells who calls", echo(), Expected::Upstream("x-auth-subject", Some("partner-10")))
        .check("a key is not sent on", echo(), Expected::Upstream("x-api-key", None))
}

fn key(partner: u32) -> String {
    format!("key-of-partner-{partner:02}-9f86d081")
}

pub(super) fn filter() -> HttpFilter {
    HttpFilter::Module("auth", configuration())
}

pub(super) fn configuration() -> Value {
    let digest =
        |key: String| -> String { Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect() };
    let keys: Vec<Value> = (1..=PARTNERS)
        .map(|partner| json!({"id": format!("partner-{partner:02}"), "sha256": digest(key(partner))}))
        .collect();
    json!({
        "providers": {"partners": {"api_key": {"from": [{"header": "x-api-key"}], "keys": keys}}},
        "rules": [{"name": "api", "match": {"paths": [{"prefix": "/api"}]}, "require": "partners"}],
        "forward": {"principal_header": "x-auth-subject", "strip_credentials": true},
    })
}

pub(super) fn native_filter() -> HttpFilter {
    let credentials: Vec<Value> = (1..=PARTNERS)
        .map(|partner| json!({"client": format!("partner-{partner:02}"), "key": key(partner)}))
        .collect();
    native(
        "api_key_auth",
        "api_key_auth.v3.ApiKeyAuth",
        json!({
            "credentials": credentials,
            "key_sources": [{"header": "x-api-key"}],
            "forwarding": {"header": "x-auth-subject", "hide_credentials": true},
        }),
    )
}

pub(super) const LUA: (&str, &str) = ("authenticate", include_str!("lua/authenticate.lua"));
