//! The standard library for wasm32-unknown-unknown, by the first way that works. Three ways stay because machines exist
//! where only one of them does: rustup's server out of reach, no rustup at all, no matching source.
//!
//! The choice is kept in `target/tools/wasm-std.json`; [`WasmStd::cargo`] is what every wasm32 build goes through.

mod choice;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use self::choice::{Choice, Recorded};
use super::{debian, linker, network, rust_src};
use crate::{paths, process, staging, workspace};

/// The only target that modules and wasm tests are built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A way to the standard library.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Via {
    /// The first of the others that works.
    Auto,
    /// The target is in the compiler's own folder already, or rustup adds it.
    Rustup,
    /// Built from the compiler's own source: in its folder already, from rustup, or from Debian's package.
    RustSrc,
    /// As `rust-src`, with Debian's package of exactly the compiler's version only.
    RustSrcDebian,
    /// Debian's own compiler, cargo, source and linker, unpacked below `target/tools`; nothing is installed.
    Distro,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it is written behind `--via`.
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// How to build for wasm32.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WasmStd {
    via: Via,
    /// One line for people.
    how: String,
    /// Whether the user asked for this way by name.
    forced: bool,
    /// `rustc -vV` of the machine's compiler when this was decided.
    machine_rustc: String,
    /// What must still be there for the choice to hold.
    needs: Vec<PathBuf>,
    /// A cargo other than the machine's.
    cargo: Option<PathBuf>,
    /// A compiler other than the machine's.
    rustc: Option<PathBuf>,
    /// Shared libraries of that cargo and compiler.
    libraries: Option<PathBuf>,
    /// The standard library's source, where it has to be built with the module.
    source: Option<PathBuf>,
    /// A linker, where the compiler comes without.
    linker: Option<PathBuf>,
}

impl fmt::Display for WasmStd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)?;
        if self.forced {
            f.write_str(" (asked for; `cargo xtask setup --via auto` chooses again)")?;
        }
        Ok(())
    }
}

impl WasmStd {
    /// The recorded choice if it still holds, else a new one. `via` asks for a certain way.
    pub(crate) fn prepare(via: Option<Via>) -> Result<WasmStd> {
        let recorded = read_record();
        let holds = match &recorded {
            Some(found) => found.holds(&machine_rustc()?),
            None => false,
        };
        let about = recorded.as_ref().map(|found| Recorded { via: found.via, forced: found.forced, holds });
        let found = match (choice::choose(via, about), recorded) {
            (Choice::Keep, Some(found)) => return Ok(found),
            (Choice::Take(way), _) => WasmStd { forced: true, ..WasmStd::take(way)? },
            (Choice::First | Choice::Keep, _) => choice::first(WasmStd::take)?,
        };
        let text = serde_json::to_vec_pretty(&found)?;
        staging::write_file(&state_file(), &text)?;
        Ok(found)
    }

    /// The recorded choice, if it still holds.
    pub(crate) fn find() -> Result<Option<WasmStd>> {
        let Some(found) = read_record() else { return Ok(None) };
        Ok(found.holds(&machine_rustc()?).then_some(found))
    }

    /// The way, and whether the user asked for it.
    pub(crate) fn is_forced_to(&self, via: Via) -> bool {
        self.forced && self.via == via
    }

    fn holds(&self, machine_rustc: &str) -> bool {
        self.machine_rustc == machine_rustc && self.needs.iter().all(|path| path.exists())
    }

    fn take(way: Via) -> Result<WasmStd> {
        let mut found = match way {
            Via::Auto => return choice::first(WasmStd::take),
            Via::Rustup => return rustup(),
            Via::RustSrc | Via::RustSrcDebian => {
                let (source, from) = rust_src::prepare(way == Via::RustSrcDebian)?;
                let how = format!("built with each module from rust-src ({from})");
                WasmStd { source: Some(source.clone()), needs: vec![source], ..WasmStd::plain(way, how)? }
            }
            Via::Distro => {
                let set = debian::prepare()?;
                let how =
                    format!("built with each module by Debian's rustc-web {} ({})", set.version, set.from);
                WasmStd {
                    needs: vec![set.cargo.clone(), set.rustc.clone(), set.source.clone(), set.linker.clone()],
                    cargo: Some(set.cargo),
                    rustc: Some(set.rustc),
                    libraries: set.libraries,
                    source: Some(set.source),
                    linker: Some(set.linker),
                    ..WasmStd::plain(way, how)?
                }
            }
        };
        if found.linker.is_none() {
            found.linker = linker::other()?;
        }
        found.try_out()?;
        Ok(found)
    }

    fn plain(via: Via, how: String) -> Result<WasmStd> {
        Ok(WasmStd {
            via,
            how,
            forced: false,
            machine_rustc: machine_rustc()?,
            needs: Vec::new(),
            cargo: None,
            rustc: None,
            libraries: None,
            source: None,
            linker: None,
        })
    }

    /// `cargo <word> --target wasm32-unknown-unknown` with all that the chosen way needs.
    pub(crate) fn cargo(&self, word: &str) -> Result<Command> {
        let mut command = match &self.cargo {
            Some(cargo) => {
                let mut command = Command::new(cargo);
                command.current_dir(paths::repo_root());
                command
            }
            None => workspace::cargo(),
        };
        command.args([word, "--target", TARGET]);
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
            // The machine's cargo left these for its own compiler.
            command.env_remove("RUSTC_WRAPPER").env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTDOC");
        }
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", same_paths_everywhere());
        if let Some(libraries) = &self.libraries {
            process::prepend(&mut command, "LD_LIBRARY_PATH", libraries)?;
        }
        if let Some(source) = &self.source {
            // Building std is an unstable feature of cargo: the first variable permits it in a stable one, the second
            // (the only way to name a folder outside the compiler's own) says where the source is.
            command.arg("-Zbuild-std=std,panic_abort");
            command.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", source);
        }
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        Ok(command)
    }

    /// Whether `cargo clippy` can be had for this way: Debian's set has none.
    pub(crate) fn has_clippy(&self) -> bool {
        self.cargo.is_none()
    }

    /// Builds a module of one function: a compiler and a source that do not fit show now, not when a filter is built.
    fn try_out(&self) -> Result<()> {
        let folder = paths::tools_dir().join("wasm-std-check");
        let manifest = folder.join("Cargo.toml");
        staging::write_file(&manifest, CHECK_MANIFEST.as_bytes())?;
        staging::write_file(&folder.join("lib.rs"), CHECK_SOURCE.as_bytes())?;
        let mut command = self.cargo("build")?;
        command.args(["--release", "--manifest-path"]).arg(&manifest);
        process::quietly("building the standard library for wasm32", &mut command, Duration::from_secs(900))?;
        Ok(())
    }
}

/// Panic messages name source files: as seen from here they would make every machine's module another one, and tell its
/// folders to whoever reads the log.
fn same_paths_everywhere() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registry = home.map(|home| home.join("registry/src"));
    let sources = registry.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let folders = sources.map(|source| source.path()).chain([paths::repo_root()]);
    // The variable is split at blanks.
    let usable = folders.map(|folder| folder.display().to_string()).filter(|folder| !folder.contains(' '));
    usable.map(|folder| format!("--remap-path-prefix={folder}=")).collect::<Vec<_>>().join(" ")
}

/// Built the way modules are, so that they find the standard library compiled already.
const CHECK_MANIFEST: &str = r#"
[package]
name = "wasm-std-check"
edition = "2024"
[lib]
crate-type = ["cdylib"]
path = "lib.rs"
[profile.release]
opt-level = 3
lto = "fat"
codegen-units = 1
panic = "abort"
strip = "debuginfo"
[workspace]
"#;
const CHECK_SOURCE: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn f(n: usize) -> usize { vec![1; n].iter().sum() }
"#;

/// Way 1.
fn rustup() -> Result<WasmStd> {
    let sysroot = sysroot()?;
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let mut how = "already beside the compiler";
    if !has_std(&library) {
        let rustup = process::on_path("rustup").context("rustup is not installed")?;
        let mut command = Command::new(rustup);
        command.current_dir(paths::repo_root()).args(["target", "add", TARGET]);
        command.env_remove("RUST_BACKTRACE");
        process::quietly("rustup target add", &mut command, Duration::from_secs(180))
            .map_err(|error| network::explain(error, "rustup's server", "rustup does not have it"))?;
        how = "added by rustup";
    }
    if !has_std(&library) {
        bail!("`rustup target add` left nothing in {}: is this compiler rustup's own?", library.display());
    }
    let mut found = WasmStd::plain(Via::Rustup, how.to_owned())?;
    found.needs = vec![library];
    found.linker = linker::other()?;
    Ok(found)
}

fn has_std(library: &Path) -> bool {
    let Ok(files) = fs::read_dir(library) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// The compiler's own folder.
pub(super) fn sysroot() -> Result<PathBuf> {
    let text = process::output(workspace::rustc().args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

/// `rustc -vV` of the machine's compiler.
pub(super) fn machine_rustc() -> Result<String> {
    process::output(workspace::rustc().arg("-vV"))
}

/// Unreadable is as good as absent: the choice is made again.
fn read_record() -> Option<WasmStd> {
    serde_json::from_slice(&fs::read(state_file()).ok()?).ok()
}

fn state_file() -> PathBuf {
    paths::tools_dir().join("wasm-std.json")
}
