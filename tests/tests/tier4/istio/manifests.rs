//! Every manifest is one that Istio takes: by the schemas of its custom resources, by its webhook, and by `istioctl`.

use std::path::{Path, PathBuf};

use e2e::companions::istio::{self, Istio};
use e2e::tools;
use libtest_mimic::{Failed, Trial};

use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        needing(&["istio-discovery"], "istio::manifests::match_the_schemas", match_the_schemas),
        needing(&["istio-discovery"], "istio::manifests::pass_the_webhook", pass_the_webhook),
        needing(&["istioctl"], "istio::manifests::istioctl_has_nothing_to_say", istioctl),
        needing(&["istio-discovery"], "istio::manifests::a_broken_one_is_told", broken_by_schema),
        needing(&["istioctl"], "istio::manifests::istioctl_tells_a_broken_one", broken_by_istioctl),
    ]
}

/// All of them, in the order of their names.
fn all() -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    collect(&tools::repo_root().join("envoy-config/istio"), &mut found)?;
    found.sort_unstable();
    if found.len() < 30 {
        return Err(format!("no more than {} manifests were found", found.len()).into());
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failed> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml")
            // Values for Helm: no resource of Istio's.
            && path.file_name().is_some_and(|name| name != "stats.yaml")
        {
            found.push(path);
        }
    }
    Ok(())
}

fn match_the_schemas() -> Result<(), Failed> {
    Ok(istio::validate(&all()?)?)
}

/// The webhook looks inside of what the schemas leave open: names of filters, URLs, the patches of an EnvoyFilter.
fn pass_the_webhook() -> Result<(), Failed> {
    let istio = Istio::start()?;
    for file in all()? {
        let text = std::fs::read_to_string(&file)?;
        istio.apply(&text).map_err(|error| format!("{}: {error:#}", file.display()))?;
    }
    Ok(())
}

/// What both say of every EnvoyFilter there is.
const OF_EVERY_ENVOY_FILTER: &str =
    "EnvoyFilter exposes internal implementation details that may change at any time.";

/// Warnings count: an unknown field inside of an EnvoyFilter's `typed_config` is no more than that to it.
fn istioctl() -> Result<(), Failed> {
    let files = all()?;
    let mut arguments = vec!["validate".to_owned()];
    for file in &files {
        arguments.extend(["-f".to_owned(), file.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let validated = istio::istioctl(&arguments, &[])?;
    let analyzed = istio::istioctl(&["analyze", "-A", "--use-kube=false"], &files)?;
    for line in validated.lines().chain(analyzed.lines()) {
        let expected = line.trim().is_empty()
            || line.contains(OF_EVERY_ENVOY_FILTER)
            || line.ends_with(" is valid")
            || line.contains(" warning")
            || line.starts_with("✔ No validation issues found");
        if !expected {
            return Err(line.into());
        }
    }
    Ok(())
}

/// A change that makes a manifest wrong, and what is said of it.
struct Broken {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// By the schemas.
    schema: &'static str,
    /// By `istioctl validate`, which does not know all the rules that the schemas have.
    istioctl: Option<&'static str>,
}

const BROKEN: [Broken; 6] = [
    Broken {
        file: "auth/wasmplugin.yaml",
        from: "phase: AUTHN",
        to: "phase: FIRST",
        schema: "spec.phase: Unsupported value: \"FIRST\"",
        istioctl: Some("unknown value \"\\\"FIRST\\\"\" for enum istio.extensions.v1alpha1.PluginPhase"),
    },
    Broken {
        file: "auth/wasmplugin.yaml",
        from: "failStrategy:",
        to: "failurePolicy:",
        schema: "unknown fields [spec.failurePolicy]",
        istioctl: Some("unknown field \"failurePolicy\""),
    },
    Broken {
        file: "rate-limit/trafficextension.yaml",
        from: "    sha256: \"0",
        to: "    sha256: \"",
        schema: "spec.wasm.sha256",
        istioctl: Some("sha256"),
    },
    Broken {
        file: "rate-limit/trafficextension.yaml",
        from: "  wasm:",
        to: "  lua: {inlineCode: \"x\"}\n  wasm:",
        schema: "\"spec\" must validate one and only one schema (oneOf)",
        istioctl: None,
    },
    Broken {
        file: "suite/envoyfilter-inline-gateway.yaml",
        from: "applyTo: HTTP_FILTER",
        to: "applyTo: FILTER",
        schema: "applyTo: Unsupported value: \"FILTER\"",
        istioctl: Some("unknown value"),
    },
    Broken {
        file: "suite/envoyfilter-ecds-inbound.yaml",
        from: "  priority: 10",
        to: "  priority: first",
        schema: "spec.priority",
        istioctl: Some("cannot parse proto message"),
    },
];

impl Broken {
    fn write(&self, folder: &Path) -> Result<PathBuf, Failed> {
        let file = tools::repo_root().join("envoy-config/istio").join(self.file);
        let text = std::fs::read_to_string(&file)?;
        if !text.contains(self.from) {
            return Err(format!("{} has no {:?}", self.file, self.from).into());
        }
        let broken = folder.join("broken.yaml");
        std::fs::write(&broken, text.replacen(self.from, self.to, 1))?;
        Ok(broken)
    }
}

fn broken_by_schema() -> Result<(), Failed> {
    each_broken(|file| istio::validate(&[file]), |broken| Some(broken.schema))
}

fn broken_by_istioctl() -> Result<(), Failed> {
    let validate =
        |file: PathBuf| istio::istioctl(&["validate", "-f", &file.display().to_string()], &[]).map(drop);
    each_broken(validate, |broken| broken.istioctl)
}

fn each_broken(
    validate: impl Fn(PathBuf) -> anyhow::Result<()>,
    said: impl Fn(&Broken) -> Option<&'static str>,
) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut unexpected = Vec::new();
    for broken in &BROKEN {
        let Some(expected) = said(broken) else { continue };
        match validate(broken.write(folder.path())?) {
            Ok(()) => unexpected.push(format!("{}: {:?} was accepted", broken.file, broken.to)),
            Err(error) if format!("{error:#}").contains(expected) => {}
            Err(error) => unexpected.push(format!("{}: expected {expected:?}, seen {error:#}", broken.file)),
        }
    }
    if unexpected.is_empty() { Ok(()) } else { Err(unexpected.join("\n").into()) }
}
