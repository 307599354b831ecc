//! No secret is in any log, metric or reply, also where everything is logged.

use e2e::bootstrap::{self, Form};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::tokens::SigningKey;

use super::site::send;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("auth::secrets::nothing_shows_them", nothing_shows_them)]
}

fn nothing_shows_them() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let auth = json!({
        "providers": {
            "corp": {"jwt": {"issuer": "https://id.example.com/", "audiences": ["shop"], "algorithms": ["ES256", "HS256"],
                "jwks": {"inline": {"keys": [SigningKey::P256(1).jwk("one"), {"kty": "oct", "kid": "secret", "k_env": "JWK"}]}}}},
            "partners": {"api_key": {"from": [{"header": "x-api-key"}, {"query": "api_key"}, {"cookie": "key"}],
                "keys": [{"id": "acme", "sha256": "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508"}]}},
            "ops": {"basic": {"users": [{"name": "ops", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}]}},
            "hooks": {"hmac": {"from": {"header": "x-signature"}, "secret_env": "HOOK_SECRET", "signed": ["method", "header:date"]}},
        },
        "rules": [{"name": "all", "require": {"any_of": ["corp", "partners", "ops", "hooks"]}}],
    });
    let mut bootstrap = bootstrap::with_filters(&[("auth", &auth)], &upstreams, Form::Struct)?;
    // 64 bytes of 9 in base64url.
    let jwk = SigningKey::Secret(9).jwk("secret")["k"].as_str().unwrap_or_default().to_owned();
    let hook = "the-webhooks-secret-of-this-test";
    let variables = [("JWK", jwk.as_str()), ("HOOK_SECRET", hook)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    bootstrap::set_environment(&mut bootstrap, &variables)?;
    let envoy = Envoy::start_verbose(&bootstrap, 1)?;

    let claims =
        json!({"iss": "https://id.example.com/", "aud": "shop", "sub": "ann", "exp": 4_102_444_800_u64});
    let good = SigningKey::P256(1).sign(&json!({"alg": "ES256", "kid": "one"}), &claims);
    let shared = SigningKey::Secret(9).sign(&json!({"alg": "HS256", "kid": "secret"}), &claims);
    let forged = SigningKey::P256(2).sign(&json!({"alg": "ES256", "kid": "one"}), &claims);
    let bearer = |token: &str| format!("Bearer {token}");
    let sent = [
        ("authorization", bearer(&good), 200),
        ("authorization", bearer(&shared), 200),
        ("authorization", bearer(&forged), 401),
        ("authorization", bearer("a-token-that-is-none"), 401),
        // ops:secret and ops:hunter2-is-wrong
        ("authorization", "Basic b3BzOnNlY3JldA==".to_owned(), 200),
        ("authorization", "Basic b3BzOmh1bnRlcjItaXMtd3Jvbmc=".to_owned(), 401),
        ("x-api-key", "acme-key-1".to_owned(), 200),
        ("x-api-key", "a-key-of-nobodys".to_owned(), 401),
        ("cookie", "key=a-cookie-of-nobodys".to_owned(), 401),
        ("x-signature", "00".repeat(32), 401),
    ];
    let mut replies = String::new();
    for (name, value, expected) in &sent {
        let response =
            send(envoy.address(), "/", &[(name, value), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")])?;
        if response.status != *expected {
            return Err(format!(
                "{name}: {value}: expected {expected}, seen {}\n{}",
                response.status,
                envoy.log()
            )
            .into());
        }
        if *expected != 200 {
            replies += &format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body));
        }
    }
    let status = send(envoy.address(), "/?api_key=a-query-of-nobodys", &[])?.status;
    if status != 401 {
        return Err(format!("a query: {status}").into());
    }
    let log = envoy.log();
    // The debug log says why, so it is on.
    for reason in ["provider corp: the signature is wrong", "provider partners: the key is nobody's"] {
        if !log.contains(reason) {
            return Err(format!("expected in the debug log: {reason}\n{log}").into());
        }
    }
    let shown = [log, envoy.admin_get("/stats")?, replies].concat();
    let parts = |token: &str| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let mut secrets: Vec<String> =
        [&good, &shared, &forged].into_iter().flat_map(|token| parts(token)).collect();
    secrets.extend(
        [
            "b3BzOnNlY3JldA",
            "b3BzOmh1bnRlcjItaXMtd3Jvbmc",
            "hunter2",
            "acme-key-1",
            "of-nobodys",
            "a-token-that-is-none",
        ]
        .map(str::to_owned),
    );
    secrets.extend([hook.to_owned(), jwk, "904fc520be4ca9db".to_owned(), "2bb80d537b1da3e3".to_owned()]);
    let found: Vec<&String> = secrets.iter().filter(|secret| shown.contains(secret.as_str())).collect();
    if !found.is_empty() {
        return Err(format!("shown: {found:?}").into());
    }
    Ok(())
}
