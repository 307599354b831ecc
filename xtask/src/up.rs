//! `cargo xtask up`: all four filters in a real Envoy. The running itself is the end-to-end harness's.

use std::path::PathBuf;

use anyhow::{Result, bail};

use e2e::up::Up;

use crate::build::Build;
use crate::setup;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Use this Envoy bootstrap (YAML or JSON) instead of the one with all four filters. Its clusters `stable` and `beta`,
    /// if it has them, get the echo backends; relative paths in it begin at the workspace's root.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Send the requests, print expected and seen side by side, and end: 0 if all agree, else 1.
    #[arg(long)]
    check: bool,

    /// Leave wasm-opt out of the build.
    #[arg(long)]
    no_opt: bool,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let up = Up::read(self.config.as_deref())?;
        setup::envoy()?;
        // A bootstrap of one's own may name any module.
        let build = match self.config {
            Some(_) => Build::all(self.no_opt),
            None => Build::only(&["auth", "header-routing", "rate-limit", "telemetry"], self.no_opt),
        };
        let modules = build.make()?;
        println!("modules      {}, in target/wasm", modules.len());
        println!();
        if !up.run(self.check)? {
            bail!("not every answer was the expected one; see the lines above");
        }
        Ok(())
    }
}
