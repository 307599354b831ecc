//! Envoy with a file of its own; what it shares with hosts that hand Envoy's own messages on.

use crate::configuration::{Called, Configuration};
use crate::manifest::common;
use crate::options::{Module, Options, Place};

use crate::template::{Values, fill};
use crate::{Error, capabilities, stats};

const BOOTSTRAP: &str = include_str!("../templates/envoy/bootstrap.yaml");
const PLUGIN: &str = include_str!("../templates/envoy/plugin.yaml");
const HTTP_FILTER: &str = include_str!("../templates/envoy/http-filter.yaml");
const ROUTE: &str = include_str!("../templates/envoy/route.yaml");
const CLUSTER: &str = include_str!("../templates/envoy/cluster.yaml");

/// A whole file for Envoy with these filters, in this order, in front of a backend for each route that they choose from.
///
/// # Errors
/// Where a cluster is called of which the options do not say where it is.
pub fn bootstrap(configurations: &[Configuration], options: &Options) -> Result<String, Error> {
    let (Some(first), mut http_filters) = (configurations.first(), String::new()) else {
        return Err(Error::Ambiguous(Vec::new()));
    };
    let mut values = common(first, options);
    let mut called: Vec<Called> = Vec::new();
    let mut routes: Vec<String> = Vec::new();
    for configuration in configurations {
        let filter = http_filter(configuration, options, "target/wasm")?;
        http_filters.push_str(&fill("- {{item}}\n", &Values::from([("item", filter)]))?);
        called.extend(configuration.clusters());
        routes.extend(configuration.routes());
    }
    if routes.is_empty() {
        routes.push("stable".to_owned());
    }
    called.sort_unstable();
    called.dedup();
    let mut clusters = String::new();
    for (number, route) in routes.iter().enumerate() {
        let place = options.clusters.get(route).cloned().unwrap_or_else(|| Place {
            host: "127.0.0.1".to_owned(),
            port: 18081_u16.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)),
            tls: false,
        });
        clusters.push_str(&item(&backend(route, &place)?)?);
    }
    for called in &called {
        clusters.push_str(&item(&cluster(called, options)?)?);
    }
    let telemetry: Vec<_> =
        configurations.iter().filter_map(|configuration| configuration.telemetry.as_ref()).collect();
    values.extend([
        ("stats", stats::envoy_stats(&telemetry)),
        ("http_filters", http_filters),
        ("routes", route_table(&routes)?),
        ("clusters", clusters),
    ]);
    Ok(fill(BOOTSTRAP, &values)?)
}

/// The first route is the one for all others; each of these by what header-routing says.
fn route_table(routes: &[String]) -> Result<String, Error> {
    let mut table = String::new();
    if let Some((default, others)) = routes.split_first() {
        if !others.is_empty() {
            table.push_str(
                "# Filter state rather than the header: no client can set it, whatever stands in front of the filter.\n",
            );
        }
        for route in others {
            table.push_str(&fill(ROUTE, &Values::from([("route", route.clone())]))?);
        }
        table.push_str(&fill(
            "- name: {{route}}\n  match: {prefix: /}\n  route: {cluster: {{route}}}\n",
            &Values::from([("route", default.clone())]),
        )?);
    }
    Ok(table)
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
             http_uri: {{uri: \"{url}\", cluster: modules, timeout: 30s}}\n"
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
    let here: Vec<String> =
        options.variables.iter().map(|(name, value)| format!("{name}: {value}")).collect();
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

fn backend(name: &str, place: &Place) -> Result<String, Error> {
    cluster_at(name, place, "backend")
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
