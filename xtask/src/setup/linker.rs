//! The linker for wasm, where the compiler comes without one.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::wasm_std::{machine_rustc, sysroot};
use crate::process;

/// rustup's compilers bring `rust-lld`; distributions' ones expect the system's.
pub(super) fn other() -> Result<Option<PathBuf>> {
    let sysroot = sysroot()?;
    let host = machine_rustc()?.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned));
    let own = host.map(|host| sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"));
    if own.is_some_and(|own| own.exists()) || process::on_path("rust-lld").is_some() {
        return Ok(None);
    }
    let names = std::iter::once("wasm-ld".to_owned()).chain((15..40).rev().map(|n| format!("wasm-ld-{n}")));
    let linker = names.filter_map(|name| process::on_path(&name)).next();
    linker
        .map(Some)
        .context("this compiler has no linker for wasm: install LLVM's (on Debian, `apt-get install lld`)")
}
