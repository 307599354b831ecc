//! Whether what a manifest is made for can stand in it, and would not be passed over.

use crate::Error;
use crate::configuration::Configuration;
use crate::form::{Form, Host};
use crate::manifest::plugin_name;
use crate::options::{Module, Options};

const NAME: &str = "1 to 40 lower-case letters, digits and \"-\"";

/// All that is wrong with options: what would end a text in a manifest or begin another, what the form has no place for
/// (whoever said it would believe that it holds), and clusters of which nobody has said where they are.
pub(crate) fn check(configuration: &Configuration, options: &Options) -> Result<(), Error> {
    let mut errors = Vec::new();
    texts(configuration, options, &mut errors);
    module(options, &mut errors);
    variables(configuration, options, &mut errors);
    passed_over(options, &mut errors);
    for cluster in called(configuration, options.form) {
        if !options.clusters.contains_key(&cluster) {
            errors.push(Error::NoPlace(cluster));
        }
    }
    if options.form == Form::LinkerdPublic && configuration.trusts_client_ids() {
        errors.push(bad(
            "l5d_client_id",
            "the form mesh: with public no request comes from Linkerd's proxy, and the header says what a caller wrote",
            "public",
        ));
    }
    match errors.len() {
        0 => Ok(()),
        1 => errors.pop().map_or(Ok(()), Err),
        _ => Err(Error::Several(errors)),
    }
}

fn bad(what: &'static str, expected: &'static str, found: &str) -> Error {
    Error::BadOption { what, expected, found: found.to_owned() }
}

fn texts(configuration: &Configuration, options: &Options, errors: &mut Vec<Error>) {
    let name = plugin_name(configuration, options);
    for (what, name) in [("the name", Some(&name)), ("the namespace", options.namespace.as_ref())] {
        if let Some(name) = name.filter(|name| !is_name(name)) {
            errors.push(bad(what, NAME, name));
        }
    }
    let label = |text: &String| {
        text.len() <= 253 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    for (key, value) in &options.workload {
        if key.is_empty() || !label(key) || !label(value) {
            errors.push(bad("the workload", "letters, digits and \"-_./\"", &format!("{key}={value}")));
        }
    }
}

fn is_name(name: &str) -> bool {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=40).contains(&name.len()) && name.chars().all(usable) && name.trim_matches('-').len() == name.len()
}

fn module(options: &Options, errors: &mut Vec<Error>) {
    let (place, sha256) = match &options.module {
        None => return,
        Some(Module::File(path)) => (path.as_str(), None),
        Some(Module::Http { url: place, sha256 } | Module::Image { reference: place, sha256 }) => {
            (place.as_str(), Some(sha256.as_str()))
        }
    };
    if place.is_empty() || place.chars().any(|c| !c.is_ascii_graphic() || "\"'\\{}[]#,".contains(c)) {
        let expected = "a path or an address without spaces, quotation marks and brackets";
        errors.push(bad("the module", expected, place));
    }
    if let Some(module @ Module::Http { url, .. }) = &options.module
        && module.server().is_none()
    {
        errors.push(bad("the module", "http:// or https://, a host, perhaps a port, and a path", url));
    }
    if let Some(sha256) = sha256.filter(|sha256| !is_digest(sha256)) {
        errors.push(bad("the module's digest", "64 hexadecimal digits", sha256));
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn variables(configuration: &Configuration, options: &Options, errors: &mut Vec<Error>) {
    for (name, value) in &options.variables {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            errors.push(bad("a variable", "letters, digits and \"_\"", name));
        } else if !configuration.variables().contains(name) {
            errors.push(bad("a variable", "one that the configuration reads a secret from", name));
        }
        // Of a secret the value is no part of an error. Consul's language would take `${` for the start of an expression.
        if value.chars().any(char::is_control) || value.contains("${") {
            errors.push(bad("a variable's value", "a text without controls and `${`", "one with them"));
        }
    }
}

/// What the form has no word for.
fn passed_over(options: &Options, errors: &mut Vec<Error>) {
    let (form, host) = (options.form, options.form.host());
    if let Some(namespace) = options.namespace.as_ref().filter(|_| matches!(host, Host::Envoy | Host::Consul))
    {
        errors.push(bad("the namespace", "none: manifests of this host have no namespace", namespace));
    }
    if matches!(host, Host::EnvoyGateway | Host::Linkerd) && !options.variables.is_empty() {
        let names: Vec<&str> = options.variables.keys().map(String::as_str).collect();
        let expected = "none: manifests of this host take secrets from the proxy's environment only";
        errors.push(bad("a variable", expected, &names.join(", ")));
    }
    let (key, expected) = match (form, host) {
        (_, Host::Istio) => return,
        (Form::ProxyDefaults | Form::PatchPolicy, _) | (_, Host::Envoy | Host::Linkerd) => {
            (None, "none: the form selects no workload")
        }
        (_, Host::Consul) => (Some("service"), "one service=NAME"),
        (_, Host::EnvoyGateway) => (Some("route"), "one route=NAME"),
    };
    let others = options.workload.iter().filter(|(given, _)| Some(given.as_str()) != key);
    errors.extend(others.map(|(given, value)| bad("the workload", expected, &format!("{given}={value}"))));
}

/// The clusters of which a form says where they are.
fn called(configuration: &Configuration, form: Form) -> Vec<String> {
    let told = matches!(form.host(), Host::Envoy | Host::EnvoyGateway | Host::Linkerd)
        || matches!(form, Form::Clusters | Form::ProxyDefaults);
    let mut names = Vec::new();
    if form.host() == Host::Linkerd {
        names = configuration.routes();
        if names.is_empty() {
            names.push("stable".to_owned());
        }
    }
    if told {
        names.extend(configuration.clusters().into_iter().map(|called| called.name));
    }
    names.dedup();
    names
}
