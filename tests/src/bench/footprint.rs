//! What a filter costs before its first request: how much later Envoy is ready, and the memory of a virtual machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::case::{Case, Setup};
use crate::envoy::Envoy;
use crate::tools;
use crate::upstream::Upstreams;

/// The memory of so many virtual machines is told from everything else.
const MORE_WORKERS: u32 = 8;
/// The fastest of so many starts: everything else that a machine does makes it slower.
const STARTS: usize = 5;

/// What a filter costs before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// How much later Envoy, with one worker, is ready.
    pub start: Duration,
    /// The memory that a worker more takes, more than without the filter.
    pub vm_kib: u64,
}

/// Measures a case's filters, their modules being those in this folder.
pub fn measure(case: &Case, modules: &Path) -> Result<Footprint> {
    let upstreams = Upstreams::start()?;
    let own = case.bootstrap(&upstreams)?.to_string();
    let built = tools::modules_dir().display().to_string();
    let own: Value = serde_json::from_str(&own.replace(&built, &modules.display().to_string()))
        .context("the folder's name cannot stand in a bootstrap")?;
    let plain = Case::new("none", "", case.load.clone(), Setup::default).bootstrap(&upstreams)?;
    Ok(Footprint {
        start: fastest(&own)?.saturating_sub(fastest(&plain)?),
        vm_kib: a_worker_more(&own)?.saturating_sub(a_worker_more(&plain)?),
    })
}

fn fastest(bootstrap: &Value) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..STARTS {
        let began = Instant::now();
        let envoy = Envoy::start(bootstrap, 1)?;
        fastest = fastest.min(began.elapsed());
        drop(envoy);
    }
    Ok(fastest)
}

fn a_worker_more(bootstrap: &Value) -> Result<u64> {
    let resident = |workers| Envoy::start(bootstrap, workers)?.resident_kib();
    Ok(resident(1 + MORE_WORKERS)?.saturating_sub(resident(1)?) / u64::from(MORE_WORKERS))
}
