//! `cargo xtask test`: the tiers, each with its time, and at the end one line that counts all of them.

use std::fmt;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::build::Build;
use crate::setup::{self, Node, TestRunner, WasmStd};
use crate::{paths, process, workspace};

/// What can be run, and what it is.
const TIERS: [&str; 4] = [
    "unit, property and snapshot tests, native",
    "the pure crates and the filters as wasm32, in Node",
    "the real modules in a real Envoy",
    "the same beside the real programs that they work with",
];

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Run this tier only (may be given several times); without it, all of them.
    #[arg(long = "tier", value_name = "N")]
    tiers: Vec<usize>,

    /// Say which tiers there are, and run none.
    #[arg(long)]
    list: bool,
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        if self.list {
            for (tier, what) in TIERS.iter().enumerate() {
                println!("{tier}  {what}");
            }
            return Ok(());
        }
        if let Some(unknown) = self.tiers.iter().find(|tier| **tier >= TIERS.len()) {
            bail!("there is no tier {unknown} yet; `cargo xtask test --list` shows those there are");
        }
        let wanted = |tier: usize| self.tiers.is_empty() || self.tiers.contains(&tier);

        let mut prepared = Prepared::default();
        if wanted(1) {
            prepared.node = Some(setup::node()?);
            prepared.start_runner()?;
        }
        if wanted(3) {
            prepared.companions = Some(thread::spawn(setup::companions));
        }
        let mut reports = Vec::new();
        if wanted(0) {
            reports.push(tier(0, native));
        }
        if wanted(2) || wanted(3) {
            prepared.envoy = Some(setup::envoy()?);
            Build::default().run()?;
            // Compiled while the runner of tier 1 may still be building; run when the machine is quiet.
            process::run(workspace::cargo().args(["test", "--package", "e2e", "--no-run"]))?;
        }
        if wanted(1) {
            reports.push(tier(1, || prepared.wasm()));
        }
        if wanted(2) {
            reports.push(tier(2, || prepared.end_to_end(&["--lib", "--test", "tier2"], false)));
        }
        if wanted(3) {
            prepared.wait_for_companions()?;
            // Who asks for the tier by number wants all of it.
            let strict = self.tiers.contains(&3);
            reports.push(tier(3, || prepared.end_to_end(&["--test", "tier3"], strict)));
        }
        summarise(&reports)
    }
}

/// What the tiers after the first need.
#[derive(Default)]
struct Prepared {
    node: Option<Node>,
    runner: Option<thread::JoinHandle<Result<TestRunner>>>,
    envoy: Option<std::path::PathBuf>,
    companions: Option<thread::JoinHandle<()>>,
}

impl Prepared {
    /// Building the runner takes minutes, once: it goes on while other things are done.
    fn start_runner(&mut self) -> Result<()> {
        if TestRunner::find()?.is_none() {
            println!("test runner  building in the background (about four minutes of CPU, once)");
        }
        self.runner = Some(thread::spawn(TestRunner::prepare));
        Ok(())
    }

    fn wasm(&mut self) -> Result<Counts> {
        let runner = self.runner.take().context("the test runner was not prepared")?;
        let runner = runner.join().map_err(|_| anyhow!("building the test runner ended badly"))??;
        let node = self.node.as_ref().context("Node was not prepared")?;
        let wasm_std: WasmStd = setup::for_build()?;
        let packages: Vec<String> = workspace::members()?
            .into_iter()
            .filter(workspace::Package::has_wasm_tests)
            .map(|package| package.name)
            .collect();
        if packages.is_empty() {
            bail!("no crate has wasm tests: none depends on wasm-bindgen-test");
        }
        let mut command = wasm_std.cargo("test")?;
        command.args(["--no-fail-fast", "--lib", "--tests"]);
        for package in &packages {
            command.args(["--package", package]);
        }
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner.path);
        command.env("NODE_PATH", paths::pins_dir().join("node"));
        node.put_on_path(&mut command)?;
        count(&mut command)
    }

    /// Building them takes minutes, once: it went on while other things were done.
    fn wait_for_companions(&mut self) -> Result<()> {
        let companions = self.companions.take().context("the companions were not prepared")?;
        companions.join().map_err(|_| anyhow!("preparing the companions ended badly"))
    }

    fn end_to_end(&self, which: &[&str], strict: bool) -> Result<Counts> {
        let mut command = workspace::cargo();
        command.args(["test", "--package", "e2e", "--no-fail-fast"]).args(which);
        command.env("ENVOY", self.envoy.as_ref().context("Envoy was not prepared")?);
        if strict {
            command.env("CI", "true");
        }
        count(&mut command)
    }
}

fn native() -> Result<Counts> {
    count(workspace::cargo().args(["test", "--workspace", "--exclude", "e2e", "--no-fail-fast"]))
}

/// How a tier went.
struct Report {
    tier: usize,
    counts: Counts,
    seconds: f64,
}

#[derive(Default, Clone, Debug, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Which tests, and what they lack.
    not_run: Vec<String>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.not_run.is_empty() { Ok(()) } else { write!(f, ", {} not run", self.not_run.len()) }
    }
}

/// A tier that cannot be run counts as one failure, so that the others run and the last line tells.
fn tier(tier: usize, run: impl FnOnce() -> Result<Counts>) -> Report {
    println!("\ntier {tier}: {}", TIERS.get(tier).unwrap_or(&""));
    let start = Instant::now();
    let counts = run().unwrap_or_else(|error| {
        eprintln!("error: tier {tier} could not be run: {error:#}");
        Counts { failed: 1, ..Counts::default() }
    });
    Report { tier, counts, seconds: start.elapsed().as_secs_f64() }
}

/// Runs a test command, shows its output and adds up the summaries in it.
fn count(command: &mut Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = process::each_line(command, |line| {
        if let Some(summary) = summary(line) {
            counts.passed += summary.passed;
            counts.failed += summary.failed;
        }
        if let Some(test) = line.strip_prefix("not run: ") {
            counts.not_run.push(test.to_owned());
        }
        true
    })?;
    if !status.success() && counts.failed == 0 {
        // It did not compile, or a test program died: that must not look like success.
        counts.failed = 1;
    }
    Ok(counts)
}

/// The numbers in `test result: ok. 5 passed; 0 failed; …`, which libtest, libtest-mimic and wasm-bindgen print alike.
fn summary(line: &str) -> Option<Counts> {
    let (_, rest) = line.split_once("test result: ")?;
    let number = |what: &str| -> Option<u64> {
        let (before, _) = rest.split_once(what)?;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some(Counts { passed: number(" passed")?, failed: number(" failed")?, not_run: Vec::new() })
}

fn summarise(reports: &[Report]) -> Result<()> {
    println!();
    let mut all = Counts::default();
    let mut empty = Vec::new();
    for Report { tier, counts, seconds } in reports {
        println!("tier {tier}: {counts} in {seconds:.0} s");
        all.passed += counts.passed;
        all.failed += counts.failed;
        all.not_run.extend(counts.not_run.iter().cloned());
        if *counts == Counts::default() {
            empty.push(tier.to_string());
        }
    }
    for test in &all.not_run {
        println!("not run: {test}");
    }
    println!("\n{all}");
    if !empty.is_empty() {
        bail!("tier {} ran no test at all: its programs were not found or filtered out", empty.join(" and "));
    }
    if all.failed > 0 {
        bail!("tests failed; the first failure's message is above, under `failures:`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_counted() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(summary(line), Some(Counts { passed: 5, failed: 2, not_run: Vec::new() }));
    }

    #[test]
    fn what_was_not_run_is_told_apart_from_what_passed() {
        let script = "echo 'not run: a: no redis'; echo 'test result: ok. 1 passed; 0 failed; 1 ignored;'";
        let counts = count(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(counts, Counts { passed: 1, failed: 0, not_run: vec!["a: no redis".to_owned()] });
        assert_eq!(counts.to_string(), "1 passed, 0 failed, 1 not run");
    }

    #[test]
    fn another_line_is_not() {
        assert_eq!(summary("test passed_and_failed ... ok"), None);
    }
}
