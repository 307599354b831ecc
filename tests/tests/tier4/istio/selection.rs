//! Where a filter runs, and where not: workloads, routes. And what of telemetry Istio lets through.

use e2e::companions::istio::{Kind, Proxy};
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_render::{Filter, Form};

use super::manifest::{self, At};
use super::mesh::{Mesh, web};
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for form in ["envoyfilter-inline", "envoyfilter-ecds", "wasmplugin", "trafficextension"] {
        let trial = |name: &str, run: fn(&'static str) -> Result<(), Failed>| {
            needing(&["istio-discovery"], &format!("istio::selection::{name}::{form}"), move || run(form))
        };
        trials.push(trial("a_route_without_filters", a_route_without));
        trials.push(trial("a_workload_beside", a_workload_beside));
    }
    for (name, run) in [
        ("selection::without_a_selector_from_the_root_namespace", everywhere as fn() -> Result<(), Failed>),
        ("selection::the_clients_address", addresses),
        ("telemetry::labels_are_labels", labels_are_labels),
        ("telemetry::without_tags_they_stay_in_names", without_tags),
    ] {
        trials.push(needing(&["istio-discovery"], &format!("istio::{name}"), run));
    }
    trials
}

/// On the gateway, the route that its VirtualService calls `public`.
fn a_route_without(form: &str) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let mut disabled = manifest::committed("per-route-disabled.yaml")?;
    for (name, filter) in [("auth", Filter::Auth), ("rate-limit", Filter::RateLimit)] {
        let plugin = match form {
            "wasmplugin" => Some((Form::WasmPlugin, "~istio-translated-wasmplugin")),
            "trafficextension" => Some((Form::TrafficExtension, "")),
            _ => None,
        };
        let Some((form, end)) = plugin else {
            mesh.istio.apply(&manifest::committed(&format!("{name}/{form}-gateway.yaml"))?)?;
            continue;
        };
        let configuration = super::decisions::configuration(name)?;
        mesh.istio.apply(&manifest::rendered(filter, &configuration, form, At::Gateway, None)?)?;
        // As the manifest's comment has it.
        let resource = format!("extensions.istio.io/trafficextension/istio-system.tidegate-{name}{end}");
        disabled = disabled.replace(&format!("tidegate.{name}:"), &format!("{resource}:"));
    }
    let proxied = mesh.gateway()?;
    proxied.serves()?;
    proxied.expect("/public", &[], 401)?;
    mesh.istio.apply(&disabled)?;
    proxied.until_status("/public", &[], 200)?;
    proxied.expect("/elsewhere", &[], 401)?;
    mesh.istio.delete(&disabled)?;
    proxied.until_status("/public", &[], 401)
}

/// Of two workloads in one namespace, the one that the manifest names.
fn a_workload_beside(form: &str) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let suffix = if form.starts_with("envoyfilter") { "-inbound" } else { "" };
    mesh.istio.apply(&manifest::committed(&format!("auth/{form}{suffix}.yaml"))?)?;
    let other = Proxy::new(Kind::Sidecar, "other-1", "shop", [127, 0, 0, 4].into()).labelled("app", "other");
    let (selected, beside) = (mesh.sidecar()?, mesh.beside(&other)?);
    selected.serves()?;
    beside.serves()?;
    selected.expect("/", &[], 401)?;
    beside.expect("/", &[], 200)?;
    if beside.chain()?.iter().any(|name| name.contains("tidegate")) {
        return Err(beside.failed("the filter is in its chain"));
    }
    Ok(())
}

/// From the mesh's root namespace and without a selector: all of them.
fn everywhere() -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let plugin =
        manifest::committed("auth/wasmplugin.yaml")?.replace("namespace: shop", "namespace: istio-system");
    let selector = "  selector: {matchLabels: {app: web}}\n";
    if !plugin.contains(selector) {
        return Err("the manifest selects in another way".into());
    }
    mesh.istio.apply(&plugin.replace(selector, "").replace("mode: SERVER", "mode: CLIENT_AND_SERVER"))?;
    for at in [At::Inbound, At::Gateway] {
        let proxied = mesh.at(at)?;
        proxied.serves()?;
        proxied.expect("/", &[], 401)?;
    }
    Ok(())
}

/// Istio has gateways take the peer's address, and sidecars the one that X-Forwarded-For says, which the gateway has written.
fn addresses() -> Result<(), Failed> {
    let by_address = "limits: [{name: a, key: [source], quotas: [{requests: 1, per: 1h}]}]\n";
    let mesh = Mesh::start()?;
    for (at, second) in [(At::Inbound, 200), (At::Gateway, 429)] {
        mesh.istio.apply(&manifest::rendered(Filter::RateLimit, by_address, Form::WasmPlugin, at, None)?)?;
        let proxied = mesh.at(at)?;
        proxied.serves()?;
        proxied.expect("/", &[("x-forwarded-for", "198.51.100.1")], 200)?;
        proxied.expect("/", &[("x-forwarded-for", "198.51.100.2")], second)?;
        proxied.expect("/", &[("x-forwarded-for", "198.51.100.1")], 429)?;
    }
    Ok(())
}

/// With what `envoy-config/istio/stats.yaml` says, by the bootstrap that Istio's agent writes of it: as annotations and as
/// the mesh's default.
fn labels_are_labels() -> Result<(), Failed> {
    let mut annotated = web();
    let tags: Vec<&str> = annotated.config["extraStatTags"]
        .as_array()
        .map(|tags| tags.iter().filter_map(serde_json::Value::as_str).collect())
        .unwrap_or_default();
    annotated.annotations.insert("sidecar.istio.io/extraStatTags".to_owned(), tags.join(","));
    annotated.config = json!({});
    for proxy in [web(), annotated] {
        let mesh = Mesh::start()?;
        mesh.istio.apply(&manifest::committed("telemetry/wasmplugin.yaml")?)?;
        let proxied = mesh.sidecar_as(&proxy)?;
        proxied.serves()?;
        proxied.expect("/users/7", &[("x-tenant", "acme")], 200)?;
        proxied.series(
            "shop_requests_total",
            &[("method", "GET"), ("code", "2xx"), ("tenant", "acme"), ("route", "default")],
        )?;
        proxied.series("shop_latency_milliseconds_count", &[("path", "/users/{id}")])?;
    }
    Ok(())
}

/// Istio lets everything through that begins with `wasm`, so the metric arrives: under a name that holds its labels.
fn without_tags() -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    mesh.istio.apply(&manifest::committed("telemetry/wasmplugin.yaml")?)?;
    let mut bare = web();
    bare.config = json!({});
    let proxied = mesh.sidecar_as(&bare)?;
    proxied.serves()?;
    proxied.expect("/", &[], 200)?;
    proxied
        .series("code___2xx___method___GET___route___default___tenant___unknown___shop_requests_total", &[])
}
