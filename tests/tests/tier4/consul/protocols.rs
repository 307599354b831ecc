//! Services that do not speak HTTP/1.1.

use e2e::client::http2;
use e2e::companions::consul::Agents;
use e2e::tools;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::{Request, Response};

use super::entries;
use super::mesh::{Caller, Mesh};
use super::needed;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("protocols::where_the_protocol_differs_there_is_no_filter", mismatch),
        needed("protocols::grpc_is_filtered_as_http_with_http2_clusters", grpc),
    ]
}

const PERMISSION_DENIED: u32 = 7;

fn deny() -> Value {
    json!({"providers": {}, "rules": [{"name": "all", "deny": true}]})
}

fn call(mesh: &Mesh) -> Result<Response, Failed> {
    let request = Request { grpc: true, ..Request::get("/shop.Orders/List", &[]) };
    Ok(http2(mesh.address(Caller::Client), &request)?.into())
}

/// Of `web`'s listener for other sidecars, as Envoy has it.
fn has_filter(mesh: &Mesh) -> Result<bool, Failed> {
    Ok(mesh.web.admin_get("/config_dump?resource=dynamic_listeners")?.contains("tidegate_auth.wasm"))
}

/// Consul takes it and says nothing: the request that auth would refuse arrives. Documented, with how to see it.
fn mismatch() -> Result<(), Failed> {
    for protocol in ["grpc", "http2", "tcp"] {
        let entry = entries::service("web", protocol, &[entries::extension("auth", &deny())?]);
        let mesh = Mesh::start(Agents::Dev, &[&entry])?;
        if has_filter(&mesh)? {
            return Err(
                format!("{protocol}: Consul puts the filter in now: tell so in docs/consul.md").into()
            );
        }
        let response = call(&mesh)?;
        if response.reached.is_none() {
            return Err(format!("{protocol}: the call did not arrive: {response:?}").into());
        }
    }
    Ok(())
}

/// What docs/consul.md proposes instead: the service is `http` to Consul, and both clusters on the way speak HTTP/2.
fn grpc() -> Result<(), Failed> {
    let client = std::fs::read_to_string(tools::repo_root().join("examples/consul/grpc.hcl"))?;
    let patch = json!({
        "ResourceFilter": {"ResourceType": "cluster", "TrafficDirection": "inbound"},
        "Op": "add",
        "Path": "/http2_protocol_options/max_concurrent_streams",
        "Value": 1024,
    });
    let arguments = json!({"ProxyType": "connect-proxy", "Patches": [patch]});
    let http2 = json!({"Name": "builtin/property-override", "Required": true, "Arguments": arguments});
    let web = |configuration: &Value| -> Result<String, Failed> {
        Ok(entries::service("web", "http", &[entries::extension("auth", configuration)?, http2.clone()]))
    };
    let mesh = Mesh::start(Agents::Dev, &[&client, &web(&deny())?])?;
    let denied = call(&mesh)?;
    if (denied.grpc_status, denied.reached) != (Some(PERMISSION_DENIED), None) {
        return Err(format!("denied: {:?} {:?}", denied.grpc_status, denied.headers).into());
    }
    mesh.consul.write(&web(&json!({"providers": {}, "rules": [{"name": "all", "allow": "anyone"}]}))?)?;
    mesh.until("the call is answered", || {
        let response = call(&mesh)?;
        Ok(response.grpc_status == Some(0) && response.reached.is_some())
    })
}
