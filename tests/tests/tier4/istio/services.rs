//! What filters call: services that Istio tells the proxy of.

use std::time::Duration;

use e2e::client::Connection;
use e2e::companions::otelcol::Collector;
use e2e::companions::ratelimit::RateLimitService;
use e2e::companions::redis::Redis;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_render::{Filter, Form};
use tidegate_testkit::scenario::Request;
use tidegate_testkit::tokens::{SigningKey, hmac, key_set};

use super::manifest::{self, At};
use super::mesh::Mesh;
use super::refusals::serve;
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        needing(
            &["istio-discovery", "redis-server", "ratelimit"],
            "istio::services::the_rate_limit_service_decides",
            rate_limit_service,
        ),
        needing(&["istio-discovery", "otelcol"], "istio::services::the_collector_is_told", collector),
        needing(&["istio-discovery"], "istio::services::keys_are_fetched", keys),
        needing(&["istio-discovery"], "istio::services::a_signed_body_needs_an_envoyfilter", signed_body),
    ]
}

/// With the rules that its configuration's comment gives, but for the number.
fn rate_limit_service() -> Result<(), Failed> {
    let rules =
        "domain: shop\ndescriptors:\n  - key: x-tenant\n    rate_limit: {unit: day, requests_per_unit: 3}\n";
    let redis = Redis::start()?;
    let service = RateLimitService::start(&redis, rules)?;
    let mesh = Mesh::start()?;
    mesh.istio.apply(&manifest::clusters(At::Inbound, service.address())?)?;
    mesh.istio.apply(&manifest::committed("rate-limit-service/wasmplugin.yaml")?)?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    // On a busy machine an answer may be late, and the request then passes: as often as it takes.
    proxied.until_status("/", &[("x-tenant", "acme")], 429)
}

fn collector() -> Result<(), Failed> {
    let collector = Collector::start()?;
    let mesh = Mesh::start()?;
    mesh.istio.apply(&manifest::clusters(At::Inbound, collector.address())?)?;
    mesh.istio.apply(&manifest::committed("telemetry-otlp/wasmplugin.yaml")?)?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    proxied.expect("/orders/7/items?voucher=s3cret", &[], 200)?;
    let expected = ["service.name: Str(shop-gateway)", "path: Str(/orders/7/items)", "voucher=[redacted]"];
    let arrived = |printed: &str| expected.iter().all(|text| printed.contains(text));
    collector.wait_until(Duration::from_secs(60), arrived)?;
    Ok(())
}

/// From a key server whose cluster an EnvoyFilter adds.
fn keys() -> Result<(), Failed> {
    let key = SigningKey::P256(7);
    let server = serve(key_set(&[(key, "a")]).to_string().into_bytes())?;
    let mesh = Mesh::start()?;
    mesh.istio.apply(&manifest::clusters(At::Gateway, server)?)?;
    let auth = "
providers: {corp: {jwt: {issuer: \"https://id.example.com/\", audiences: [shop], jwks: {cluster: idp, path: /jwks.json}}}}
rules: [{name: all, require: corp}]
";
    mesh.istio.apply(&manifest::rendered(Filter::Auth, auth, Form::TrafficExtension, At::Gateway, None)?)?;
    let proxied = mesh.gateway()?;
    proxied.serves()?;
    let token = |audience: &str| {
        let claims = json!({"iss": "https://id.example.com/", "aud": audience, "exp": 4_102_444_800_u64, "sub": "ann"});
        format!("Bearer {}", key.sign(&json!({"alg": "ES256", "kid": "a"}), &claims))
    };
    proxied.expect("/", &[("authorization", &token("shop"))], 200)?;
    proxied.expect("/", &[("authorization", &token("bank"))], 401).map(drop)
}

/// Istio's own forms cannot say `allow_on_headers_stop_iteration`. Without it Envoy shows a body only once the request goes on,
/// which it does not before the body has been seen: nothing is let through, and the client waits. Requests without a body
/// have nothing to wait for.
fn signed_body() -> Result<(), Failed> {
    const DATE: &str = "Wed, 01 Jan 2025 00:00:00 GMT";
    // Hexadecimal of SHA-256 of nothing, and of `hello`.
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let auth = "
providers: {hooks: {hmac: {from: {header: x-signature}, secret_env: HOOK_SECRET, signed: [method, path, \"header:date\", body_sha256], window: 2000d}}}
rules: [{name: all, require: hooks}]
";
    let signed = |method: &str, body: &str, digest: &str| {
        let signature = hmac(b"0123456789abcdef", format!("{method}\n/hook\n{DATE}\n{digest}").as_bytes());
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        Request {
            method: method.to_owned(),
            path: b"/hook".to_vec(),
            host: "shop.example.com".to_owned(),
            headers: vec![
                (b"x-signature".to_vec(), signature.into_bytes()),
                (b"date".to_vec(), DATE.as_bytes().to_vec()),
            ],
            body: body.as_bytes().to_vec(),
            grpc: false,
        }
    };
    for (form, sees_bodies) in [
        (Form::EnvoyFilterEcdsInbound, true),
        (Form::EnvoyFilterInlineInbound, true),
        (Form::WasmPlugin, false),
        (Form::TrafficExtension, false),
    ] {
        let mesh = Mesh::start()?;
        mesh.istio.apply(&manifest::rendered(Filter::Auth, auth, form, At::Inbound, None)?)?;
        let proxied = mesh.sidecar()?;
        proxied.serves()?;
        let without = Connection::open(proxied.address)?.send(&signed("GET", "", NOTHING))?.status;
        let mut connection = Connection::open(proxied.address)?;
        connection.start(&signed("POST", "hello", HELLO))?;
        let with = if sees_bodies {
            Some(connection.read(false)?.status)
        } else {
            connection.has_answer(Duration::from_secs(2))?.then_some(0)
        };
        if (without, with) != (200, sees_bodies.then_some(200)) {
            return Err(proxied.failed(&format!("{}: seen {without}, {with:?}", form.name())));
        }
    }
    Ok(())
}
