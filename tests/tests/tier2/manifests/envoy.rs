//! What manifests hold for Envoy: a real one starts with it, and the filters decide.
//!
//! How it gets there is the mesh's, in tier 4. Here stands in for it: HTTP filters are put before the router, clusters
//! beside the others, and what would be fetched by ECDS is read from a file.

use std::path::Path;

use e2e::bootstrap::{self, Form};
use e2e::client;
use e2e::envoy::Envoy;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::files;

const NAMES: [&str; 7] =
    ["auth", "rate-limit", "rate-limit-service", "header-routing", "telemetry", "telemetry-otlp", "suite"];

/// Of the example's; a manifest takes it from the proxy's environment.
const SECRET: &str = "a-secret-for-this-example-only";

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

pub(crate) fn trials() -> Vec<Trial> {
    let each = NAMES.map(|name| {
        Trial::test(format!("manifests::{name}_starts_from_each_form_for_envoy"), move || starts(name))
    });
    let others = [
        Trial::test("manifests::a_route_without_a_filter", per_route_disabled),
        Trial::test("manifests::the_clusters_of_istio_are_clusters", istio_clusters),
        Trial::test("manifests::what_is_not_among_the_capabilities_is_refused", capabilities),
    ];
    each.into_iter().chain(others).collect()
}

/// A file's only document.
fn document(file: &str) -> Result<Value, Failed> {
    let folder = Path::new(file).parent().and_then(Path::to_str).ok_or("no folder")?;
    let found = files(&[folder])?.into_iter().find(|(path, _)| path.as_os_str() == file);
    found.and_then(|(_, mut documents)| documents.pop()).ok_or_else(|| format!("no {file}").into())
}

/// The values of an `EnvoyFilter`'s patches.
fn patches(file: &str) -> Result<Vec<Value>, Failed> {
    let document = document(file)?;
    let patches = document["spec"]["configPatches"].as_array().ok_or("no patches")?;
    Ok(patches.iter().map(|patch| patch["patch"]["value"].clone()).collect())
}

fn starts(name: &str) -> Result<(), Failed> {
    let inline = patches(&format!("istio/{name}/envoyfilter-inline-inbound.yaml"))?;
    let ecds = patches(&format!("istio/{name}/envoyfilter-ecds-inbound.yaml"))?;
    let ([inline], [extension, reference]) = (inline.as_slice(), ecds.as_slice()) else {
        return Err("expected one patch, and two".into());
    };
    // What a gateway gets differs in nothing but whom it is for.
    let gateway = patches(&format!("istio/{name}/envoyfilter-inline-gateway.yaml"))?;
    let gateway_ecds = patches(&format!("istio/{name}/envoyfilter-ecds-gateway.yaml"))?;
    let patch = document(&format!("envoy-gateway/{name}-patch.yaml"))?;
    let patches = patch["spec"]["jsonPatches"].as_array().ok_or("no patches")?;
    let (listener, clusters) = patches.split_first().ok_or("no patch")?;
    let same = [
        inline == extension,
        gateway == [inline.clone()],
        gateway_ecds == ecds,
        listener["operation"]["value"] == *inline,
    ];
    if same.contains(&false) {
        return Err(format!("the forms of {name} hold different filters: {same:?}").into());
    }
    let clusters: Vec<Value> = clusters.iter().map(|patch| patch["operation"]["value"].clone()).collect();
    decides(name, inline.clone(), &clusters)?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("extension.json");
    let (mut extension, mut reference) = (extension.clone(), reference.clone());
    at_home(&mut extension)?;
    let mut resource = json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"});
    for field in ["name", "typed_config"] {
        resource[field] = extension[field].clone();
    }
    std::fs::write(&file, json!({"resources": [resource]}).to_string())?;
    let source = reference.pointer_mut("/config_discovery/config_source").ok_or("no config source")?;
    *source = json!({"path_config_source": {"path": file}, "initial_fetch_timeout": source["initial_fetch_timeout"]});
    decides(name, reference, &clusters)
}

/// Modules of this build, and the secret that a proxy's environment would hold.
fn at_home(filter: &mut Value) -> Result<(), Failed> {
    let Some(vm) = filter.pointer_mut("/typed_config/config/vm_config") else { return Ok(()) };
    let file = vm.pointer_mut("/code/local/filename").ok_or("no file")?;
    let module =
        file.as_str().and_then(|file| file.strip_prefix("/var/lib/tidegate/")).ok_or("another folder")?;
    *file = json!(tools::modules_dir().join(module));
    if let Some(variables) = vm.get_mut("environment_variables") {
        let keys = variables["host_env_keys"].as_array().ok_or("no keys")?;
        let values: serde_json::Map<_, _> =
            keys.iter().filter_map(|key| Some((key.as_str()?.to_owned(), json!(SECRET)))).collect();
        *variables = json!({"key_values": values});
    }
    Ok(())
}

/// An Envoy with these in front of the router, and with the clusters that belong to them.
fn envoy_with(
    filters: Vec<Value>,
    clusters: &[Value],
    change: impl Fn(&mut Value),
) -> Result<(Envoy, Upstreams), Failed> {
    let upstreams = Upstreams::start()?;
    let mut bootstrap = bootstrap::with_filters(&[], &upstreams, Form::Struct)?;
    let chain = bootstrap.pointer_mut(&format!("{MANAGER}/http_filters")).and_then(Value::as_array_mut);
    let chain = chain.ok_or("no filters")?;
    for mut filter in filters {
        at_home(&mut filter)?;
        chain.insert(chain.len() - 1, filter);
    }
    let all = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    all.ok_or("no clusters")?.extend(clusters.iter().cloned());
    // Whoever is configured by ECDS has a name.
    bootstrap["node"] = json!({"id": "test", "cluster": "test"});
    change(&mut bootstrap);
    Ok((Envoy::start(&bootstrap, 1)?, upstreams))
}

fn decides(name: &str, filter: Value, clusters: &[Value]) -> Result<(), Failed> {
    let (envoy, _upstreams) = envoy_with(vec![filter], clusters, |_| {})?;
    let (path, expected) = match name {
        "auth" | "suite" => ("/orders", 401),
        "header-routing" => ("/down", 503),
        _ => ("/api", 200),
    };
    let reply = client::get(envoy.address(), path)?;
    if reply.status != expected {
        return Err(format!("expected {expected}, seen {}\n{}", reply.status, envoy.log()).into());
    }
    // The main thread's and the worker's.
    let active = envoy.stat("wasm.envoy.wasm.runtime.v8.active")?;
    if active < 2 { Err(format!("the filter does not run\n{}", envoy.log()).into()) } else { Ok(()) }
}

/// The patch of one route: its requests pass unasked, all others do not.
fn per_route_disabled() -> Result<(), Failed> {
    let patch = patches("istio/per-route-disabled.yaml")?.pop().ok_or("no patch")?;
    let mut filters = patches("istio/auth/envoyfilter-inline-gateway.yaml")?;
    filters.extend(patches("istio/rate-limit/envoyfilter-inline-gateway.yaml")?);
    let (envoy, _upstreams) = envoy_with(filters, &[], |bootstrap| {
        let routes = bootstrap.pointer_mut(&format!("{MANAGER}/route_config/virtual_hosts/0/routes"));
        if let Some(routes) = routes.and_then(Value::as_array_mut) {
            let mut route =
                json!({"name": "public", "match": {"prefix": "/public"}, "route": {"cluster": "stable"}});
            route["typed_per_filter_config"] = patch["typed_per_filter_config"].clone();
            routes.insert(0, route);
        }
    })?;
    for (path, expected) in [("/public/page", 200), ("/orders", 401)] {
        let seen = client::get(envoy.address(), path)?.status;
        if seen != expected {
            return Err(format!("{path}: expected {expected}, seen {seen}\n{}", envoy.log()).into());
        }
    }
    Ok(())
}

fn istio_clusters() -> Result<(), Failed> {
    let clusters = patches("istio/clusters.yaml")?;
    let names: Vec<&str> = clusters.iter().filter_map(|cluster| cluster["name"].as_str()).collect();
    if names != ["ratelimit", "collector", "idp"] {
        return Err(format!("expected the three clusters that configurations name, seen {names:?}").into());
    }
    let (envoy, _upstreams) = envoy_with(Vec::new(), &clusters, |_| {})?;
    let listing = envoy.admin_get("/clusters")?;
    match names.iter().find(|name| !listing.contains(&format!("{name}::"))) {
        Some(missing) => Err(format!("no cluster {missing}:\n{listing}").into()),
        None => Ok(()),
    }
}

/// The lists are obeyed: without the call that reads headers auth can decide nothing, and refuses.
fn capabilities() -> Result<(), Failed> {
    let mut filters = patches("istio/auth/envoyfilter-inline-inbound.yaml")?;
    let list = "/typed_config/config/capability_restriction_config/allowed_capabilities";
    let list = filters.first_mut().and_then(|filter| filter.pointer_mut(list)).and_then(Value::as_object_mut);
    list.ok_or("no capabilities")?.remove("proxy_get_header_map_pairs").ok_or("it was not among them")?;
    let (envoy, _upstreams) = envoy_with(filters, &[], |_| {})?;
    let seen = client::get(envoy.address(), "/healthz")?.status;
    if seen == 500 { Ok(()) } else { Err(format!("expected 500, seen {seen}\n{}", envoy.log()).into()) }
}
