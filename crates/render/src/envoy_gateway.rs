//! Envoy Gateway: `EnvoyExtensionPolicy`, and `EnvoyPatchPolicy` for what that cannot say.

use crate::Error;
use crate::configuration::Configuration;
use crate::envoy;
use crate::filter::Filter;
use crate::form::Form;
use crate::istio::MODULE_FOLDER;
use crate::manifest::common;
use crate::options::{Module, Options};
use crate::template::{Values, fill};
use crate::yaml::scalar;

const EXTENSION_POLICY: &str = include_str!("../templates/envoy-gateway/extension-policy.yaml");
const PATCH_POLICY: &str = include_str!("../templates/envoy-gateway/patch-policy.yaml");
const CLUSTER_POLICY: &str = include_str!("../templates/envoy-gateway/cluster-policy.yaml");
const CLUSTER_PATCH: &str = include_str!("../templates/envoy-gateway/cluster-patch.yaml");
pub(crate) const GATEWAY: &str = include_str!("../templates/envoy-gateway/gateway.yaml");

pub(crate) fn render(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let mut values = common(configuration, options);
    values.extend([
        ("gateway_name", "eg".to_owned()),
        ("route", scalar(options.workload.values().next().map_or("shop", String::as_str))),
        ("patch_priority", patch_priority(configuration.filter()).to_string()),
        ("cluster_patches", cluster_patches(configuration, options)?),
    ]);
    if options.form == Form::PatchPolicy {
        values.insert("http_filter", envoy::http_filter(configuration, options, MODULE_FOLDER)?);
        return Ok(fill(PATCH_POLICY, &values)?);
    }
    let (fail_open, failure_why) = if configuration.filter().must_decide() {
        (
            "false",
            "A filter that cannot run refuses: true would let requests through undecided, also where the\nconfiguration is refused.",
        )
    } else {
        ("true", "Requests pass unmeasured where the filter cannot run: no reason to refuse them.")
    };
    let has_clusters = !configuration.clusters().is_empty();
    values.extend([
        ("code", code(configuration, options)?),
        ("environment", environment(configuration)),
        ("fail_open", fail_open.to_owned()),
        ("failure_why", failure_why.to_owned()),
        ("cluster_policies", if has_clusters { fill(CLUSTER_POLICY, &values)? } else { String::new() }),
    ]);
    Ok(fill(EXTENSION_POLICY, &values)?)
}

/// Patches put their filter first: the lower is applied first, and stands further behind.
fn patch_priority(filter: Filter) -> u32 {
    match filter {
        Filter::HeaderRouting => 10,
        Filter::RateLimit => 20,
        Filter::Auth => 30,
        Filter::Telemetry | Filter::Suite => 40,
    }
}

fn code(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let filter = configuration.filter();
    let default = if options.form == Form::ExtensionPolicyImage {
        Module::at(&format!("oci://registry.example.com/tidegate/{}:0.1.0", filter.name()), None)
    } else {
        Module::at(&format!("https://modules.example.com/{}", filter.module_file()), None)
    };
    match (options.module.as_ref().unwrap_or(&default), options.form) {
        (Module::Http { url, sha256 }, Form::ExtensionPolicyHttp) => Ok(format!(
            "code:\n  type: HTTP\n  http:\n    url: {}\n    \
             # Nothing else than the module of this digest is loaded. Render with --sha256 for yours.\n    sha256: \"{sha256}\"\n",
            scalar(url)
        )),
        (Module::Image { reference, sha256 }, Form::ExtensionPolicyImage) => Ok(format!(
            "code:\n  type: Image\n  image:\n    # One layer of tar+gzip that holds plugin.wasm.\n    url: {}\n    \
             # The digest of the image: nothing else is loaded, whatever the registry has. Render with --sha256 for yours.\n    \
             sha256: \"{sha256}\"\n  \
             # What has this digest never changes.\n  pullPolicy: IfNotPresent\n",
            scalar(reference)
        )),
        (_, Form::ExtensionPolicyHttp) => Err(Error::Module {
            form: options.form,
            expected: "an address that begins with http:// or https://",
        }),
        _ => Err(Error::Module { form: options.form, expected: "an image, oci://…" }),
    }
}

fn environment(configuration: &Configuration) -> String {
    if configuration.variables().is_empty() {
        return String::new();
    }
    format!(
        "# Secrets that must be known in the clear are read from the proxy's environment (EnvoyProxy, provider.kubernetes.\n\
         # envoyDeployment.container.env), never from the configuration.\nenv: {{hostKeys: [{}]}}\n",
        configuration.variables().iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")
    )
}

fn cluster_patches(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let mut patches = String::new();
    for called in configuration.clusters() {
        let values = Values::from([
            ("cluster_name", scalar(&called.name)),
            ("cluster", envoy::cluster(&called, options)?),
        ]);
        patches.push_str(&fill(CLUSTER_PATCH, &values)?);
    }
    // An extension policy's module is fetched by Envoy Gateway, a patch's by Envoy itself, which finds servers by clusters only.
    if options.form == Form::PatchPolicy
        && let Some(cluster) = envoy::modules_cluster(options)?
    {
        let values = Values::from([("cluster_name", envoy::MODULES.to_owned()), ("cluster", cluster)]);
        patches.push_str(&fill(CLUSTER_PATCH, &values)?);
    }
    Ok(patches)
}
