//! Istio: `EnvoyFilter` in two forms, `WasmPlugin`, `TrafficExtension`, and what they need beside them.

use serde_json::Value;

use crate::Error;
use crate::configuration::{Called, Configuration};
use crate::envoy;
use crate::filter::Filter;
use crate::form::Form;
use crate::manifest::common;
use crate::options::{Module, Options};
use crate::stats;
use crate::template::{Values, fill};
use crate::yaml::scalar;

const INLINE: &str = include_str!("../templates/istio/envoyfilter-inline.yaml");
const ECDS: &str = include_str!("../templates/istio/envoyfilter-ecds.yaml");
const MATCH: &str = include_str!("../templates/istio/match.yaml");
const WASM_PLUGIN: &str = include_str!("../templates/istio/wasmplugin.yaml");
const TRAFFIC_EXTENSION: &str = include_str!("../templates/istio/trafficextension.yaml");
const CLUSTERS: &str = include_str!("../templates/istio/clusters.yaml");
const CLUSTER_PATCH: &str = include_str!("../templates/istio/cluster-patch.yaml");
const STATS: &str = include_str!("../templates/istio/stats.yaml");
pub(crate) const PER_ROUTE_DISABLED: &str = include_str!("../templates/istio/per-route-disabled.yaml");

/// Where a pod of the examples has the modules.
pub(crate) const MODULE_FOLDER: &str = "/var/lib/tidegate";

pub(crate) fn render(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    match options.form {
        Form::WasmPlugin => plugin(WASM_PLUGIN, configuration, options),
        Form::TrafficExtension => plugin(TRAFFIC_EXTENSION, configuration, options),
        Form::EnvoyFilterInlineInbound | Form::EnvoyFilterInlineGateway => {
            envoy_filter(INLINE, configuration, options)
        }
        Form::Clusters => {
            let called: Vec<(Called, String)> =
                configuration.clusters().into_iter().map(|called| (called, String::new())).collect();
            if called.is_empty() {
                return Err(Error::NothingToSay(options.form, configuration.filter()));
            }
            clusters(&called, options)
        }
        Form::Stats => match configuration.telemetry.as_ref() {
            Some(telemetry) => stats(&[telemetry], options),
            None => Err(Error::NothingToSay(options.form, configuration.filter())),
        },
        _ => envoy_filter(ECDS, configuration, options),
    }
}

/// Labels, on one line.
pub(crate) fn labels(options: &Options) -> String {
    if options.workload.is_empty() {
        return if options.form.is_gateway() { "{istio: ingressgateway}" } else { "{app: web}" }.to_owned();
    }
    let labels: Vec<String> =
        options.workload.iter().map(|(name, value)| format!("{}: \"{value}\"", scalar(name))).collect();
    format!("{{{}}}", labels.join(", "))
}

fn envoy_filter(template: &str, configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let gateway = options.form.is_gateway();
    let mut values = common(configuration, options);
    values.extend([
        ("labels", labels(options)),
        ("context", if gateway { "GATEWAY" } else { "SIDECAR_INBOUND" }.to_owned()),
        ("gateway", if gateway { "true" } else { "" }.to_owned()),
        ("suffix", if gateway { "-gateway" } else { "" }.to_owned()),
        ("order", order(configuration.filter()).to_string()),
        ("module_folder", MODULE_FOLDER.to_owned()),
        ("http_filter", envoy::http_filter(configuration, options, MODULE_FOLDER)?),
        ("modules", modules(options)?),
    ]);
    values.insert("match", fill(MATCH, &values)?);
    Ok(fill(template, &values)?)
}

/// Whether the workload is a gateway, by the labels that gateways have: Istio's own, and those of the Gateway API.
fn selects_gateways(options: &Options) -> bool {
    let istios_own = options.workload.get("app").is_some_and(|app| {
        ["istio-ingressgateway", "istio-ingress", "istio-egressgateway", "istio-egress"]
            .contains(&app.as_str())
    });
    istios_own
        || ["istio", "gateway.networking.k8s.io/gateway-name"]
            .iter()
            .any(|name| options.workload.contains_key(*name))
}

/// The order in which a request meets the filters.
fn order(filter: Filter) -> u32 {
    match filter {
        Filter::Telemetry | Filter::Suite => 10,
        Filter::Auth => 20,
        Filter::RateLimit => 30,
        Filter::HeaderRouting => 40,
    }
}

fn plugin(template: &str, configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let filter = configuration.filter();
    let (phase, phase_why) = match filter {
        Filter::Auth => (
            "AUTHN",
            "Before Istio's own checks of tokens and of AuthorizationPolicies: who is refused here costs them nothing.",
        ),
        Filter::RateLimit => (
            "AUTHZ",
            "Behind the phase AUTHN, where auth stands: who may not come in uses up nobody's quota.",
        ),
        Filter::HeaderRouting => {
            ("AUTHZ", "Behind the phase AUTHN, where auth stands: what auth has checked is what is routed.")
        }
        Filter::Telemetry => (
            "STATS",
            "Where Istio's own metrics are made: requests that are refused before pass here with their answer.",
        ),
        Filter::Suite => ("AUTHN", "Auth is in it, and comes before Istio's own checks."),
    };
    let (priority, priority_why) = match filter {
        Filter::RateLimit => {
            (20, "The higher comes first within a phase: who is over the limit is not routed any more.")
        }
        Filter::HeaderRouting => {
            (10, "The higher comes first within a phase: behind rate-limit, whose 429 needs no route.")
        }
        _ => (
            10,
            "The higher comes first within a phase: there is room on both sides for filters of your own.",
        ),
    };
    let (failure, failure_why) = if filter.must_decide() {
        (
            "FAIL_RELOAD",
            "Where the module cannot be had or has trapped, requests are refused, and a new VM is tried; FAIL_CLOSE would refuse\nthem for good, FAIL_OPEN would let them through undecided. A configuration that the filter refuses is a 500 with any.",
        )
    } else {
        (
            "FAIL_OPEN",
            "Where the module cannot be had, requests pass unmeasured: no reason to refuse them. A configuration that the filter\nrefuses is a 500 all the same.",
        )
    };
    let (mode, mode_why) = if selects_gateways(options) {
        (
            "CLIENT",
            "To Istio all requests through a gateway are a client's: with SERVER the plugin would see none of them.",
        )
    } else {
        (
            "SERVER",
            "Only requests that arrive: in a sidecar those that leave pass the plugin too, if nothing is said. Of a gateway's\nrequests this is none: render with its labels, --workload istio=ingressgateway.",
        )
    };
    let mut values = common(configuration, options);
    values.extend([
        ("signs_bodies", if configuration.holds_bodies() { "true" } else { "" }.to_owned()),
        ("mode", mode.to_owned()),
        ("mode_why", mode_why.to_owned()),
        ("labels", labels(options)),
        ("source", source(configuration, options)),
        ("vm", environment(configuration, options)),
        ("phase", phase.to_owned()),
        ("phase_why", phase_why.to_owned()),
        ("priority", priority.to_string()),
        ("priority_why", priority_why.to_owned()),
        ("failure", failure.to_owned()),
        ("failure_why", failure_why.to_owned()),
    ]);
    Ok(fill(template, &values)?)
}

/// `url` and what belongs to it.
fn source(configuration: &Configuration, options: &Options) -> String {
    let image = Module::at(
        &format!("oci://registry.example.com/tidegate/{}:0.1.0", configuration.filter().name()),
        None,
    );
    let (url, sha256) = match options.module.as_ref().unwrap_or(&image) {
        Module::File(path) => return format!("url: {}\n", scalar(&format!("file://{path}"))),
        Module::Http { url, sha256 } => (url.clone(), sha256),
        Module::Image { reference, sha256 } => (format!("oci://{reference}"), sha256),
    };
    let what = if url.starts_with("oci:") { "of the image" } else { "of the module" };
    format!(
        "url: {}\n\
         # The digest {what}: nothing else is loaded, whatever the server has. Render with --sha256 for yours.\n\
         sha256: \"{sha256}\"\n\
         # What has this digest never changes, so that a proxy which has it need not ask.\n\
         imagePullPolicy: IfNotPresent\n",
        scalar(&url)
    )
}

fn environment(configuration: &Configuration, options: &Options) -> String {
    if configuration.variables().is_empty() {
        return String::new();
    }
    let mut lines = vec![
        "# Secrets that must be known in the clear come from the proxy's environment, which the annotation".to_owned(),
        "# proxy.istio.io/config: '{\"proxyMetadata\": {…}}' or a gateway's Deployment sets; never from here.".to_owned(),
        "vmConfig:".to_owned(),
        "  env:".to_owned(),
    ];
    for name in configuration.variables() {
        lines.push(match options.variables.get(name) {
            Some(value) => {
                format!("    - {{name: {}, value: {}}}", scalar(name), Value::from(value.as_str()))
            }
            None => format!("    - {{name: {}, valueFrom: HOST}}", scalar(name)),
        });
    }
    lines.join("\n") + "\n"
}

/// The patch that adds the server of a module that Envoy itself fetches: what is in the listener. One that is delivered on its
/// own, Istio's agent fetches.
fn modules(options: &Options) -> Result<String, Error> {
    let Some(cluster) = envoy::modules_cluster(options)? else { return Ok(String::new()) };
    let why = "The server that the module comes from: Envoy finds it by a cluster only.".to_owned();
    Ok(fill(CLUSTER_PATCH, &Values::from([("why", why), ("cluster", cluster)]))?)
}

/// An `EnvoyFilter` that adds clusters, each with the reason why it is there.
///
/// # Errors
/// Where the options do not say where one of them is.
pub fn clusters(called: &[(Called, String)], options: &Options) -> Result<String, Error> {
    let namespace = options.namespace.clone().unwrap_or_else(|| "shop".to_owned());
    let mut patches = String::new();
    for (called, why) in called {
        let values = Values::from([("why", why.clone()), ("cluster", envoy::cluster(called, options)?)]);
        patches.push_str(&fill(CLUSTER_PATCH, &values)?);
    }
    let values =
        Values::from([("namespace", scalar(&namespace)), ("labels", labels(options)), ("patches", patches)]);
    Ok(fill(CLUSTERS, &values)?)
}

/// What Istio must be told for the labels of these to arrive.
///
/// # Errors
/// None but a template's.
pub fn stats(telemetry: &[&tidegate_telemetry::Config], options: &Options) -> Result<String, Error> {
    let list = |names: Vec<String>| names.iter().map(|name| format!("- \"{name}\"\n")).collect::<String>();
    let mut notes = options.notes.clone();
    for warning in stats::istio_warnings(telemetry) {
        notes.push_str(&format!("\n{warning}"));
    }
    let values = Values::from([
        ("notes", notes.trim_start().to_owned()),
        ("inclusion_prefixes", list(stats::istio_prefixes(telemetry))),
        ("extra_stat_tags", list(stats::istio_extra_tags(telemetry))),
    ]);
    Ok(fill(STATS, &values)?)
}
