//! Real programs that stand beside Envoy in tests of tier 3.
//!
//! `cargo xtask setup` and `cargo xtask test` fetch or build them; where one cannot be had, the tests that need it are
//! listed as not run, with what to do by hand. Each has a module here that starts it.

pub mod oidc;
pub mod opa;
pub mod otelcol;
pub mod prometheus;
pub mod ratelimit;
pub mod redis;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::tools;

/// A program that tests need beside Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Companion {
    /// What tests call it, and the file in [`place`].
    pub name: &'static str,
    /// The command that provides it where `cargo xtask setup` cannot.
    pub remedy: &'static str,
}

/// All of them. How `xtask` gets each is in `xtask/src/setup/companions.rs`.
pub const ALL: &[Companion] = &[
    Companion { name: "redis-server", remedy: "apt-get install redis-server" },
    Companion { name: "ratelimit", remedy: "install Go 1.25.6 or newer, then `cargo xtask setup`" },
    Companion { name: "otelcol", remedy: "install Go 1.26 or newer, then `cargo xtask setup`" },
    Companion { name: "prometheus", remedy: "apt-get install prometheus" },
    Companion { name: "promtool", remedy: "apt-get install prometheus" },
    Companion { name: "opa", remedy: "install Go 1.25.6 or newer, then `cargo xtask setup`" },
    Companion {
        name: "oidc-provider",
        remedy: "install Node 20 or newer with npm, then `cargo xtask setup`",
    },
];

/// Where the program is, or would be.
#[must_use]
pub fn place(name: &str) -> PathBuf {
    tools::tools_dir().join("companions").join(name)
}

/// The program; the error says how to get it.
pub fn program(name: &str) -> Result<PathBuf> {
    let place = place(name);
    if !place.is_file() {
        let remedy = ALL.iter().find(|companion| companion.name == name).map_or("", |found| found.remedy);
        bail!("{name} is not there: `cargo xtask setup`, or by hand: {remedy}");
    }
    Ok(place)
}
