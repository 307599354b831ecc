//! The standard library's source, of exactly the compiler's version: another version's does not build with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::apt::Apt;
use super::network;
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
    debian(&version, &kept).map_err(|from_debian| match from_rustup {
        Err(from_rustup) => {
            anyhow!("no rust-src from rustup ({from_rustup:#}), and none from Debian ({from_debian:#})")
        }
        Ok(()) => from_debian,
    })
}

fn rustup(own: &Path) -> Result<()> {
    let rustup = process::on_path("rustup").context("rustup is not installed")?;
    let mut command = Command::new(rustup);
    command.current_dir(paths::repo_root()).args(["component", "add", "rust-src"]);
    command.env_remove("RUST_BACKTRACE");
    process::quietly("rustup component add rust-src", &mut command, Duration::from_secs(180))
        .map_err(|error| network::explain(error, "rustup's server", "rustup does not have it"))?;
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
    let (mut apt, found) =
        Apt::find(&["rust-src", "rust-web-src"], |candidate| is_of_version(candidate, version))?;
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

/// Whether a Debian version (`1.95.0+dfsg1-2~bpo13+1`) is of the compiler's: another version's source does not build.
fn is_of_version(debian: &str, version: &str) -> bool {
    debian.split(['+', '-']).next() == Some(version)
}

fn is_source(library: &Path) -> bool {
    library.join("std/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_source_of_exactly_the_compilers_version_will_do() {
        for debian in ["1.95.0+dfsg1-2~bpo13+1", "1.95.0-1"] {
            assert!(is_of_version(debian, "1.95.0"), "{debian}");
        }
        for debian in ["1.95.1+dfsg1-1", "1.95+dfsg1-1", "11.95.0-1", "1.95.0~beta.1+dfsg1-1", ""] {
            assert!(!is_of_version(debian, "1.95.0"), "{debian}");
        }
    }

    #[test]
    fn a_folder_is_source_with_std_and_its_lock_file() {
        let library = tempfile::tempdir().unwrap();
        fs::create_dir_all(library.path().join("std/src")).unwrap();
        fs::write(library.path().join("std/src/lib.rs"), "").unwrap();
        assert!(!is_source(library.path()), "build-std needs the lock file");
        fs::write(library.path().join("Cargo.lock"), "").unwrap();
        assert!(is_source(library.path()));
    }
}
