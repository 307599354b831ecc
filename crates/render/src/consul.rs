//! Consul Connect: `builtin/wasm` in `service-defaults` and `proxy-defaults`.

use serde_json::Value;

use crate::configuration::Configuration;
use crate::envoy;
use crate::form::Form;
use crate::istio::MODULE_FOLDER;
use crate::manifest::common;
use crate::options::{Module, Options};
use crate::template::{Values, fill};
use crate::{Error, capabilities, json};

const EXTENSION: &str = include_str!("../templates/consul/extension.hcl");
const SERVICE: &str = include_str!("../templates/consul/service-defaults.hcl");
const PROXY: &str = include_str!("../templates/consul/proxy-defaults.hcl");

pub(crate) fn render(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let outbound = options.form == Form::ServiceOutbound;
    let (required, required_why) = if configuration.filter().must_decide() {
        (
            "true",
            "Where the filter cannot be put in or has trapped, requests are refused. Consul's word for failing open is that\nan extension is not required.",
        )
    } else {
        ("false", "Requests pass unmeasured where the filter cannot run: no reason to refuse them.")
    };
    let direction_why = if outbound {
        "For what the service sends to others. Consul puts the filter before the router of each upstream's listener: one\nthat speaks TCP would have none, and then Consul sends this sidecar nothing any more."
    } else {
        "For what others send to the service. Intentions come first: who they deny never reaches the filter."
    };
    let mut values = common(configuration, options);
    values.extend([
        ("service", options.workload.values().next().cloned().unwrap_or_else(|| "web".to_owned())),
        ("direction", if outbound { "outbound" } else { "inbound" }.to_owned()),
        ("direction_why", direction_why.to_owned()),
        ("required", required.to_owned()),
        ("required_why", required_why.to_owned()),
        ("code", code(configuration, options)?),
        ("environment", environment(configuration, options)),
        ("capabilities", capabilities::mapping(configuration.filter(), "{}", true)),
        ("configuration", configuration.json()),
    ]);
    values.insert("extension", fill(EXTENSION, &values)?);
    if options.form == Form::ProxyDefaults {
        values.insert("static_clusters", static_clusters(configuration, options)?);
        return Ok(fill(PROXY, &values)?);
    }
    let called = configuration.clusters();
    if !called.is_empty() {
        let names: Vec<&str> = called.iter().map(|called| called.name.as_str()).collect();
        let notes = format!(
            "It calls {}: name there a cluster of Consul's (`NAME.default.dc1.internal.TRUST-DOMAIN.consul`, for an upstream of\n\
             the service), or add one of your own to proxy-defaults, as the proxy-defaults form of this does.",
            names.join(" and ")
        );
        let notes = [options.notes.as_str(), notes.as_str()].join("\n");
        values.insert("notes", notes.trim().to_owned());
    }
    Ok(fill(SERVICE, &values)?)
}

fn code(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let file = configuration.filter().module_file();
    let default = if options.form == Form::ServiceRemote {
        Module::at(&format!("http://modules.service.consul/{file}"), None)
    } else {
        Module::File(format!("{MODULE_FOLDER}/{file}"))
    };
    match options.module.as_ref().unwrap_or(&default) {
        Module::File(path) if options.form != Form::ServiceRemote => {
            Ok(format!("Code = {{ Local = {{ Filename = \"{path}\" }} }}\n"))
        }
        Module::Http { url, sha256 } => Ok(format!(
            "Code = {{\n  Remote = {{\n    # The service `modules` must be an upstream of this one.\n    \
             HttpURI = {{ Service = {{ Name = \"modules\" }}, URI = \"{url}\", Timeout = \"30s\" }}\n    \
             # Nothing else than the module of this digest is loaded. Render with --sha256 for yours.\n    \
             SHA256      = \"{sha256}\"\n    \
             # The upstream's sidecar may come up later than this one.\n    \
             RetryPolicy = {{ NumRetries = 10 }}\n  }}\n}}\n"
        )),
        _ => {
            let expected = if options.form == Form::ServiceRemote {
                "an address that begins with http:// or https://"
            } else {
                "a file, or an address that begins with http:// or https://"
            };
            Err(Error::Module { form: options.form, expected })
        }
    }
}

fn environment(configuration: &Configuration, options: &Options) -> String {
    if configuration.variables().is_empty() {
        return String::new();
    }
    let mut quoted: Vec<String> = configuration
        .variables()
        .iter()
        .filter(|name| !options.variables.contains_key(*name))
        .map(|name| format!("\"{name}\""))
        .collect();
    let given: Vec<String> = options
        .variables
        .iter()
        .map(|(name, value)| format!("{name} = {}", Value::from(value.as_str())))
        .collect();
    let mut words = Vec::new();
    let mut note = "";
    if let [_] = quoted.as_slice() {
        quoted.push("\"UNSET\"".to_owned());
        note = "# Consul 1.22 takes a list of one text for the text itself and refuses it, hence a name that nothing has.\n";
    }
    if !quoted.is_empty() {
        words.push(format!("HostEnvKeys = [{}]", quoted.join(", ")));
    }
    if !given.is_empty() {
        words.push(format!("KeyValues = {{ {} }}", given.join(", ")));
    }
    format!(
        "# Secrets that must be known in the clear are read from the sidecar's environment, never from the configuration.\n\
         {note}EnvironmentVariables = {{ {} }}\n",
        words.join(", ")
    )
}

/// Clusters that every sidecar gets in its bootstrap, as JSON.
fn static_clusters(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let called = configuration.clusters();
    if called.is_empty() {
        return Ok(String::new());
    }
    let mut all = Vec::new();
    for called in &called {
        let yaml = envoy::cluster(called, options)?;
        let value: serde_json::Value =
            serde_saphyr::from_str(&yaml).map_err(|error| Error::Unreadable(error.to_string()))?;
        all.push(json::shown(&value));
    }
    let values = Values::from([("clusters", all.join(",\n"))]);
    Ok(fill(
        "# Sidecars have them in their bootstrap: restart those that run.\n\
         envoy_extra_static_clusters_json = <<-EOF\n  {{clusters}}\nEOF\n",
        &values,
    )?)
}
