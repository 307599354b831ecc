//! From a configuration and options to a manifest.

use crate::Error;
use crate::checks::check;
use crate::configuration::Configuration;
use crate::form::{Form, Host};
use crate::options::Options;
use crate::template::Values;
use crate::yaml::scalar;
use crate::{consul, envoy, envoy_gateway, istio, linkerd};

/// A manifest, and what its reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest.
    pub text: String,
    /// What will not work as the configuration says, and why.
    pub warnings: Vec<String>,
}

/// Puts a configuration into a manifest.
///
/// # Errors
/// Where the form cannot hold what the options say.
pub fn render(configuration: &Configuration, options: &Options) -> Result<Manifest, Error> {
    check(configuration, options)?;
    let text = match options.form.host() {
        Host::Envoy => envoy::bootstrap(std::slice::from_ref(configuration), options)?,
        Host::Istio => istio::render(configuration, options)?,
        Host::Consul => consul::render(configuration, options)?,
        Host::EnvoyGateway => envoy_gateway::render(configuration, options)?,
        Host::Linkerd => linkerd::render(configuration, options)?,
    };
    Ok(Manifest { text, warnings: warnings(configuration, options) })
}

/// What the plugin is called.
pub(crate) fn plugin_name(configuration: &Configuration, options: &Options) -> String {
    options.name.clone().unwrap_or_else(|| configuration.filter().name().to_owned())
}

/// What every template may use.
pub(crate) fn common(configuration: &Configuration, options: &Options) -> Values {
    let filter = configuration.filter();
    let about = match configuration.about.as_str() {
        "" => format!("Tidegate's filter {}.", filter.name()),
        about => about.to_owned(),
    };
    let namespace = options.namespace.clone().unwrap_or_else(|| {
        match options.form {
            form if form.is_gateway() => "istio-system",
            form if matches!(form.host(), Host::Istio | Host::Linkerd) => "shop",
            _ => "default",
        }
        .to_owned()
    });
    let name = plugin_name(configuration, options);
    Values::from([
        ("about", about),
        ("filter_name", format!("tidegate.{name}")),
        ("plugin_name", scalar(&name)),
        ("name", name),
        ("namespace", scalar(&namespace)),
        ("namespace_bare", namespace),
        ("notes", options.notes.clone()),
        ("file", options.file.clone().unwrap_or_else(|| "FILE".to_owned())),
        ("configuration", configuration.text.clone()),
        ("holds_bodies", if configuration.holds_bodies() { "true" } else { "" }.to_owned()),
    ])
}

fn warnings(configuration: &Configuration, options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    let host_decides_on_bodies = matches!(
        options.form,
        Form::WasmPlugin
            | Form::TrafficExtension
            | Form::ServiceInbound
            | Form::ServiceOutbound
            | Form::ServiceRemote
            | Form::ProxyDefaults
            | Form::ExtensionPolicyHttp
            | Form::ExtensionPolicyImage
    );
    if configuration.holds_bodies() && host_decides_on_bodies {
        warnings.push(format!(
            "a signature covers `body_sha256`, which needs allow_on_headers_stop_iteration; the form {} cannot say so, and \
             requests with such a body wait until a timeout ends them",
            options.form.name()
        ));
    }
    if options.form == Form::LinkerdMesh && configuration.trusted_hops() < 2 {
        for limit in configuration.limits_by_address() {
            warnings.push(format!(
                "the limit `{limit}` counts by `source`, and behind linkerd-proxy every request comes from loopback: all \
                 clients would share one count. Count by an identity (`principal`), or say with client_address: \
                 {{trusted_hops: N}} how many entries of X-Forwarded-For proxies of your own have added, this Envoy's (which is \
                 loopback) among them: two at least"
            ));
        }
    }
    warnings
}
