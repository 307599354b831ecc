//! Decisions of a real Open Policy Agent over gRPC.

use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::companions::opa::Opa;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

use crate::needing;

const NEEDED: &[&str] = &["opa"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![needing(NEEDED, "decision_service::opa_decides_dies_and_comes_back", decides)]
}

const POLICY: &str = r#"
package envoy.authz

import rego.v1

default allow := {"allowed": false, "http_status": 403, "headers": {"x-why": "policy"}}

allow := {"allowed": true, "headers": {"x-user": "ann", "x-tier": "gold"}} if {
    input.attributes.request.http.headers["x-token"] == "good"
    input.attributes.request.http.method == "GET"
    startswith(input.attributes.request.http.path, "/orders")
    input.attributes.contextExtensions.site == "shop"
    input.attributes.source.address.socketAddress.address == "127.0.0.1"
}

allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Policy"}} if {
    not input.attributes.request.http.headers["x-token"]
}
"#;

fn send(envoy: &Envoy, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
    let request = Request {
        method: "GET".to_owned(),
        path: path.as_bytes().to_vec(),
        host: "shop.example".to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
        grpc: false,
    };
    Ok(Connection::open(envoy.address())?.send(&request)?.into())
}

fn decides() -> Result<(), Failed> {
    let mut opa = Opa::start(POLICY)?;
    let port = opa.address().port();
    let upstreams = Upstreams::start()?;
    let policy = json!({"grpc": {"cluster": "opa", "timeout": "2s", "context": {"site": "shop"}}, "on_error": "deny",
        "cache": {"ttl": "3s", "max": 1000}, "principal_header": "x-user", "upstream_headers": ["x-tier"],
        "client_headers": ["www-authenticate"]});
    let auth = json!({"providers": {"policy": {"external": policy}},
        "rules": [{"name": "all", "require": "policy"}], "forward": {"principal_header": "x-auth-subject"}});
    let mut bootstrap = bootstrap::with_filters(&[("auth", &auth)], &upstreams, Form::Struct)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    clusters.push(bootstrap::grpc_cluster("opa", opa.address()));
    let envoy = Envoy::start(&bootstrap, 1)?;

    let good = [("x-token", "good"), ("x-tier", "forged"), ("x-auth-subject", "root")];
    let response = send(&envoy, "/orders/1", &good)?;
    let seen =
        (response.status, response.upstream_header("x-auth-subject"), response.upstream_header("x-tier"));
    if seen != (200, Some("ann".to_owned()), Some("gold".to_owned())) {
        return Err(format!("allowed: seen {seen:?}\n{}", envoy.log()).into());
    }
    let refused = send(&envoy, "/orders/1", &[("x-token", "bad")])?;
    if refused.status != 403 || refused.header("x-why").is_some() || refused.reached.is_some() {
        return Err(format!("denied: seen {} {:?}", refused.status, refused.headers).into());
    }
    let challenged = send(&envoy, "/orders/1", &[])?;
    if (challenged.status, challenged.header("www-authenticate").as_deref()) != (401, Some("Policy")) {
        return Err(format!("challenged: seen {} {:?}", challenged.status, challenged.headers).into());
    }
    // Dead: what is remembered still counts, for as long as it may; what is not is refused at once.
    opa.kill();
    let remembered = send(&envoy, "/orders/1", &good)?.status;
    let other = send(&envoy, "/orders/2", &good)?.status;
    if (remembered, other) != (200, 503) {
        return Err(format!("dead: expected 200 and 503, seen {remembered} and {other}").into());
    }
    std::thread::sleep(Duration::from_secs(3));
    let forgotten = send(&envoy, "/orders/1", &good)?.status;
    if forgotten != 503 {
        return Err(format!("forgotten: expected 503, seen {forgotten}").into());
    }
    let _back = Opa::start_on(POLICY, port)?;
    let deadline = Instant::now() + Duration::from_secs(15);
    while send(&envoy, "/orders/2", &good)?.status != 200 {
        if Instant::now() > deadline {
            return Err(format!("it does not come back\n{}", envoy.log()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
