//! What tests do with `envoy-config/all-filters.yaml`.

use e2e::bootstrap;
use e2e::client::{self, Connection, Reply};
use e2e::envoy::Envoy;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::json;
use tidegate_testkit::scenario::Request;

/// All four filters as in `envoy-config/all-filters.yaml`.
pub(crate) fn all_filters(concurrency: u32) -> Result<(Envoy, Upstreams), Failed> {
    let upstreams = Upstreams::start()?;
    let mut bootstrap = bootstrap::read(&tools::repo_root().join("envoy-config/all-filters.yaml"))?;
    bootstrap::fit(&mut bootstrap, &upstreams)?;
    let manager = bootstrap
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .ok_or("no connection manager")?;
    manager["common_http_protocol_options"]["max_headers_count"] = json!(2000);
    for place in ["/static_resources/clusters/0", "/static_resources/clusters/1"] {
        let options = format!(
            "{place}/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        );
        let options = bootstrap.pointer_mut(&options).ok_or("no protocol options")?;
        options["common_http_protocol_options"] = json!({"max_headers_count": 2000});
    }
    Ok((Envoy::start(&bootstrap, concurrency)?, upstreams))
}

/// A GET with a good key.
pub(crate) fn request(path: &str, headers: &[(&[u8], &[u8])]) -> Request {
    let key: (Vec<u8>, Vec<u8>) = (b"x-api-key".to_vec(), b"acme-key-1".to_vec());
    let headers = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
    Request {
        method: "GET".to_owned(),
        path: path.as_bytes().to_vec(),
        host: "shop.example".to_owned(),
        headers: std::iter::once(key).chain(headers).collect(),
        body: Vec::new(),
        grpc: false,
    }
}

/// On a connection of its own.
pub(crate) fn send(envoy: &Envoy, request: &Request) -> Result<Reply, Failed> {
    Ok(Connection::open(envoy.address())?.send(request)?)
}

/// The filters still decide, and none has ever been started anew.
pub(crate) fn unharmed(envoy: &Envoy) -> Result<(), Failed> {
    let open = client::get(envoy.address(), "/healthz")?.status;
    let closed = client::get(envoy.address(), "/orders")?.status;
    let reloads = envoy.stat("vm_reload")?;
    let log = envoy.log();
    if (open, closed, reloads) != (200, 401, 0)
        || log.contains("panicked")
        || log.contains("Proxy-Wasm plugin in-VM")
    {
        return Err(
            format!("expected 200, 401 and no reload, seen {open}, {closed} and {reloads}\n{log}").into()
        );
    }
    Ok(())
}

pub(crate) fn expect_status(what: &str, expected: &[u16], reply: &Reply) -> Result<(), Failed> {
    if expected.contains(&reply.status) {
        return Ok(());
    }
    Err(format!("{what}: expected one of {expected:?}, seen {}", reply.status).into())
}
