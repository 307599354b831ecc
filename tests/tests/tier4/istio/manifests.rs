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
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
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

/// Warnings count: an unknown field inside of an EnvoyFilter's `typed_config` is no more than that to it.
fn istioctl() -> Result<(), Failed> {
    for file in all()? {
        let name = file.display().to_string();
        let said = istio::istioctl(&["validate", "-f", &name], &[])?;
        if said.trim() != format!("{name:?} is valid") {
            return Err(said.into());
        }
        let said = istio::istioctl(&["analyze", "-A", "--use-kube=false", &name], &[])?;
        if !said.starts_with("✔ No validation issues found") {
            return Err(format!("{name}: {said}").into());
        }
    }
    Ok(())
}
