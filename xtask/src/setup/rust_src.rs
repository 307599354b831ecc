//! The standard library's source, of exactly the compiler's version: another version's does not build with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use super::wasm_std::{machine_rustc, sysroot};
use crate::{paths, process, staging};

/// The `library` folder and where it was had. `debian_only` skips what the compiler's folder and rustup offer.
pub(super) fn prepare(debian_only: bool) -> Result<(PathBuf, String)> {
    let version = version()?;
    let kept = paths::tools_dir().join(format!("rust-src-{version}"));
    if debian_only {
        return debian(&version, &kept);
    }
    let own = sysroot()?.join("lib/rustlib/src/rust/library");
    if is_source(&own) {
        return Ok((own, "beside the compiler".to_owned()));
    }
    let from_rustup = rustup(&own);
    if from_rustup.is_ok() {
        return Ok((own, "added by rustup".to_owned()));
    }
    let from_debian = debian(&version, &kept);
    from_debian.with_context(|| match from_rustup {
        Err(error) => format!("rustup has no rust-src ({:#})", error.root_cause()),
        Ok(()) => String::new(),
    })
}

fn rustup(own: &Path) -> Result<()> {
    let rustup = process::on_path("rustup").context("rustup is not installed")?;
    let mut command = Command::new(rustup);
    command.current_dir(paths::repo_root()).args(["component", "add", "rust-src"]);
    process::quietly("rustup component add rust-src", &mut command, Duration::from_secs(180))?;
    if !is_source(own) {
        bail!("`rustup component add rust-src` left nothing in {}", own.display());
    }
    Ok(())
}

fn debian(version: &str, kept: &Path) -> Result<(PathBuf, String)> {
    let library = kept.join("library");
    let note = kept.join("from.txt");
    if is_source(&library)
        && let Ok(from) = fs::read_to_string(&note)
    {
        return Ok((library, from));
    }
    let (mut apt, found) = Apt::find(&["rust-src", "rust-web-src"], |candidate| {
        candidate.split(['+', '-', '~']).next() == Some(version)
    })?;
    let from = format!("Debian's {} {}", found.package, found.version);
    staging::replace_dir(kept, |partial| {
        let unpacked = partial.join("unpacked");
        apt.unpack(&[format!("{}={}", found.package, found.version)], &unpacked)?;
        let source = unpacked.join(format!("usr/src/rustc-{version}/library"));
        fs::rename(&source, partial.join("library"))
            .with_context(|| format!("{} has no {}", found.package, source.display()))?;
        fs::remove_dir_all(&unpacked)?;
        fs::write(partial.join("from.txt"), &from)?;
        Ok(())
    })?;
    Ok((library, from))
}

/// `1.95.0`.
fn version() -> Result<String> {
    let text = machine_rustc()?;
    let version = text.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(version.context("`rustc -vV` names no release")?.to_owned())
}

fn is_source(library: &Path) -> bool {
    library.join("std/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}
