//! A key check: ten keys, the last of which is sent.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{load, lua, native, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

const PARTNERS: u32 = 10;

pub(super) fn cases() -> Vec<Case> {
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
