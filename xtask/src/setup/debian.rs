//! Debian's `rustc-web`, `cargo-web`, `rust-web-src` and `lld`: the set with which Debian builds browsers. A suite
//! always has them in one version, so this way does not rot. Unpacked below `target/tools`, with the libraries that the
//! machine lacks; nothing is installed and no root is needed.

use std::borrow::Cow;
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
    let number = llvm_number(&apt.all_dependencies("rustc-web")?);
    let number =
        number.context("this machine's apt sources have no rustc-web, or one that needs no libllvm")?;
    Ok(format!("lld-{number}"))
}

/// `22` out of a list of packages with `libllvm22` in it.
fn llvm_number(packages: &str) -> Option<String> {
    let rest = packages.lines().find_map(|line| line.trim().strip_prefix("libllvm"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn locate(usr: &Path, from: &'static str) -> Result<Set> {
    let Parts { cargo, rustc, libraries, source, lld } = Parts::below(usr)?;
    let libraries = if from == "unpacked" { libraries } else { None };
    let mut ask = Command::new(&rustc);
    ask.arg("--version");
    if let Some(libraries) = &libraries {
        process::prepend(&mut ask, "LD_LIBRARY_PATH", libraries)?;
    }
    let version = process::output(&mut ask)?;
    let version = version.split_whitespace().nth(1).context("`rustc --version` names no version")?.to_owned();
    Ok(Set { version, from, cargo, rustc, libraries, source, linker: linker(&lld)? })
}

/// What the packages hold.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    cargo: PathBuf,
    rustc: PathBuf,
    libraries: Option<PathBuf>,
    source: PathBuf,
    lld: PathBuf,
}

impl Parts {
    fn below(usr: &Path) -> Result<Parts> {
        let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
        let source = usr.join("lib/rustlib/src/rust/library");
        if let Some(missing) =
            [&cargo, &rustc, &source.join("std/src/lib.rs")].into_iter().find(|path| !path.is_file())
        {
            bail!("{} is missing", missing.display());
        }
        let libraries =
            entries(&usr.join("lib"))?.find(|path| path.is_dir() && name(path).ends_with("-linux-gnu"));
        let lld = entries(&usr.join("bin"))?.find(|path| name(path).starts_with("wasm-ld-"));
        let lld = lld.context("LLVM's linker is missing beside Debian's compiler")?;
        Ok(Parts { cargo, rustc, libraries, source, lld })
    }
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()))
}

fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// LLVM's linker tells from its name what it is asked to be; Debian's is called `wasm-ld-22`.
fn linker(lld: &Path) -> Result<PathBuf> {
    let folder = paths::tools_dir().join("debian-lld");
    let link = folder.join("wasm-ld");
    if fs::read_link(&link).ok().as_deref() != Some(lld) {
        staging::replace_dir(&folder, |partial| {
            symlink(lld, partial.join("wasm-ld")).context("cannot link to Debian's lld")
        })?;
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_is_of_the_compilers_llvm() {
        let packages = "rustc-web\n  libc6\n  libllvm22\n  libstd-rust-web-1.96\n";
        assert_eq!(llvm_number(packages).as_deref(), Some("22"));
        assert_eq!(llvm_number("rustc-web\n  libllvm\n"), None);
        assert_eq!(llvm_number("rustc-web\n"), None);
    }

    const SOURCE: &str = "lib/rustlib/src/rust/library/std/src/lib.rs";

    /// What the packages unpack to, without `missing`.
    fn unpacked(missing: &str) -> tempfile::TempDir {
        let usr = tempfile::tempdir().unwrap();
        let files =
            ["bin/rustc", "bin/cargo", "bin/wasm-ld-22", "lib/x86_64-linux-gnu/libLLVM.so.22", SOURCE];
        for file in files.into_iter().filter(|file| *file != missing) {
            let path = usr.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
        }
        usr
    }

    #[test]
    fn an_unpacked_set_is_found_with_its_libraries() {
        let usr = unpacked("");
        let expected = Parts {
            cargo: usr.path().join("bin/cargo"),
            rustc: usr.path().join("bin/rustc"),
            libraries: Some(usr.path().join("lib/x86_64-linux-gnu")),
            source: usr.path().join("lib/rustlib/src/rust/library"),
            lld: usr.path().join("bin/wasm-ld-22"),
        };
        assert_eq!(Parts::below(usr.path()).unwrap(), expected);
    }

    #[test]
    fn half_a_set_is_none() {
        for missing in ["bin/rustc", "bin/cargo", "bin/wasm-ld-22", SOURCE] {
            assert!(Parts::below(unpacked(missing).path()).is_err(), "without {missing}");
        }
    }
}
