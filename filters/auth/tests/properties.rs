//! Credentials of any bytes: the filter ends, never panics, and lets nobody in.
#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use tidegate_auth::Auth;
use tidegate_testkit::fake::{FakeHost, Outcome, Worker, worker_on};
use tidegate_testkit::tokens::{SigningKey, key_set};

const TOKEN_HEADERS: [&str; 7] = [
    "authorization",
    "x-api-key",
    "cookie",
    "x-signature",
    "date",
    "x-forwarded-client-cert",
    "l5d-client-id",
];

/// Every provider that reads what clients send, each required on a path of its own.
fn auth() -> Worker<Auth> {
    let host = FakeHost::new();
    host.set_variable("SECRET", b"0123456789abcdef");
    let digest = "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508";
    let trusted = serde_json::json!({"trusted": {"cidrs": ["192.0.2.0/24"]}});
    let configuration = serde_json::json!({
        "providers": {
            "jwt": {"jwt": {"issuer": "https://id.example.com/", "audiences": ["shop"],
                "from": [{"header": "authorization", "prefix": "Bearer "}, {"query": "token"}, {"cookie": "session"}],
                "jwks": {"inline": key_set(&[(SigningKey::P256(1), "one"), (SigningKey::Rsa, "two")])}}},
            "key": {"api_key": {"from": [{"header": "x-api-key"}, {"query": "key"}, {"cookie": "key"}],
                "keys": [{"id": "acme", "sha256": digest}]}},
            "basic": {"basic": {"users": [{"name": "ops", "sha256": digest}]}},
            "hook": {"hmac": {"from": {"header": "x-signature"}, "secret_env": "SECRET", "signed": ["path", "header:date"]}},
            "xfcc": {"mtls": {"trust_domain": "nobodys.example", "xfcc": trusted}},
            "l5d": {"mtls": {"trust_domain": "nobodys.example", "l5d_client_id": trusted}},
        },
        "rules": [{"name": "all", "require": {"any_of": ["jwt", "key", "basic", "hook", "xfcc", "l5d"]}}],
        "ambiguous_paths": "worst",
        "forward": {"principal_header": "x-auth-subject", "strip_credentials": true},
    });
    worker_on(&host, &configuration.to_string())
}

/// Bytes that look like something here and there.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "Bearer ",
        "Basic ",
        "eyJhbGciOiJFUzI1NiJ9",
        ".",
        "..",
        "e30",
        "=",
        ",",
        ";",
        "\"",
        "\\",
        "URI=",
        "spiffe://",
        "none.example",
        "/",
        "By=",
        "Hash=ab",
        "session=",
        "key=",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "1700000000",
        "00ff",
        "b3BzOg==",
        "acme-key-",
        "%",
        "%2e",
    ]);
    let piece = prop_oneof![
        3 => pieces.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150_000))]

    #[test]
    fn nobody_gets_in(
        headers in prop::collection::vec((0..TOKEN_HEADERS.len(), value()), 0..4),
        path in value(),
    ) {
        thread_local! {
            static AUTH: Worker<Auth> = auth();
        }
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (TOKEN_HEADERS[*name], value.as_slice())).collect();
        let path = format!("/{}", String::from_utf8_lossy(&path));
        let outcome = AUTH.with(|auth| auth.get(&path, &headers));
        prop_assert!(!matches!(outcome, Outcome::Passed(_)), "{headers:?}");
    }
}
