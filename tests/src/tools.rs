//! Where things are: the only place of the harness that knows.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Envoy's version where `ENVOY` names no other binary.
pub const ENVOY_VERSION: &str = "1.40.0";

/// The workspace's root folder.
#[must_use]
pub fn repo_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// What `cargo xtask setup` fetched or built: `target/tools`, or the folder that `TIDEGATE_TOOLS` names, which several
/// checkouts may share.
#[must_use]
pub fn tools_dir() -> PathBuf {
    std::env::var_os("TIDEGATE_TOOLS").map_or_else(|| repo_root().join("target/tools"), PathBuf::from)
}

/// Envoy: the binary that `ENVOY` names, else the one that `cargo xtask setup` installed.
pub fn envoy_binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY") {
        let binary = PathBuf::from(named);
        if !binary.is_file() {
            bail!("ENVOY names {}, where there is no file", binary.display());
        }
        return Ok(binary);
    }
    let binary = tools_dir().join(format!("envoy-{ENVOY_VERSION}/envoy/_bin/envoy"));
    if !binary.is_file() {
        bail!("no Envoy at {}: run `cargo xtask setup`, or set ENVOY to a binary", binary.display());
    }
    Ok(binary)
}

/// The folder of the finished modules: `target/wasm`, or what `TIDEGATE_MODULES` names.
#[must_use]
pub fn modules_dir() -> PathBuf {
    std::env::var_os("TIDEGATE_MODULES").map_or_else(|| repo_root().join("target/wasm"), PathBuf::from)
}

/// The module of a filter (`rate-limit`).
pub fn module(name: &str) -> Result<PathBuf> {
    let module = modules_dir().join(format!("tidegate_{}.wasm", name.replace('-', "_")));
    if !module.is_file() {
        bail!("no module at {}: run `cargo xtask build`", module.display());
    }
    Ok(module)
}
