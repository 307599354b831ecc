//! What decision services are asked, on a fake host.

use tidegate_auth::Auth;
use tidegate_filter_api::{Callout, Property};
use tidegate_testkit::fake::{Outcome, Worker, worker};

/// A decision service beside peers in 10.0.0.0/8 that may name workloads.
fn policy(service: &str, ambiguous: &str) -> Worker<Auth> {
    worker(&format!(
        r#"{{"providers": {{"policy": {{"external": {{{service}, "upstream_headers": ["x-tier"]}}}},
              "mesh": {{"mtls": {{"trust_domain": "d", "xfcc": {{"trusted": {{"cidrs": ["10.0.0.0/8"]}}}}}}}}}},
            "rules": [{{"name": "all", "require": "policy"}}],
            "ambiguous_paths": "{ambiguous}", "forward": {{"principal_header": "x-auth-subject"}}}}"#
    ))
}

#[test]
fn a_decision_service_hears_of_no_identity_that_the_client_made_up() {
    for (service, source, believed) in [
        (r#""http": {"cluster": "policy"}"#, "192.0.2.1:1", false),
        (r#""grpc": {"cluster": "policy"}"#, "192.0.2.1:1", false),
        (r#""http": {"cluster": "policy"}"#, "10.0.0.1:1", true),
    ] {
        let auth = policy(service, "refuse");
        auth.host().set(Property::SOURCE_ADDRESS, source.as_bytes());
        let made_up = ["x-auth-subject", "x_auth_subject", "x-tier", "x_tier", "x_forwarded_client_cert"]
            .map(|name| (name, b"made-up".as_slice()));
        let sent =
            [made_up.as_slice(), &[("x-forwarded-client-cert", b"URI=spiffe://d/a"), ("x-other", b"told")]]
                .concat();
        assert!(matches!(auth.get("/", &sent), Outcome::Waiting(_)));
        let told = format!("{:?}", auth.host().calls());
        let told = match auth.host().calls().as_slice() {
            [Callout::Http(call)] => {
                let lines =
                    call.headers.iter().map(|(name, value)| format!("{name}: {}", value.escape_ascii()));
                lines.collect::<Vec<_>>().join("\n")
            }
            [Callout::Grpc(call)] => call.message.escape_ascii().to_string(),
            _ => panic!("{told}"),
        };
        assert!(!told.contains("made-up") && told.contains("told"), "{told}");
        assert_eq!(told.contains("spiffe://d/a"), believed, "{told}");
    }
}

#[test]
fn a_decision_service_is_not_asked_about_a_path_that_is_read_in_several_ways() {
    for (ambiguous, status) in [("refuse", 400), ("worst", 403)] {
        let auth = policy(r#""http": {"cluster": "policy", "path_prefix": "/decisions"}"#, ambiguous);
        for path in ["/../health", "/..;/health", "/..%2fhealth", "//a"] {
            assert_eq!(auth.get(path, &[]).status(), status, "{path}");
        }
        assert!(auth.host().calls().is_empty());
        assert!(matches!(auth.get("/health", &[]), Outcome::Waiting(_)));
    }
}

#[test]
fn a_client_does_not_choose_how_long_a_decision_service_may_take() {
    let auth = policy(r#""http": {"cluster": "policy"}"#, "refuse");
    let sent =
        ["x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-retry-on"];
    assert!(matches!(auth.get("/", &sent.map(|name| (name, b"1".as_slice()))), Outcome::Waiting(_)));
    let calls = auth.host().calls();
    let [Callout::Http(call)] = calls.as_slice() else { panic!("{calls:?}") };
    let told: Vec<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!told.iter().any(|name| name.starts_with("x-envoy-")), "{told:?}");
}
