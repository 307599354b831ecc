//! What the filter decides, on a fake host.

use tidegate_auth::Auth;
use tidegate_filter_api::{GrpcStatus, HostError, Property};
use tidegate_testkit::fake::{Outcome, Worker, refusal, worker};

/// A digest is no key: presenting one opens nothing.
const ACME: &str = "afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163";

fn configuration() -> String {
    use sha2::{Digest as _, Sha256};
    let digest = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        r#"{{"providers": {{"partners": {{"api_key": {{"from": [{{"header": "X-Api-Key"}}], "keys": [
             {{"id": "acme", "sha256": "{}"}}, {{"id": "globex", "sha256": "{}"}}]}}}}}},
            "rules": [{{"name": "health", "match": {{"paths": [{{"exact": "/healthz"}}]}}, "allow": "anyone"}},
                      {{"name": "admin", "match": {{"paths": [{{"prefix": "/admin"}}]}}, "require": "partners",
                        "principals": [{{"exact": "acme"}}]}},
                      {{"name": "api", "match": {{"paths": [{{"prefix": "/api"}}]}}, "require": "partners"}},
                      {{"name": "blocked", "match": {{"source": {{"cidrs": ["203.0.113.0/24"]}}}}, "deny": true}}],
            "forward": {{"principal_header": "x-auth-subject", "strip_credentials": true}}}}"#,
        digest("acme-key"),
        digest("globex-key")
    )
}

fn auth() -> Worker<Auth> {
    worker(&configuration())
}

fn with_key(worker: &Worker<Auth>, path: &str, keys: &[&[u8]]) -> Outcome {
    let headers: Vec<_> = keys.iter().map(|key| ("x-api-key", *key)).collect();
    worker.get(path, &headers)
}

#[test]
fn a_good_key_passes_and_hands_its_principal_on() {
    let worker = auth();
    let passed = with_key(&worker, "/api/x", &[b"acme-key"]);
    assert_eq!(passed.upstream("x-auth-subject"), [b"acme"]);
    assert!(passed.upstream("x-api-key").is_empty(), "credentials are stripped");
    assert_eq!(
        tidegate_filter_api::Host::property(worker.host(), Property::PRINCIPAL),
        Some(b"acme".to_vec())
    );
    assert_eq!(worker.host().metric("tidegate.auth.api.allowed"), 1);
}

#[test]
fn no_key_and_a_bad_key_are_401_and_look_the_same() {
    let worker = auth();
    let missing = with_key(&worker, "/api", &[]);
    assert_eq!(missing.status(), 401);
    assert_eq!(missing.reply_header("www-authenticate"), Some(b"ApiKey".as_slice()));
    for bad in
        [b"".as_slice(), b"acme-kez", b"acme-key ", b"\xff\xfe", ACME.as_bytes(), b"acme-key,globex-key"]
    {
        assert_eq!(with_key(&worker, "/api", &[bad]), missing, "{}", bad.escape_ascii());
    }
    let Outcome::Replied(reply) = missing else { panic!("passed") };
    assert_eq!(reply.grpc_status, GrpcStatus::Unauthenticated);
    assert_eq!(worker.host().metric("tidegate.auth.api.denied"), 7);
}

#[test]
fn of_several_keys_all_must_be_good_and_one_callers() {
    let worker = auth();
    assert_eq!(with_key(&worker, "/api", &[b"acme-key", b"bad"]).status(), 401);
    assert_eq!(with_key(&worker, "/api", &[b"bad", b"acme-key"]).status(), 401);
    assert_eq!(with_key(&worker, "/api", &[b"acme-key", b"globex-key"]).status(), 401);
    assert_eq!(with_key(&worker, "/api", &[b"acme-key", b"acme-key"]).status(), 200);
}

#[test]
fn an_identity_without_the_right_is_403() {
    let worker = auth();
    assert_eq!(with_key(&worker, "/admin/x", &[b"acme-key"]).status(), 200);
    let refused = with_key(&worker, "/admin/x", &[b"globex-key"]);
    assert_eq!(refused.status(), 403);
    let Outcome::Replied(reply) = refused else { panic!("passed") };
    assert_eq!(reply.grpc_status, GrpcStatus::PermissionDenied);
    assert_eq!(with_key(&worker, "/admin", &[]).status(), 401);
}

#[test]
fn deny_beats_allow_wherever_it_stands_and_the_default_denies() {
    let worker = auth();
    assert_eq!(worker.get("/healthz", &[]).status(), 200);
    assert_eq!(with_key(&worker, "/elsewhere", &[b"acme-key"]).status(), 403);
    assert_eq!(worker.host().metric("tidegate.auth.default_denied"), 1);
    worker.host().set(Property::SOURCE_ADDRESS, b"203.0.113.9:1");
    assert_eq!(worker.get("/healthz", &[]).status(), 403);
    assert_eq!(worker.host().metric("tidegate.auth.blocked.denied"), 1);
}

#[test]
fn identity_headers_of_clients_never_arrive() {
    let worker = auth();
    let spoofed = ("x-auth-subject", b"root".as_slice());
    let exempt = worker.get("/healthz", &[spoofed, spoofed, ("x-api-key", b"acme-key")]);
    assert!(exempt.upstream("x-auth-subject").is_empty());
    assert!(exempt.upstream("x-api-key").is_empty());
    let known = worker.get("/api", &[spoofed, ("x-api-key", b"acme-key"), spoofed]);
    assert_eq!(known.upstream("x-auth-subject"), [b"acme"]);
}

#[test]
fn paths_that_somebody_may_read_otherwise_are_refused() {
    let worker = auth();
    for path in [
        "/healthz/../admin",
        "/healthz/..",
        "//admin",
        "/admin//x",
        "/./admin",
        "/%2e%2e/admin",
        "/healthz%2f..%2fadmin",
        "/healthz%5c..%5cadmin",
        "/healthz\\..\\admin",
        "/admin;a=b",
        "/..;/admin",
        "/admin#x",
        "/%2561dmin",
        "/%c0%ae/admin",
        "/admin%00",
        "/admin%",
        "/admin%zz",
        "/admin\u{e4}",
        "/admin%3bx",
        "/admin%3fx",
    ] {
        assert_eq!(with_key(&worker, path, &[b"acme-key"]).status(), 400, "{path}");
    }
    for path in
        ["/%61dmin", "/admin?x=/../y", "/admin/", "/admin/%20x", "/admin/%C3%A4", "/admin/.well-known"]
    {
        assert_eq!(with_key(&worker, path, &[b"globex-key"]).status(), 403, "{path}");
    }
    assert_eq!(worker.get("/healthz?x", &[]).status(), 200, "a query is no part of the path");
}

#[test]
fn a_host_that_cannot_strip_or_hand_on_fails_closed() {
    for call in ["request_headers", "edit", "set_property"] {
        let worker = auth();
        worker.host().fail(call, HostError::InternalFailure);
        assert_eq!(with_key(&worker, "/api", &[b"acme-key"]).status(), 500, "{call}");
    }
    let worker = auth();
    worker.host().fail("reply", HostError::Other(77));
    assert_eq!(with_key(&worker, "/api", &[]), Outcome::Reset);
    assert!(worker.host().was_reset());
    assert_eq!(worker.host().metric("tidegate.auth.host_errors"), 1);
}

#[test]
fn a_bad_configuration_is_refused_with_every_error_and_no_secret() {
    let refused = refusal::<Auth>(
        r#"{"providers": {"p": {"api_key": {"from": [{"header": "x key"}], "keys": [{"id": "a", "sha256": "hunter2-in-plain"}]}}},
            "rules": [{"name": "r", "require": "q"}, {"name": "s"}, {"name": "t", "allow": "anyone", "principals": [{"exact": "a"}]},
                      {"name": "u", "match": {"principals": [{"exact": "a"}]}, "require": "p"}]}"#,
    );
    assert_eq!(
        refused,
        "providers.p.api_key.from[0].header: expected a header name of letters, digits and \"-\", found 5 characters (not shown)\n\
         providers.p.api_key.keys[0].sha256: expected 64 lower-case hexadecimal digits (printf %s KEY | sha256sum), found 16 characters (not shown)\n\
         rules[0].require: expected the name of a provider: p, found \"q\"\n\
         rules[1]: expected one of \"allow\", \"deny\", \"require\", found none of them\n\
         rules[2].allow: expected \"require\" beside \"principals\" or \"claims\": nobody has them who is not known, found \"allow\"\n\
         rules[3].match.principals: expected one of \"paths\", \"hosts\", \"methods\", \"headers\", \"query\", \"cookies\", \"source\", found an unknown key"
    );
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let refused = refusal::<Auth>(&format!(
        r#"{{"providers": {{"p": {{"api_key": {{"from": [{{"header": "k"}}], "keys": [{{"id": "a", "sha256": "{empty}"}}]}}}}}}, "rules": []}}"#
    ));
    assert_eq!(
        refused,
        "providers.p.api_key.keys[0].sha256: expected the digest of a secret, found that of an empty text"
    );
}

#[test]
fn a_credential_in_the_wrong_place_is_not_told() {
    for provider in [
        r#"{"api_key": "hunter2"}"#,
        r#"{"api_key": {"keys": "hunter2"}}"#,
        r#"{"api_key": {"from": [{"header": "x-key"}], "keys": ["hunter2"]}}"#,
        r#"{"api_key": {"from": [{"header": "hunter2 "}], "keys": [{"hunter2": "acme"}]}}"#,
        r#"{"api_key": {"keys": [{"id": "hunter2/+", "sha256": "hunter2"}]}}"#,
        r#"{"basic": {"users": {"ops": "hunter2"}}}"#,
        r#"{"basic": "hunter2"}"#,
        r#"{"hmac": {"secret": "hunter2"}}"#,
    ] {
        let told = refusal::<Auth>(&format!(r#"{{"providers": {{"p": {provider}}}, "rules": []}}"#));
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn an_address_that_cannot_be_told_passes_no_rule_on_addresses() {
    let auth = worker::<Auth>(
        r#"{"rules": [{"name": "blocked", "match": {"source": {"cidrs": ["203.0.113.0/24", "2001:db8::/32"]}}, "deny": true},
                      {"name": "open", "allow": "anyone"}],
            "client_address": {"trusted_hops": 1}}"#,
    );
    for (forwarded, status) in [
        ("203.0.113.5", 403),
        ("203.0.113.5:4711", 403),
        ("[2001:db8::1]:1", 403),
        ("2001:db8::1", 403),
        ("unknown", 403),
        ("203.0.113.5, ", 403),
        ("198.51.100.1", 200),
        ("203.0.113.5, 198.51.100.1:80", 200),
    ] {
        assert_eq!(
            auth.get("/", &[("x-forwarded-for", forwarded.as_bytes())]).status(),
            status,
            "{forwarded}"
        );
    }
    assert_eq!(auth.get("/", &[]).status(), 403, "no header at all");
    assert_eq!(auth.host().metric("tidegate.auth.unknown_source"), 3);
}
