//! `cargo xtask setup`: makes ready what building and testing need, and says which way it was had. Safe to repeat, to
//! interrupt and to run twice at once; what is there already is used.

mod apt;
mod companions;
mod deb;
mod debian;
mod envoy;
mod go;
mod linker;
mod network;
mod node;
mod oidc;
mod pip;
mod redis;
mod rust_src;
mod schemas;
mod test_runner;
mod wasm_opt;
mod wasm_std;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use e2e::tools::ENVOY_VERSION;

use crate::staging::Lock;

pub(crate) use companions::prepare_all as companions;
pub(crate) use node::Node;
pub(crate) use test_runner::{RUNNER_COST, TestRunner};
pub(crate) use wasm_opt::WasmOpt;
pub(crate) use wasm_std::{Via, WasmStd};

#[derive(Args, Debug)]
pub(crate) struct Setup {
    /// Take this way to the wasm32 standard library instead of the first that works; later commands stay with it
    /// until `--via auto`.
    #[arg(long, value_enum)]
    via: Option<Via>,

    /// Change nothing: say what is there, and fail if something is missing (or, with `--via`, was had another way).
    #[arg(long)]
    check: bool,
}

impl Setup {
    pub(crate) fn run(&self) -> Result<()> {
        if self.check {
            return check(self.via);
        }
        let lock = Lock::take("setup")?;
        let wasm_std = WasmStd::prepare(self.via)?;
        say("wasm32 std", &wasm_std.to_string());
        envoy()?;
        let node = Node::prepare()?;
        say("node", &node.to_string());
        say("wasm-opt", &WasmOpt::prepare(&node)?.to_string());
        say_runner()?;
        // The slowest come last, and building modules need not wait for them.
        drop(lock);
        companions::prepare_all(2);
        companions::prepare_all(3);
        Ok(())
    }
}

/// What building a module needs.
pub(crate) fn for_build() -> Result<WasmStd> {
    let _lock = Lock::take("setup")?;
    let wasm_std = WasmStd::prepare(None)?;
    say("wasm32 std", &wasm_std.to_string());
    Ok(wasm_std)
}

/// wasm-opt, and the Node that it runs in.
pub(crate) fn for_optimising() -> Result<WasmOpt> {
    let _lock = Lock::take("setup")?;
    let node = Node::prepare()?;
    let wasm_opt = WasmOpt::prepare(&node)?;
    say("wasm-opt", &wasm_opt.to_string());
    Ok(wasm_opt)
}

/// The Node that wasm tests run in.
pub(crate) fn node() -> Result<Node> {
    let _lock = Lock::take("setup")?;
    let node = Node::prepare()?;
    say("node", &node.to_string());
    Ok(node)
}

/// The Envoy that everything but the compatibility tests runs, or the one that `ENVOY` names.
pub(crate) fn envoy() -> Result<PathBuf> {
    let found = envoy::prepare(ENVOY_VERSION)?;
    say("envoy", &found.to_string());
    Ok(found.path)
}

/// An Envoy of this version, whatever `ENVOY` names.
pub(crate) fn envoy_of(version: &str) -> Result<PathBuf> {
    let found = envoy::install(version)?;
    say("envoy", &found.to_string());
    Ok(found.path)
}

fn check(via: Option<Via>) -> Result<()> {
    let mut missing = 0;
    let mut report = |what: &str, found: Result<Option<String>>| match found {
        Ok(Some(how)) => say(what, &how),
        Ok(None) => {
            missing += 1;
            say(what, "missing: run `cargo xtask setup`");
        }
        Err(error) => {
            missing += 1;
            say(what, &format!("{error:#}"));
        }
    };
    report("wasm32 std", WasmStd::find().and_then(|found| as_asked_for(found, via)));
    report("envoy", envoy::find(ENVOY_VERSION).map(|found| found.map(|it| it.to_string())));
    let node = Node::find()?;
    report("node", Ok(node.as_ref().map(ToString::to_string)));
    report("wasm-opt", Ok(node.as_ref().and_then(WasmOpt::find).map(|it| it.to_string())));
    say_runner()?;
    companions::check_all();
    if missing > 0 {
        bail!("{missing} of these are missing: run `cargo xtask setup`");
    }
    Ok(())
}

fn say_runner() -> Result<()> {
    match TestRunner::find()? {
        Some(runner) => say("test runner", &runner.to_string()),
        None => {
            say("test runner", &format!("not built yet; `cargo xtask test` builds it ({RUNNER_COST}, once)"))
        }
    }
    Ok(())
}

fn as_asked_for(found: Option<WasmStd>, via: Option<Via>) -> Result<Option<String>> {
    match (found, via) {
        (Some(found), Some(via)) if via != Via::Auto && !found.is_forced_to(via) => {
            bail!("{found}; run `cargo xtask setup --via {via}`")
        }
        (found, _) => Ok(found.map(|it| it.to_string())),
    }
}

fn say(what: &str, how: &str) {
    println!("{what:<12} {how}");
}
