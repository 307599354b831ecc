//! `cargo xtask up`: all four filters in a real Envoy, to try by hand; with `check`, tried by itself.

mod steps;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bootstrap;
use crate::envoy::Envoy;
use crate::tools;
use crate::upstream::Upstreams;

/// Starts Envoy with `envoy-config/all-filters.yaml`, or with the file given, in front of echo backends.
///
/// Without `check` it prints what to try and runs until Ctrl-C. With `check` it sends those requests itself, prints
/// expected and seen side by side, and returns whether all agree. Either way nothing is left behind.
pub fn run(config: Option<PathBuf>, check: bool) -> Result<bool> {
    let upstreams = Upstreams::start()?;
    let bootstrap = match &config {
        Some(file) => own(file, &upstreams)?,
        None => ours(&upstreams, check)?,
    };
    println!("starting Envoy …");
    let mut envoy = Envoy::start(&bootstrap, 2)?;
    if check {
        return steps::check(&envoy);
    }
    println!("Envoy     http://{}", envoy.address());
    println!("admin     http://{}", envoy.admin());
    println!("backends  stable http://{}, beta http://{}", upstreams.stable, upstreams.beta);
    println!();
    if config.is_none() {
        steps::print(&envoy);
    } else {
        println!("  curl -i http://{}/", envoy.address());
    }
    println!("\nCtrl-C ends it.");
    wait(&mut envoy)?;
    Ok(true)
}

/// The bootstrap with all filters, on the ports that it names where they are free: they are easy to remember.
fn ours(upstreams: &Upstreams, check: bool) -> Result<Value> {
    let mut bootstrap = bootstrap::read(&tools::repo_root().join("envoy-config/all-filters.yaml"))?;
    let listener = "/static_resources/listeners/0/address/socket_address/port_value";
    let admin = "/admin/address/socket_address/port_value";
    let wanted =
        [listener, admin].map(|place| bootstrap.pointer(place).and_then(Value::as_u64).unwrap_or_default());
    bootstrap::fit(&mut bootstrap, upstreams)?;
    for (place, port) in [listener, admin].into_iter().zip(wanted) {
        if !check && is_free(port) {
            *bootstrap.pointer_mut(place).context("the bootstrap has no such address")? = json!(port);
        }
    }
    Ok(bootstrap)
}

/// A bootstrap of the user's own stays as it is, but that its clusters `stable` and `beta`, if it has them, lead to the
/// echo backends, and that it has an admin interface.
fn own(file: &Path, upstreams: &Upstreams) -> Result<Value> {
    let mut bootstrap = bootstrap::read(file)?;
    if bootstrap["admin"].is_null() {
        bootstrap["admin"] =
            json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}});
    }
    if bootstrap["static_resources"]["clusters"].is_array() {
        bootstrap::use_upstreams(&mut bootstrap, upstreams)?;
    }
    Ok(bootstrap)
}

fn is_free(port: u64) -> bool {
    u16::try_from(port).is_ok_and(|port| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok())
}

/// Waits for Ctrl-C, a request to end, or Envoy's end.
fn wait(envoy: &mut Envoy) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                // Both first: Ctrl-C in a terminal ends Envoy too, which is no failure.
                biased;
                interrupt = tokio::signal::ctrl_c() => return Ok(interrupt?),
                _ = terminate.recv() => return Ok(()),
                _ = look.tick() => {
                    if !envoy.is_alive() {
                        bail!("Envoy ended:\n{}", envoy.log());
                    }
                }
            }
        }
    })
}
