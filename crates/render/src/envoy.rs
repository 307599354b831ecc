//! Envoy with a file of its own; what it shares with hosts that hand Envoy's own messages on.

use serde_json::Value;

use crate::configuration::{Called, Configuration};
use crate::manifest::common;
use crate::options::{Module, Options, Place};

use crate::template::{Values, fill};
use crate::{Error, capabilities, stats};

const HEAD: &str = include_str!("../templates/envoy/bootstrap-head.yaml");
const BODY: &str = include_str!("../templates/envoy/bootstrap.yaml");
const PLUGIN: &str = include_str!("../templates/envoy/plugin.yaml");
const HTTP_FILTER: &str = include_str!("../templates/envoy/http-filter.yaml");
const ROUTE: &str = include_str!("../templates/envoy/route.yaml");
/// The cluster that modules are fetched from.
pub(crate) const MODULES: &str = "modules";

const CLUSTER: &str = include_str!("../templates/envoy/cluster.yaml");

/// A whole file for Envoy with these filters, in this order, in front of a backend for each route that they choose from.
///
/// # Errors
/// Where a cluster is called of which the options do not say where it is.
pub fn bootstrap(configurations: &[Configuration], options: &Options) -> Result<String, Error> {
    let first = configurations.first().ok_or_else(|| Error::Ambiguous(Vec::new()))?;
    let site = Site { listen: ("127.0.0.1", 10000), modules: "target/wasm", meshed: false };
    let head = fill(HEAD, &common(first, options))?;
    Ok(format!("{head}\n{}", body(configurations, options, &site)?))
}

/// Where an Envoy stands.
pub(crate) struct Site {
    /// What its listener listens on.
    pub(crate) listen: (&'static str, u16),
    /// The folder of its modules.
    pub(crate) modules: &'static str,
    /// Whether Linkerd's proxy takes its requests where a header says.
    pub(crate) meshed: bool,
}

/// The file without the comment that it begins with.
pub(crate) fn body(
    configurations: &[Configuration],
    options: &Options,
    site: &Site,
) -> Result<String, Error> {
    let mut http_filters = String::new();
    let mut called: Vec<Called> = Vec::new();
    let mut routes: Vec<String> = Vec::new();
    for configuration in configurations {
        http_filters.push_str(&item(&http_filter(configuration, options, site.modules)?)?);
        called.extend(configuration.clusters());
        routes.extend(configuration.routes());
    }
    // A header that a client wrote must not decide; where header-routing has taken it away, a rule may have written it.
    let (append_action, fate) = if routes.is_empty() {
        ("OVERWRITE_IF_EXISTS_OR_ADD", "overwritten")
    } else {
        ("ADD_IF_ABSENT", "gone by now, and what a rule of header-routing wrote stays")
    };
    if routes.is_empty() {
        routes.push("stable".to_owned());
    }
    called.sort_unstable();
    called.dedup();
    let (mut clusters, mut table) = (String::new(), Vec::new());
    for (number, route) in routes.iter().enumerate() {
        let place = backend_place(route, number, options, site)?;
        let destination = if site.meshed { place.to_string() } else { String::new() };
        table.push((route.as_str(), destination));
        clusters.push_str(&item(&cluster_at(route, &place, "backend")?)?);
    }
    for called in &called {
        clusters.push_str(&item(&cluster(called, options)?)?);
    }
    clusters.push_str(&modules_cluster(options)?);
    let telemetry: Vec<_> =
        configurations.iter().filter_map(|configuration| configuration.telemetry.as_ref()).collect();
    let values = Values::from([
        ("listen_host", site.listen.0.to_owned()),
        ("listen_port", site.listen.1.to_string()),
        ("stats", stats::envoy_stats(&telemetry)),
        ("http_filters", http_filters),
        ("routes", route_table(&table, append_action, fate)?),
        ("clusters", clusters),
    ]);
    Ok(fill(BODY, &values)?)
}

/// Where the backend of a route is: on a machine of one's own, on ports beside each other; in a mesh it must be said.
fn backend_place(route: &str, number: usize, options: &Options, site: &Site) -> Result<Place, Error> {
    if let Some(place) = options.clusters.get(route) {
        return Ok(place.clone());
    }
    if site.meshed {
        return Err(Error::NoPlace(route.to_owned()));
    }
    let port = 18081_u16.saturating_add(u16::try_from(number).unwrap_or(u16::MAX));
    Ok(Place { host: "127.0.0.1".to_owned(), port, tls: false })
}

/// Routes with what Linkerd's proxy is told. The first is the one for all others; each of these by what header-routing says.
fn route_table(routes: &[(&str, String)], append_action: &str, fate: &str) -> Result<String, Error> {
    let mut table = String::new();
    let Some((default, others)) = routes.split_first() else { return Ok(table) };
    if !others.is_empty() {
        table.push_str(
            "# Filter state rather than the header: no client can set it, whatever stands in front of the filter.\n",
        );
    }
    for (chosen, (route, destination)) in
        others.iter().map(|route| ("true", route)).chain(std::iter::once(("", default)))
    {
        let values = Values::from([
            ("route", (*route).to_owned()),
            ("chosen", chosen.to_owned()),
            ("destination", destination.clone()),
            ("append_action", append_action.to_owned()),
            ("fate", fate.to_owned()),
        ]);
        table.push_str(&fill(ROUTE, &values)?);
    }
    Ok(table)
}

/// The cluster that a module is fetched from, where it is.
fn modules_cluster(options: &Options) -> Result<String, Error> {
    let Some(Module::Http { url, .. }) = &options.module else { return Ok(String::new()) };
    let place = Place::of_url(url)
        .ok_or(Error::Module { form: options.form, expected: "an address of the kind https://HOST/PATH" })?;
    item(&cluster_at(MODULES, &place, "http")?)
}

fn item(text: &str) -> Result<String, Error> {
    Ok(fill("- {{item}}\n", &Values::from([("item", text.to_owned())]))?)
}

/// The HTTP filter, with the module in `folder` where the options do not say where it is.
pub(crate) fn http_filter(
    configuration: &Configuration,
    options: &Options,
    folder: &str,
) -> Result<String, Error> {
    let mut values = common(configuration, options);
    values.insert("code", code(configuration, options, folder)?);
    values.insert("environment", environment(configuration, options));
    values.insert(
        "capabilities",
        format!("{{{}}}", capabilities::mapping(configuration.filter(), "{}", false)),
    );
    values.insert("plugin", fill(PLUGIN, &values)?);
    Ok(fill(HTTP_FILTER, &values)?)
}

fn code(configuration: &Configuration, options: &Options, folder: &str) -> Result<String, Error> {
    let file = Module::File(format!("{folder}/{}", configuration.filter().module_file()));
    match options.module.as_ref().unwrap_or(&file) {
        Module::File(path) => Ok(format!("code: {{local: {{filename: {path}}}}}\n")),
        Module::Http { url, sha256 } => Ok(format!(
            "code:\n  remote:\n    # Nothing else than this module is ever loaded.\n    sha256: \"{sha256}\"\n    \
             http_uri: {{uri: \"{url}\", cluster: {MODULES}, timeout: 30s}}\n"
        )),
        Module::Image { .. } => Err(Error::Module {
            form: options.form,
            expected: "a file, or an address that begins with https:// or http://",
        }),
    }
}

fn environment(configuration: &Configuration, options: &Options) -> String {
    if configuration.variables().is_empty() {
        return String::new();
    }
    let here: Vec<String> = options
        .variables
        .iter()
        .map(|(name, value)| format!("{name}: {}", Value::from(value.as_str())))
        .collect();
    let there: Vec<&str> = configuration
        .variables()
        .iter()
        .filter(|name| !options.variables.contains_key(*name))
        .map(String::as_str)
        .collect();
    let mut words = Vec::new();
    if !here.is_empty() {
        words.push(format!("key_values: {{{}}}", here.join(", ")));
    }
    if !there.is_empty() {
        words.push(format!("host_env_keys: [{}]", there.join(", ")));
    }
    let in_earnest = if here.is_empty() {
        "# Secrets that must be known in the clear are read from the proxy's environment, never from the configuration.\n"
            .to_owned()
    } else {
        let names: Vec<&str> = options.variables.keys().map(String::as_str).collect();
        format!(
            "# Secrets that must be known in the clear are read from here, never from the configuration. In\n\
             # earnest: host_env_keys: [{}].\n",
            names.join(", ")
        )
    };
    format!("{in_earnest}environment_variables: {{{}}}\n", words.join(", "))
}

/// A cluster that a configuration calls.
pub(crate) fn cluster(called: &Called, options: &Options) -> Result<String, Error> {
    let place = options.clusters.get(&called.name).ok_or_else(|| Error::NoPlace(called.name.clone()))?;
    cluster_at(&called.name, place, if called.grpc { "grpc" } else { "http" })
}

fn cluster_at(name: &str, place: &Place, protocol: &str) -> Result<String, Error> {
    let flag = |on: bool| if on { "true" } else { "" }.to_owned();
    let values = Values::from([
        ("cluster", name.to_owned()),
        ("host", place.host.clone()),
        ("port", place.port.to_string()),
        ("address", flag(place.is_address())),
        ("grpc", flag(protocol == "grpc")),
        ("http", flag(protocol == "http")),
        ("backend", flag(protocol == "backend")),
        ("tls", flag(place.tls)),
    ]);
    Ok(fill(CLUSTER, &values)?)
}
