//! Debian's `rustc-web`, `cargo-web`, `rust-web-src` and `lld`: the set with which Debian builds browsers. A suite
//! always has them in one version, so this way does not rot. Unpacked below `target/tools`, with the libraries that the
//! machine lacks; nothing is installed and no root is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use crate::{paths, process, staging};

/// A complete set.
pub(super) struct Set {
    pub(super) version: String,
    pub(super) from: &'static str,
    pub(super) cargo: PathBuf,
    pub(super) rustc: PathBuf,
    pub(super) libraries: Option<PathBuf>,
    pub(super) source: PathBuf,
    pub(super) linker: PathBuf,
}

/// Finds or fetches the set.
pub(super) fn prepare() -> Result<Set> {
    if let Ok(set) = locate(Path::new("/usr"), "installed")
        && process::output(Command::new("dpkg-query").args(["--status", "rustc-web"])).is_ok()
    {
        return Ok(set);
    }
    let kept = paths::tools_dir().join("rustc-web");
    if let Ok(set) = locate(&kept.join("usr"), "unpacked") {
        return Ok(set);
    }
    let mut apt = Apt::of_this_machine()?;
    let lld = matching_lld(&apt)?;
    staging::replace_dir(&kept, |partial| {
        apt.unpack_with_libraries(&["rustc-web", "cargo-web", "rust-web-src", &lld], partial)
    })?;
    locate(&kept.join("usr"), "unpacked")
}

/// `lld-22`, where rustc-web is built on `libllvm22`: what one LLVM emitted, its own linker reads.
fn matching_lld(apt: &Apt) -> Result<String> {
    let needed = apt.all_dependencies("rustc-web")?;
    let llvm = needed.lines().find_map(|line| line.trim().strip_prefix("libllvm"));
    let number: String = llvm.unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    if number.is_empty() {
        bail!("this machine's apt sources have no rustc-web, or one that needs no libllvm");
    }
    Ok(format!("lld-{number}"))
}

fn locate(usr: &Path, from: &'static str) -> Result<Set> {
    let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
    let source = usr.join("lib/rustlib/src/rust/library");
    let folder = fs::read_dir(usr.join("lib"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu"));
    let libraries = if from == "unpacked" { folder } else { None };
    let mut ask = Command::new(&rustc);
    ask.arg("--version");
    if let Some(libraries) = &libraries {
        process::prepend(&mut ask, "LD_LIBRARY_PATH", libraries)?;
    }
    let version = process::output(&mut ask)?;
    let version = version.split_whitespace().nth(1).context("`rustc --version` names no version")?.to_owned();
    if !cargo.is_file() || !source.join("std/src/lib.rs").is_file() {
        bail!("{} or {} is missing", cargo.display(), source.display());
    }
    Ok(Set { version, from, cargo, rustc, libraries, source, linker: linker(usr)? })
}

/// The compiler asks for `rust-lld`, which tells from its name what it is; Debian's is called `lld-22`.
fn linker(usr: &Path) -> Result<PathBuf> {
    let lld = fs::read_dir(usr.join("bin"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wasm-ld-")));
    let lld = lld.context("LLVM's linker is missing beside Debian's compiler")?;
    let link = paths::tools_dir().join("debian-lld/wasm-ld");
    if fs::read_link(&link).ok().as_deref() != Some(lld.as_path()) {
        staging::replace_dir(&paths::tools_dir().join("debian-lld"), |partial| {
            symlink(&lld, partial.join("wasm-ld")).context("cannot link to Debian's lld")
        })?;
    }
    Ok(link)
}
