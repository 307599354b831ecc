//! Real programs that stand beside Envoy in tests of tiers 3 and 4, and what else tests do not bring themselves.
//!
//! `cargo xtask setup` and `cargo xtask test` fetch or build them; where one cannot be had, the tests that need it are
//! listed as not run, with what to do by hand. Each has a module here that starts it.

pub mod consul;
pub mod envoy_gateway;
pub mod istio;
pub mod oidc;
pub mod opa;
pub mod otelcol;
pub mod prometheus;
pub mod ratelimit;
pub mod redis;
pub mod registry;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::tools;

/// A program that tests need beside Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Companion {
    /// What tests call it, and the file in [`place`].
    pub name: &'static str,
    /// The tier that runs it. What takes many minutes to build is fetched for tier 4 only, which is run on demand.
    pub tier: usize,
    /// The command that provides it where `cargo xtask setup` cannot.
    pub remedy: &'static str,
}

/// All of them. How `xtask` gets each is in `xtask/src/setup/companions.rs`.
pub const ALL: &[Companion] = &[
    Companion { name: "redis-server", tier: 3, remedy: "apt-get install redis-server" },
    Companion { name: "ratelimit", tier: 3, remedy: "install Go 1.25.6 or newer, then `cargo xtask setup`" },
    Companion { name: "otelcol", tier: 3, remedy: "install Go 1.26 or newer, then `cargo xtask setup`" },
    Companion { name: "prometheus", tier: 3, remedy: "apt-get install prometheus" },
    Companion { name: "promtool", tier: 3, remedy: "apt-get install prometheus" },
    Companion { name: "opa", tier: 3, remedy: "install Go 1.25.6 or newer, then `cargo xtask setup`" },
    Companion {
        name: "oidc-provider",
        tier: 3,
        remedy: "install Node 20 or newer with npm, then `cargo xtask setup`",
    },
    Companion {
        name: "istio-discovery",
        tier: 4,
        remedy: "install Go 1.26 or newer, then `cargo xtask test --tier 4`",
    },
    Companion {
        name: "istioctl",
        tier: 4,
        remedy: "install Go 1.26 or newer, then `cargo xtask test --tier 4`",
    },
    Companion {
        name: "consul",
        tier: 4,
        remedy: "install Go 1.25.7 or newer, then `cargo xtask test --tier 4`",
    },
    Companion {
        name: "envoy-gateway",
        tier: 4,
        remedy: "install Go 1.26.7 or newer, then `cargo xtask test --tier 4`",
    },
    Companion { name: "docker-registry", tier: 4, remedy: "apt-get install docker-registry" },
    // Not a program, but a file: see `crate::schemas`.
    Companion { name: "schemas", tier: 2, remedy: "install Go 1.26.7 or newer, then `cargo xtask setup`" },
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
