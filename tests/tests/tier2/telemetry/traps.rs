//! What becomes of metrics when the filter traps.

use std::time::Duration;

use e2e::bootstrap::cluster;
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::json;
use tidegate_testkit::scenario::Request;

use super::peers::server;
use super::{bootstrap_with, metric, until, until_within};

/// A worker that traps takes what it has not told yet with it, and nothing else: what it had told is not told again by the
/// VM after it, and requests that ended without it leave the gauge, though not at once.
pub(super) fn metrics_are_right_again() -> Result<(), Failed> {
    const BEFORE: u64 = 5;
    let configuration = json!({"metrics": [
        {"name": "told_total", "type": "counter", "labels": {"status": "status"}},
        {"name": "under_way", "type": "gauge", "value": "in_flight"},
    ], "trace": {"propagate": ["w3c"]}});
    let silent = server(|mut stream| drop(std::io::Read::read_to_end(&mut stream, &mut Vec::new())))?;
    let routes = json!([
        {"match": {"prefix": "/silent"}, "route": {"cluster": "silent", "timeout": "0s"}},
        {"match": {"prefix": "/"}, "direct_response": {"status": 200}},
    ]);
    let upstreams = Upstreams::start()?;
    let clusters = [cluster("silent", silent)];
    let bootstrap = bootstrap_with("trapping", &configuration, routes, clusters, &upstreams)?;
    let mut envoy = Envoy::start(&bootstrap, 1)?;
    for _ in 0..BEFORE {
        send(&envoy, "/", &[])?;
    }
    let mut stranded = Connection::open(envoy.address())?;
    stranded.start(&request("/silent", &[]))?;
    let counted = |status: u16| metric(&envoy, &format!("status=.={status};.;told_total"));
    until("what was recorded is told", &envoy, || {
        Ok((counted(200)?, metric(&envoy, "under_way")?) == (BEFORE, 1))
    })?;
    send(&envoy, "/", &[("x-trap", "1")])?;
    // Envoy waits about a second before it makes a new VM.
    let mut after = 0;
    until("a new VM", &envoy, || {
        let served = send(&envoy, "/", &[])? == 200;
        after += u64::from(served);
        Ok(served)
    })?;
    until("the new VM counts on from where the old one was", &envoy, || Ok(counted(200)? == BEFORE + after))?;
    // Whoever shows no sign of life for half a minute is taken for dead, and looked for every ten seconds.
    until_within(Duration::from_secs(90), "nothing is under way", &envoy, || {
        Ok(metric(&envoy, "under_way")? == 0)
    })?;
    drop(stranded);
    send(&envoy, "/", &[])?;
    until("the gauge and the counter stay right", &envoy, || {
        Ok((counted(200)?, metric(&envoy, "under_way")?) == (BEFORE + after + 1, 0))
    })?;
    if envoy.is_alive() { Ok(()) } else { Err(envoy.log().into()) }
}

fn send(envoy: &Envoy, path: &str, headers: &[(&str, &str)]) -> Result<u16, Failed> {
    Ok(Connection::open(envoy.address())?.send(&request(path, headers))?.status)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    Request {
        method: "GET".to_owned(),
        path: path.as_bytes().to_vec(),
        host: "shop.example".to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        grpc: false,
    }
}
