//! The manifests of `envoy-config/istio/`, made to fit a machine without a cluster, and others of the same templates.

use std::net::SocketAddr;

use e2e::tools;
use libtest_mimic::Failed;
use serde_json::Value;
use tidegate_render::{Configuration, Filter, Form, Module, Options, Place};

/// Where a filter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// In the sidecar of a workload, on what arrives.
    Inbound,
    /// In a gateway.
    Gateway,
}

/// A manifest that is there, byte for byte but for where the modules are: those of this build, in files.
pub(crate) fn committed(file: &str) -> Result<String, Failed> {
    Ok(fit(&text(file)?))
}

/// A file of `envoy-config/istio/`.
pub(crate) fn text(file: &str) -> Result<String, Failed> {
    std::fs::read_to_string(tools::repo_root().join("envoy-config/istio").join(file))
        .map_err(|error| format!("{file}: {error}").into())
}

/// Puts files in the places of images, which only Istio's agent can fetch, and of the folder that a pod mounts. Everything
/// else is left as it was written: Kubernetes reads YAML in a way of its own.
pub(crate) fn fit(manifests: &str) -> String {
    let modules = tools::modules_dir().display().to_string();
    let mut fitted = String::new();
    for line in manifests.lines() {
        let (indentation, word) = line.split_at(line.len() - line.trim_start().len());
        // A file has no digest, and is not pulled.
        if word.starts_with("sha256: \"") || word.starts_with("imagePullPolicy: ") {
            continue;
        }
        match word.strip_prefix("url: oci://registry.example.com/tidegate/") {
            Some(image) => {
                let name = image.split(':').next().unwrap_or(image).replace('-', "_");
                fitted += &format!("{indentation}url: file://{modules}/tidegate_{name}.wasm\n");
            }
            None => fitted += &format!("{}\n", line.replace("/var/lib/tidegate/", &format!("{modules}/"))),
        }
    }
    fitted
}

/// Options for a form at a place, with the module of this build.
pub(crate) fn options(form: Form, at: At, filter: Filter) -> Options {
    let mut options = Options::new(form);
    let module = tools::modules_dir().join(filter.module_file());
    options.module = Some(Module::File(module.display().to_string()));
    let (namespace, label, value) = match at {
        At::Inbound => ("shop", "app", "web"),
        At::Gateway => ("istio-system", "istio", "ingressgateway"),
    };
    options.namespace = Some(namespace.to_owned());
    options.workload.insert(label.to_owned(), value.to_owned());
    options
}

/// What `cargo xtask render` makes of a configuration.
pub(crate) fn rendered(
    filter: Filter,
    configuration: &str,
    form: Form,
    at: At,
    name: Option<&str>,
) -> Result<String, Failed> {
    let read = Configuration::read(configuration, Some(filter), None)?;
    let mut options = options(form, at, filter);
    options.name = name.map(str::to_owned);
    Ok(tidegate_render::render(&read, &options)?.text)
}

/// A `WasmPlugin` with a configuration that the filter's own code would not let `render` take.
pub(crate) fn plugin_with(
    filter: Filter,
    at: At,
    name: &str,
    configuration: &Value,
) -> Result<Value, Failed> {
    let text = match filter {
        Filter::Auth => "{providers: {}, rules: [{name: all, allow: anyone}]}",
        Filter::RateLimit => "limits: [{name: a, key: [{header: a}], quotas: [{requests: 1, per: 1h}]}]",
        Filter::HeaderRouting => "default: {route: stable}",
        Filter::Telemetry => "metrics: [{name: a_total, type: counter}]",
        Filter::Suite => "header_routing: {default: {route: stable}}",
    };
    let mut manifest: Value =
        serde_saphyr::from_str(&rendered(filter, text, Form::WasmPlugin, at, Some(name))?)?;
    manifest["spec"]["pluginConfig"] = configuration.clone();
    Ok(manifest)
}

/// The clusters of `envoy-config/istio/clusters.yaml`, all of them there.
pub(crate) fn clusters(at: At, place: SocketAddr) -> Result<String, Failed> {
    let mut options = options(Form::Clusters, at, Filter::RateLimit);
    let place = Place { host: place.ip().to_string(), port: place.port(), tls: false };
    let called = [("ratelimit", true), ("collector", false), ("idp", false)];
    let called: Vec<_> = called
        .into_iter()
        .map(|(name, grpc)| {
            options.clusters.insert(name.to_owned(), place.clone());
            (tidegate_render::Called { name: name.to_owned(), grpc }, "for a test".to_owned())
        })
        .collect();
    Ok(tidegate_render::istio_clusters(&called, &options)?)
}
