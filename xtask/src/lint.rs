//! `cargo xtask lint`: everything that is checked without running the code. All findings at once, not only the first.

mod boundaries;
mod files;
mod sources;

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::build::Build;
use crate::setup::{self, WasmStd};
use crate::{process, render, workspace};

/// What a module may weigh. Cryptography makes auth larger (docs/decisions/0010), three kinds of output telemetry (0016); the
/// suite holds all four filters.
const LARGEST_MODULE: usize = 300 * 1024;
const LARGER: [(&str, usize); 7] = [
    ("_auth", 800 * 1024),
    // Its actions are in no other module (docs/decisions/0006).
    ("_header_routing", 340 * 1024),
    // The index over limits (docs/decisions/0007).
    ("_rate_limit", 320 * 1024),
    ("_suite", 1180 * 1024),
    ("_telemetry", 380 * 1024),
    ("_trapping", 380 * 1024),
    ("_vectors", 400 * 1024),
];

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// Run this check only (may be given several times), by the name that its line starts with.
    #[arg(long, value_name = "CHECK")]
    only: Vec<String>,
}

/// What a check returns: what is wrong, each with the remedy where it is not plain.
type Findings = Result<Vec<String>>;

/// Its name, what it is about, and what does it.
type Check = (&'static str, &'static str, fn() -> Findings);

impl Lint {
    pub(crate) fn run(&self) -> Result<()> {
        let checks: [Check; 9] = [
            ("boundaries", "who may depend on whom", boundaries::check),
            ("sources", "what code may name, by folder", sources::check),
            ("files", "links in Markdown, paths of one machine", files::check),
            ("rendered", "envoy-config/ is what `cargo xtask render --all` makes", render::check),
            ("format", "cargo fmt", format),
            ("clippy", "clippy, native", clippy),
            ("clippy-wasm", "clippy, wasm32", clippy_wasm),
            ("doc", "documentation builds without warnings", doc),
            ("size", "no module over its budget", size),
        ];
        if let Some(unknown) = self.only.iter().find(|name| !checks.iter().any(|check| check.0 == *name)) {
            let names = checks.map(|check| check.0).join(", ");
            bail!("there is no check `{unknown}`; there are: {names}");
        }
        let mut all = Vec::new();
        for (name, what, check) in checks {
            if !self.only.is_empty() && !self.only.iter().any(|only| only == name) {
                continue;
            }
            println!("{name}: {what}");
            let start = Instant::now();
            let findings = check().unwrap_or_else(|error| vec![format!("{error:#}")]);
            let seconds = start.elapsed().as_secs_f64();
            println!("  {} in {seconds:.1} s", if findings.is_empty() { "good" } else { "NOT good" });
            all.extend(findings.into_iter().map(|finding| format!("{name}: {finding}")));
        }
        if all.is_empty() {
            println!("\nno findings");
            return Ok(());
        }
        println!();
        for finding in &all {
            println!("{finding}");
        }
        bail!("{} findings, listed above", all.len())
    }
}

/// Runs a tool that prints its own findings.
fn tool(command: &mut Command, remedy: &str) -> Findings {
    Ok(match process::run(command) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("{error:#}{remedy}")],
    })
}

fn format() -> Findings {
    tool(workspace::cargo().args(["fmt", "--all", "--check"]), " (`cargo fmt --all` puts it right)")
}

fn clippy() -> Findings {
    let words = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    tool(workspace::cargo().args(words), "")
}

/// The crates that have code which only wasm32 compiles: those that build modules, and what these link.
fn clippy_wasm() -> Findings {
    let wasm_std: WasmStd = setup::for_build()?;
    if !wasm_std.has_clippy() {
        println!(
            "  not run: this way to wasm32's standard library has no clippy; the build still compiles the code"
        );
        return Ok(Vec::new());
    }
    let mut command = wasm_std.cargo("clippy")?;
    command.args(["--lib"]);
    for package in workspace::members()? {
        if package.module().is_some() || package.name == "tidegate-proxy-host" {
            command.args(["--package", &package.name]);
        }
    }
    tool(command.args(["--", "--deny", "warnings"]), "")
}

fn doc() -> Findings {
    let mut command = workspace::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    tool(command.env("RUSTDOCFLAGS", "--deny warnings"), "")
}

fn size() -> Findings {
    let modules = Build::default().run()?;
    let over = modules.into_iter().filter_map(|module| {
        let larger = LARGER.iter().find(|(name, _)| module.name.ends_with(name));
        let budget = larger.map_or(LARGEST_MODULE, |(_, budget)| *budget);
        let excess = module.size.checked_sub(budget).filter(|excess| *excess > 0)?;
        Some(format!("{}.wasm is {excess} bytes over its budget of {} KiB", module.name, budget / 1024))
    });
    Ok(over.collect())
}
