//! `wasm-bindgen-test-runner`, which runs wasm tests in Node. It has to be of the very version of `wasm-bindgen` in
//! `Cargo.lock`, and building it takes more than a minute of CPU: once, in a folder that `cargo clean` leaves alone.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::network;
use crate::staging::Lock;
use crate::{paths, process, workspace};

/// What building it takes, in words.
pub(crate) const RUNNER_COST: &str = "about a minute and a half of CPU";

const NAME: &str = "wasm-bindgen-test-runner";

/// A runner of the right version.
pub(crate) struct TestRunner {
    /// The program.
    pub(crate) path: PathBuf,
    how: String,
}

impl fmt::Display for TestRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.how)
    }
}

impl TestRunner {
    /// Finds or builds it.
    pub(crate) fn prepare() -> Result<TestRunner> {
        let _lock = Lock::take("wasm-bindgen")?;
        if let Some(found) = TestRunner::find()? {
            return Ok(found);
        }
        let version = version()?.context("Cargo.lock has no wasm-bindgen: no crate has wasm tests")?;
        // Versions that the registry does not serve (yet) make `--locked` fail.
        let built = build(&version, true)
            .or_else(|error| if network::is_silent(&error) { Err(error) } else { build(&version, false) });
        built.map_err(|error| {
            let server =
                format!("{NAME} {version} is missing; cargo's registry, which has it (wasm-bindgen-cli),");
            let otherwise = format!(
                "{NAME} is missing and cannot be built; by hand: cargo install wasm-bindgen-cli@{version}"
            );
            network::explain(error, &server, &otherwise)
        })?;
        Ok(TestRunner { path: root(&version).join("bin").join(NAME), how: format!("{version}, built") })
    }

    /// The one that is there already.
    pub(crate) fn find() -> Result<Option<TestRunner>> {
        let Some(version) = version()? else { return Ok(None) };
        let own = root(&version).join("bin").join(NAME);
        if own.is_file() {
            return Ok(Some(TestRunner { path: own, how: format!("wasm-bindgen {version}, already built") }));
        }
        let found = process::on_path(NAME).filter(|path| {
            process::output(Command::new(path).arg("--version"))
                .is_ok_and(|text| text.split_whitespace().any(|word| word == version))
        });
        Ok(found.map(|path| TestRunner { path, how: format!("wasm-bindgen {version}, on PATH") }))
    }
}

fn build(version: &str, locked: bool) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["install", "wasm-bindgen-cli", "--version", version, "--bin", NAME]);
    // Optimised it would read each program half a second faster, and take three minutes more to build.
    command.args(["--debug", "--no-track", "--root"]).arg(root(version));
    command.arg("--target-dir").arg(paths::tools_dir().join("wasm-bindgen-build"));
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    if locked {
        command.arg("--locked");
    }
    process::quietly("building wasm-bindgen-test-runner (once)", &mut command, Duration::from_secs(1800))?;
    Ok(())
}

fn version() -> Result<Option<String>> {
    workspace::locked_version("wasm-bindgen")
}

fn root(version: &str) -> PathBuf {
    paths::tools_dir().join(format!("wasm-bindgen-{version}"))
}
