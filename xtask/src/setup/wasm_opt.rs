//! wasm-opt, from npm's `binaryen`: current, official, and runs in Node. Its version and digest are pinned by the lock
//! file in `xtask/tools/binaryen`.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Node, network};
use crate::build::Names;
use crate::{paths, process, staging};

/// A wasm-opt that starts.
pub(crate) struct WasmOpt {
    node: PathBuf,
    script: PathBuf,
    how: &'static str,
}

impl fmt::Display for WasmOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "binaryen, {}", self.how)
    }
}

impl WasmOpt {
    /// Finds or installs it.
    pub(crate) fn prepare(node: &Node) -> Result<WasmOpt> {
        if let Some(found) = WasmOpt::find(node) {
            return Ok(found);
        }
        staging::replace_dir(&folder(), |partial| {
            for name in ["package.json", "package-lock.json"] {
                fs::copy(pins().join(name), partial.join(name))?;
            }
            let mut npm = node.npm()?;
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
            // npm's own waits between attempts add up to more than a minute.
            npm.args(["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]);
            npm.current_dir(partial);
            let done = process::quietly("installing binaryen with npm", &mut npm, Duration::from_secs(300));
            done.map_err(|error| {
                let server = "wasm-opt is missing; the npm registry, which has it (binaryen),";
                network::explain(error, server, "wasm-opt is missing, and npm cannot install it (binaryen)")
                    .context("the modules cannot be optimised; `--no-opt` leaves that out")
            })?;
            Ok(())
        })?;
        Ok(WasmOpt { node: node.command().get_program().into(), script: script(), how: "installed with npm" })
    }

    /// The one that is there already, if its lock file is still ours.
    pub(crate) fn find(node: &Node) -> Option<WasmOpt> {
        let ours = fs::read(pins().join("package-lock.json")).ok()?;
        let theirs = fs::read(folder().join("package-lock.json")).ok()?;
        let there = ours == theirs && script().is_file();
        there.then(|| WasmOpt {
            node: node.command().get_program().into(),
            script: script(),
            how: "already installed",
        })
    }

    /// Changes when the result of optimising may change.
    pub(crate) fn identity(&self) -> Result<Vec<u8>> {
        let mut identity = fs::read(pins().join("package-lock.json"))?;
        identity.extend(OPTIONS.concat().bytes());
        Ok(identity)
    }

    /// Optimises `from` into `to`, for speed as well as size.
    pub(crate) fn optimise(&self, from: &Path, to: &Path, names: Names) -> Result<()> {
        let mut command = Command::new(&self.node);
        command.arg(&self.script).args(OPTIONS);
        if names == Names::Kept {
            command.arg("--debuginfo");
        }
        command.arg(from).arg("-o").arg(to);
        let name = from.file_stem().unwrap_or_default().to_string_lossy();
        let what = format!("optimising {}", name.trim_start_matches('.'));
        process::quietly(&what, &mut command, Duration::from_secs(300))?;
        Ok(())
    }
}

/// What every module is optimised with. The features are those that rustc uses by default; naming them keeps wasm-opt
/// from using any that Envoy's V8 may lack.
const OPTIONS: [&str; 9] = [
    "-O3",
    "--mvp-features",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--strip-target-features",
];

fn folder() -> PathBuf {
    paths::tools_dir().join("binaryen")
}

fn script() -> PathBuf {
    folder().join("node_modules/binaryen/bin/wasm-opt")
}

fn pins() -> PathBuf {
    paths::pins_dir().join("binaryen")
}
