//! Bad input: what comes of it, and where it is told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use e2e::tools;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidegate_render::{Filter, Form};

use super::manifest::{self, At};
use super::mesh::Mesh;
use crate::needing::needing;

/// In Istio's log: a proxy has refused a filter, or a listener.
pub(crate) const FILTER_REFUSED: &str = "ADS:ECDS: ACK ERROR";
pub(crate) const LISTENER_REFUSED: &str = "ADS:LDS: ACK ERROR";
/// In the agent's.
const NOT_FETCHED: &str = "error in converting the wasm config to local";
/// In Envoy's.
const NOT_LOADED: &str = "Plugin configured to fail closed failed to load";
const NO_CLUSTER: &str = "auth: fetching keys from cluster idp: bad argument";
/// A counter of Envoy's, of refused listeners.
pub(crate) const LISTENERS_REFUSED: &str = "listener_manager.lds.update_rejected";
/// And of refused filters: the end of its name.
pub(crate) const FILTERS_REFUSED: &str = ".config_fail";

/// What the guide must name.
pub(crate) const TOLD: [&str; 7] = [
    FILTER_REFUSED,
    LISTENER_REFUSED,
    NOT_FETCHED,
    NOT_LOADED,
    NO_CLUSTER,
    LISTENERS_REFUSED,
    FILTERS_REFUSED,
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), Failed>| {
        needing(&["istio-discovery"], &format!("istio::refusals::{name}"), run)
    };
    vec![
        trial("broken_from_the_start_is_500_whatever_the_policy", broken_from_the_start),
        trial("a_listener_with_a_broken_filter_is_not_there", broken_listener),
        trial("a_module_that_is_not_there", no_module),
        trial("a_wrong_context_is_no_filter_at_all", wrong_context),
        trial("a_missing_cluster", missing_cluster),
        trial("a_wrong_digest_refuses_or_passes_as_told", wrong_digest),
    ]
}

/// Envoy has no good configuration to go on with.
fn broken_from_the_start() -> Result<(), Failed> {
    for policy in ["FAIL_RELOAD", "FAIL_OPEN", "FAIL_CLOSE"] {
        let mesh = Mesh::start()?;
        let mut plugin =
            manifest::plugin_with(Filter::RateLimit, At::Inbound, "broken", &json!({"limit": []}))?;
        plugin["spec"]["failStrategy"] = json!(policy);
        mesh.istio.apply(&plugin.to_string())?;
        let proxied = mesh.sidecar()?;
        proxied.serves()?;
        proxied.expect("/", &[], 500)?;
        // Where to see it: in Envoy's log the filter's own words, in Istio's that the proxy refused.
        let words = "rate_limit: limit: expected one of";
        if !proxied.envoy.log().contains(words) {
            return Err(proxied.failed(&format!("expected {words:?} in Envoy's log")));
        }
        if !proxied.envoy.log().contains(NOT_LOADED) && policy != "FAIL_OPEN" {
            return Err(proxied.failed(NOT_LOADED));
        }
        proxied.until(FILTER_REFUSED, || Ok(mesh.istio.log().contains(FILTER_REFUSED)))?;
        // Put right, it serves without a restart.
        let right = json!({"limits": [{"name": "a", "key": [{"header": "a"}], "quotas": [{"requests": 1, "per": "1h"}]}]});
        plugin["spec"]["pluginConfig"] = right;
        mesh.istio.apply(&plugin.to_string())?;
        proxied.until_status("/", &[], 200)?;
    }
    Ok(())
}

/// With the inline form there is no listener until the filter accepts: connections are refused.
fn broken_listener() -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let good = manifest::committed("rate-limit/envoyfilter-inline-inbound.yaml")?;
    mesh.istio.apply(&good.replace("table: {max_keys:", "table: {keys:"))?;
    let proxied = mesh.sidecar()?;
    proxied.until(LISTENER_REFUSED, || Ok(mesh.istio.log().contains(LISTENER_REFUSED)))?;
    if proxied.get("/", &[]).is_ok() {
        return Err(proxied.failed("somebody listens"));
    }
    proxied.counts(LISTENERS_REFUSED, 1)?;
    mesh.istio.apply(&good)?;
    proxied.serves()?;
    proxied.expect("/", &[], 200).map(drop)
}

fn no_module() -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let plugin = manifest::committed("rate-limit/wasmplugin.yaml")?;
    mesh.istio.apply(&plugin.replace("tidegate_rate_limit.wasm", "tidegate_rate_limits.wasm"))?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    proxied.expect("/", &[], 500)?;
    let words = "tidegate_rate_limits.wasm";
    if !proxied.envoy.log().contains(words) {
        return Err(proxied.failed(&format!("expected {words:?} in Envoy's log")));
    }
    Ok(())
}

/// What selects nothing is no error to Istio: the request passes, and the filter is not in the chain.
fn wrong_context() -> Result<(), Failed> {
    let gateways = manifest::committed("auth/envoyfilter-inline-gateway.yaml")?;
    let to_sidecars = gateways
        .replace("namespace: istio-system", "namespace: shop")
        .replace("istio: ingressgateway", "app: web");
    let auth = super::decisions::configuration("auth")?;
    let of_gateway = manifest::rendered(Filter::Auth, &auth, Form::WasmPlugin, At::Gateway, None)?;
    for (at, manifest) in [
        (At::Inbound, to_sidecars),
        // A gateway's requests are a client's.
        (At::Gateway, of_gateway.replace("mode: CLIENT", "mode: SERVER")),
        // A plugin reaches the proxies of its own namespace only.
        (At::Gateway, of_gateway.replace("namespace: istio-system", "namespace: shop")),
        // As a label of another workload.
        (At::Gateway, of_gateway.replace("\"ingressgateway\"", "\"egressgateway\"")),
    ] {
        let mesh = Mesh::start()?;
        mesh.istio.apply(&manifest)?;
        let proxied = mesh.at(at)?;
        proxied.serves()?;
        proxied.expect("/", &[], 200)?;
        let chain = proxied.chain()?;
        if chain.iter().any(|name| name.contains("tidegate")) {
            return Err(proxied.failed(&format!("the filter is there: {chain:?}")));
        }
    }
    Ok(())
}

/// What a filter calls is not there: it says so in its own status, or lets pass where it is told to.
fn missing_cluster() -> Result<(), Failed> {
    let keys = "
providers: {corp: {jwt: {issuer: \"https://id.example.com/\", audiences: [shop], jwks: {cluster: idp, path: /jwks.json}}}}
rules: [{name: all, require: corp}]
";
    // Signed by nobody: without keys nobody could tell.
    let token = "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tLyIsImF1ZCI6InNob3AiLCJleHAiOjQxMDI0NDQ4MDB9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let service = |on_error: &str| {
        format!(
            "providers: {{policy: {{external: {{grpc: {{cluster: opa}}, on_error: {on_error}}}}}}}\nrules: [{{name: all, require: policy}}]\n"
        )
    };
    let global = |on_error: &str| {
        format!(
            "limits: [{{name: a, key: [{{header: a}}], global: true}}]\nglobal: {{cluster: nowhere, domain: shop, on_error: {on_error}}}\n"
        )
    };
    for (filter, configuration, headers, expected, counter) in [
        (Filter::Auth, keys.to_owned(), vec![("authorization", token)], 503, "auth.provider.corp.failed"),
        (Filter::Auth, service("deny"), vec![], 503, "auth.provider.policy.failed"),
        (Filter::Auth, service("allow"), vec![], 200, "auth.provider.policy.accepted"),
        (Filter::RateLimit, global("deny"), vec![("a", "1")], 503, "rate_limit.a.errors"),
        (Filter::RateLimit, global("allow"), vec![("a", "1")], 200, "rate_limit.a.errors"),
    ] {
        let mesh = Mesh::start()?;
        mesh.istio.apply(&manifest::rendered(
            filter,
            &configuration,
            Form::WasmPlugin,
            At::Inbound,
            None,
        )?)?;
        let proxied = mesh.sidecar()?;
        proxied.serves()?;
        proxied.expect("/", &headers, expected)?;
        proxied.counts(&format!("wasmcustom.tidegate.{counter}"), 1)?;
        if !headers.is_empty() && filter == Filter::Auth {
            proxied.until(NO_CLUSTER, || Ok(proxied.envoy.log().contains(NO_CLUSTER)))?;
        }
    }
    Ok(())
}

/// Fetched as Istio's agent does. Where the digest is another, it puts a filter of Envoy's own in the place: one that
/// refuses everything, or with FAIL_OPEN one that lets pass.
fn wrong_digest() -> Result<(), Failed> {
    let module = std::fs::read(tools::module("rate-limit")?)?;
    let digest: String = Sha256::digest(&module).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = serve(module)?;
    let wrong = "0".repeat(64);
    for (sha256, policy, expected) in [
        (&digest, "FAIL_RELOAD", [200, 429]),
        (&wrong, "FAIL_RELOAD", [403, 403]),
        (&wrong, "FAIL_OPEN", [200, 200]),
    ] {
        let mesh = Mesh::start()?;
        let limit = json!({"limits": [{"name": "a", "key": [{"header": "a"}], "quotas": [{"requests": 1, "per": "1h"}]}]});
        let mut plugin = manifest::plugin_with(Filter::RateLimit, At::Inbound, "fetched", &limit)?;
        plugin["spec"]["url"] = json!(format!("http://{server}/tidegate_rate_limit.wasm"));
        plugin["spec"]["sha256"] = json!(sha256);
        plugin["spec"]["failStrategy"] = json!(policy);
        mesh.istio.apply(&plugin.to_string())?;
        let proxied = mesh.sidecar()?;
        proxied.serves()?;
        for status in expected {
            proxied.expect("/", &[("a", "1")], status)?;
        }
        if mesh.istio.log().contains(NOT_FETCHED) != (*sha256 == wrong) {
            return Err(proxied.failed(NOT_FETCHED));
        }
    }
    Ok(())
}

/// Answers every request with these bytes, until this process ends.
pub(crate) fn serve(bytes: Vec<u8>) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // One read holds the whole of such a request.
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        }
    });
    Ok(address)
}
