//! Where things are. All of it lies below the workspace's `target/` folder, also when `CARGO_TARGET_DIR` or
//! `build.target-dir` sends what cargo compiles elsewhere: the README, the tests and `up` can then name one place, and
//! `cargo clean` (which empties `target/cargo`) keeps what took minutes to fetch and build.

use std::path::{Path, PathBuf};

pub(crate) use e2e::tools::{repo_root, tools_dir};

/// Pin files and stand-ins that belong to the repository.
pub(crate) fn pins_dir() -> PathBuf {
    repo_root().join("xtask/tools")
}

/// The finished modules. Tests may read others (`TIDEGATE_MODULES`); what is built always goes here.
pub(crate) fn wasm_dir() -> PathBuf {
    repo_root().join("target/wasm")
}

/// `path` as printed: relative to the workspace where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(repo_root()).unwrap_or(path).display().to_string()
}
