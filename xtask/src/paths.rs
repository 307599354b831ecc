//! Where things are. All of it lies below the workspace's `target/` folder, also when `CARGO_TARGET_DIR` or
//! `build.target-dir` sends what cargo compiles elsewhere: the README, the tests and `up` can then name one place, and
//! `cargo clean` (which empties `target/cargo`) keeps what took minutes to fetch and build.

use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub(crate) fn repo_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// What `setup` fetched or built.
pub(crate) fn tools_dir() -> PathBuf {
    repo_root().join("target/tools")
}

/// Pin files and stand-ins that belong to the repository.
pub(crate) fn pins_dir() -> PathBuf {
    repo_root().join("xtask/tools")
}

/// The finished modules.
pub(crate) fn wasm_dir() -> PathBuf {
    repo_root().join("target/wasm")
}

/// `path` as printed: relative to the workspace where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(repo_root()).unwrap_or(path).display().to_string()
}
