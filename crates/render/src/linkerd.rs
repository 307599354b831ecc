//! Linkerd: its own proxy runs no Wasm, so the filters run in an Envoy that it meshes.

use crate::Error;
use crate::configuration::Configuration;
use crate::envoy::{self, Site};
use crate::form::Form;
use crate::manifest::common;
use crate::options::{Module, Options};
use crate::template::{Values, fill};

const ENVOY: &str = include_str!("../templates/linkerd/envoy.yaml");
const VARIABLE: &str = include_str!("../templates/linkerd/variable.yaml");

pub(crate) fn render(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let site = Site { listen: ("0.0.0.0", 8080), modules: "/var/lib/tidegate", meshed: true };
    let image = image(configuration, options)?;
    // In the image's only layer the module has this name, whichever filter it is.
    let options =
        Options { module: Some(Module::File("/var/lib/tidegate/plugin.wasm".to_owned())), ..options.clone() };
    let body = envoy::body(std::slice::from_ref(configuration), &options, &site)?;
    let public = options.form == Form::LinkerdPublic;
    let mut values = common(configuration, &options);
    let mut variables = String::new();
    for name in configuration.variables() {
        let secret = values.get("name").cloned().unwrap_or_default();
        variables.push_str(&fill(VARIABLE, &Values::from([("variable", name.clone()), ("name", secret)]))?);
    }
    values.extend([
        ("image", image),
        ("bootstrap", body),
        ("variables", variables),
        ("public", if public { "true" } else { "" }.to_owned()),
    ]);
    Ok(fill(ENVOY, &values)?)
}

fn image(configuration: &Configuration, options: &Options) -> Result<String, Error> {
    let default = Module::at(
        &format!("oci://registry.example.com/tidegate/{}:0.1.0", configuration.filter().name()),
        None,
    );
    match options.module.as_ref().unwrap_or(&default) {
        Module::Image { reference, sha256 } => Ok(format!("{reference}@sha256:{sha256}")),
        _ => Err(Error::Module { form: options.form, expected: "an image, oci://…" }),
    }
}
