//! `cargo xtask up`: all four filters in a real Envoy. The running itself is the end-to-end harness's.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::build::Build;
use crate::setup;

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Use this Envoy bootstrap instead of the one with all four filters.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Send the requests, print expected and seen side by side, and end: 0 if all agree, else 1.
    #[arg(long)]
    check: bool,

    /// Leave wasm-opt out of the build.
    #[arg(long)]
    no_opt: bool,
}

impl Up {
    pub(crate) fn run(self) -> Result<()> {
        setup::envoy()?;
        Build::all(self.no_opt).run()?;
        println!();
        if !e2e::up::run(self.config, self.check)? {
            bail!("not every answer was the expected one; see the lines above");
        }
        Ok(())
    }
}
