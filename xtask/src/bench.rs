//! `cargo xtask bench`: what each filter adds to a request.

use anyhow::{Result, bail};
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Measure this case only (may be given several times).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Measure each case for this long in each round.
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        bail!("`bench` is not written yet ({:?}, {} s)", self.only, self.seconds)
    }
}
