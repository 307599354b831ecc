//! Decisions of a real Open Policy Agent over gRPC.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    let request = Request::get(path, headers);
    Ok(Connection::open(envoy.address())?.send(&request)?.into())
}

fn decides() -> Result<(), Failed> {
    let mut opa = Opa::start(POLICY)?;
    let upstreams = Upstreams::start()?;
    let policy = json!({"grpc": {"cluster": "opa", "timeout": "2s", "context": {"site": "shop"}}, "on_error": "deny",
        "cache": {"ttl": "6s", "max": 65536}, "principal_header": "x-user", "upstream_headers": ["x-tier"],
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
    // Each of these asks anew, before, while and after the agent is dead.
    let (done, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let answers = std::thread::scope(|scope| -> Result<BTreeMap<u16, u32>, Failed> {
        let traffic = scope.spawn(|| -> Result<BTreeMap<u16, u32>, String> {
            let mut answers = BTreeMap::new();
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let path = format!("/orders/traffic-{number}");
                let status = send(&envoy, &path, &good).map_err(|error| format!("{error:?}"))?.status;
                *answers.entry(status).or_default() += 1;
                answered.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(answers)
        });
        let course = dies_and_comes_back(&mut opa, &envoy, &good, &answered);
        done.store(true, Ordering::Relaxed);
        let answers = traffic.join().map_err(|_| "the traffic's thread panicked")?;
        course?;
        Ok(answers?)
    })?;
    println!("answers in traffic: {answers:?}");
    if answers.keys().copied().collect::<Vec<_>>() != [200, 503] {
        return Err(format!("answers in traffic: {answers:?}, not 200 and 503 alone").into());
    }
    Ok(())
}

fn dies_and_comes_back(
    opa: &mut Opa,
    envoy: &Envoy,
    good: &[(&str, &str)],
    traffic: &AtomicU32,
) -> Result<(), Failed> {
    let port = opa.address().port();
    flows(traffic)?;
    // Not asked before: the answer is remembered from here on.
    let alive = send(envoy, "/orders/3", good)?.status;
    if alive != 200 {
        return Err(format!("alive: expected 200, seen {alive}").into());
    }
    // Dead: what is remembered still counts, for as long as it may; what is not is refused at once.
    opa.kill();
    let remembered = send(envoy, "/orders/3", good)?.status;
    let other = send(envoy, "/orders/2", good)?.status;
    if (remembered, other) != (200, 503) {
        return Err(format!("dead: expected 200 and 503, seen {remembered} and {other}").into());
    }
    becomes(envoy, "/orders/3", good, 503)?;
    *opa = Opa::start_on(POLICY, port)?;
    becomes(envoy, "/orders/2", good, 200)?;
    flows(traffic)
}

/// Waits until some more of the traffic has been answered.
fn flows(traffic: &AtomicU32) -> Result<(), Failed> {
    const SOME: u32 = 20;
    let deadline = Instant::now() + Duration::from_secs(20);
    let enough = traffic.load(Ordering::Relaxed) + SOME;
    while traffic.load(Ordering::Relaxed) < enough {
        if Instant::now() > deadline {
            return Err("the traffic hangs".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn becomes(envoy: &Envoy, path: &str, headers: &[(&str, &str)], status: u16) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = send(envoy, path, headers)?.status;
        if seen == status {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{path}: expected {status}, seen {seen}\n{}", envoy.log()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
