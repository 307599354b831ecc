//! Envoy bootstraps: made for a list of filters, or read from a file and made to fit a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::tools;
use crate::upstream::Upstreams;

/// How a filter's configuration is handed to it; it must not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As fields, which Envoy hands on as a serialised `google.protobuf.Struct`.
    Struct,
    /// As a text.
    StringValue,
}

/// A bootstrap with these filters (name and configuration) in front of the upstreams, on ports of the kernel's choice.
pub fn with_filters(filters: &[(&str, &Value)], upstreams: &Upstreams, form: Form) -> Result<Value> {
    let mut http_filters = Vec::new();
    for (name, configuration) in filters {
        http_filters.push(wasm_filter(name, configuration, form)?);
    }
    http_filters.push(typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"));
    let route =
        |name: &str, condition: Value| json!({"name": name, "match": condition, "route": {"cluster": name}});
    let beta = json!({"name": "x-tidegate-route", "string_match": {"exact": "beta"}});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        // Without it Envoy takes `source.address` from the X-Forwarded-For that a client sent.
        "use_remote_address": true,
        // Envoy itself would take the header away: whether it is believed is auth's decision here.
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "common_http_protocol_options": {"max_headers_count": 2000},
        "http_filters": http_filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            route("beta", json!({"prefix": "/", "headers": [beta]})),
            route("stable", json!({"prefix": "/"})),
        ]}]},
    });
    Ok(json!({
        "admin": {"address": address(loopback())},
        "stats_config": {"stats_tags": stats_tags(filters)},
        "static_resources": {
            "listeners": [{
                "name": "http",
                "address": address(loopback()),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [cluster("stable", upstreams.stable), cluster("beta", upstreams.beta)],
        },
    }))
}

/// Reads a bootstrap written by hand, in YAML or JSON.
pub fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bootstrap: Value = serde_saphyr::from_str(&text)
        .with_context(|| format!("{} is neither YAML nor JSON", file.display()))?;
    if !bootstrap.is_object() {
        bail!("{} is no Envoy bootstrap, which is a mapping with static_resources and so on", file.display());
    }
    Ok(bootstrap)
}

/// Makes a bootstrap of `envoy-config/` fit: ports of the kernel's choice, the clusters `stable` and `beta` at the
/// upstreams, the modules of this build.
pub fn fit(bootstrap: &mut Value, upstreams: &Upstreams) -> Result<()> {
    free_ports(bootstrap)?;
    use_upstreams(bootstrap, upstreams)?;
    each_string(bootstrap, &mut |text| {
        if let Some(module) = text.strip_prefix("target/wasm/") {
            *text = tools::modules_dir().join(module).display().to_string();
        }
    });
    Ok(())
}

/// Admin and listeners get ports of the kernel's choice.
pub fn free_ports(bootstrap: &mut Value) -> Result<()> {
    bootstrap["admin"]["address"] = address(loopback());
    let listeners = bootstrap["static_resources"]["listeners"]
        .as_array_mut()
        .context("the bootstrap has no listeners")?;
    for listener in listeners {
        listener["address"] = address(loopback());
    }
    Ok(())
}

/// Gives the modules of all filters these environment variables.
pub fn set_environment(bootstrap: &mut Value, variables: &BTreeMap<String, String>) -> Result<()> {
    if variables.is_empty() {
        return Ok(());
    }
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = bootstrap.pointer_mut(filters).and_then(Value::as_array_mut);
    for filter in filters.context("the bootstrap has no HTTP filters")? {
        if let Some(vm) = filter.pointer_mut("/typed_config/config/vm_config") {
            vm["environment_variables"] = json!({"key_values": variables});
        }
    }
    Ok(())
}

/// Clusters named `stable` and `beta` get the upstreams as their endpoints.
pub fn use_upstreams(bootstrap: &mut Value, upstreams: &Upstreams) -> Result<()> {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let clusters = clusters.context("the bootstrap has no clusters")?;
    for cluster in clusters {
        let place = match cluster["name"].as_str() {
            Some("stable") => upstreams.stable,
            Some("beta") => upstreams.beta,
            _ => continue,
        };
        let Some(endpoint) = cluster.pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint")
        else {
            bail!("the cluster {} has no endpoint to replace", cluster["name"]);
        };
        endpoint["address"] = address(place);
    }
    Ok(())
}

fn each_string(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_string(field, change)),
        _ => {}
    }
}

fn wasm_filter(name: &str, configuration: &Value, form: Form) -> Result<Value> {
    let configuration = match form {
        Form::Struct => {
            json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration})
        }
        Form::StringValue => {
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()})
        }
    };
    Ok(json!({
        "name": format!("tidegate.{name}"),
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                "failure_policy": "FAIL_RELOAD",
                // Where a signature covers the body, the request is held until it has been read.
                "allow_on_headers_stop_iteration": matches!(name, "auth" | "suite"),
                "vm_config": {
                    "vm_id": format!("tidegate.{name}"),
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": tools::module(name)?}},
                },
                "configuration": configuration,
                "capability_restriction_config": {"allowed_capabilities": capabilities(name)},
            },
        },
    }))
}

/// What manifests allow a filter: what is not on the list would be missed here. A module of the tests' own may do all.
fn capabilities(name: &str) -> Value {
    let names = tidegate_render::Filter::named(name).map(tidegate_render::capabilities).unwrap_or_default();
    names.into_iter().map(|name| (name, json!({}))).collect::<serde_json::Map<_, _>>().into()
}

/// One per label of a telemetry filter: they take `code=.=2xx;.;` out of a metric's name and make it a label. A
/// configuration that is to be refused has none.
fn stats_tags(filters: &[(&str, &Value)]) -> Vec<Value> {
    let telemetry = filters.iter().filter_map(|(name, configuration)| match *name {
        "telemetry" => Some(*configuration),
        "suite" => configuration.get("telemetry"),
        _ => None,
    });
    let decoded = telemetry.filter_map(|configuration| {
        tidegate_config::decode::<tidegate_telemetry::Config>(configuration.to_string().as_bytes()).ok()
    });
    let mut labels: Vec<String> = decoded.flat_map(|config| config.labels()).collect();
    labels.sort_unstable();
    labels.dedup();
    let tag = |label: &String| json!({"tag_name": label, "regex": tidegate_telemetry::stats_tag(label)});
    labels.iter().map(tag).collect()
}

/// A cluster of one static endpoint. HTTP/1.1 stays HTTP/1.1, gRPC stays HTTP/2.
#[must_use]
pub fn cluster(name: &str, place: SocketAddr) -> Value {
    let same = json!({"http_protocol_options": {}, "http2_protocol_options": {}});
    cluster_with(name, place, "use_downstream_protocol_config", &same)
}

/// A cluster of one static endpoint that speaks HTTP/2 only: what gRPC calls of a filter need.
#[must_use]
pub fn grpc_cluster(name: &str, place: SocketAddr) -> Value {
    cluster_with(name, place, "explicit_http_config", &json!({"http2_protocol_options": {}}))
}

fn cluster_with(name: &str, place: SocketAddr, protocols: &str, options: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(place)}}]}],
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"max_headers_count": 2000},
            protocols: options,
        }},
    })
}

fn typed(name: &str, message: &str) -> Value {
    json!({"name": name, "typed_config": {"@type": format!("type.googleapis.com/{message}")}})
}

fn address(place: SocketAddr) -> Value {
    json!({"socket_address": {"address": place.ip().to_string(), "port_value": place.port()}})
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
