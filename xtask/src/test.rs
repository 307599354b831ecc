//! `cargo xtask test`: the tiers, each with its time, and at the end one line that counts all of them.

mod hosts;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::build::Build;
use crate::setup::{self, TestRunner, WasmStd};
use crate::workspace::{self, Package, Together};
use crate::{paths, process};

/// What can be run, and what it is.
const TIERS: [&str; 6] = [
    "unit, property and snapshot tests, native",
    "the pure crates and the filters as wasm32, in Node",
    "the real modules in a real Envoy",
    "the same beside the real programs that they work with",
    "the same in real meshes (on demand: building their control planes takes half an hour, once)",
    "the modules in every Envoy that is supported (on demand: a quarter of an hour)",
];

/// Without `--tier`, what comes before this one is run.
const ON_DEMAND: usize = 4;

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Run this tier only (may be given several times); without it, tiers 0 to 3.
    #[arg(long = "tier", value_name = "N")]
    tiers: Vec<usize>,

    /// Say which tiers there are, and run none.
    #[arg(long)]
    list: bool,

    /// Write `docs/hosts.md` from what tiers 4 and 5 saw, which both have to be run.
    #[arg(long)]
    document: bool,

    /// Test modules without wasm-opt.
    #[arg(long)]
    no_opt: bool,
}

impl Test {
    /// Runs the tiers, and says whether all tests passed.
    pub(crate) fn run(&self) -> Result<bool> {
        if self.list {
            for (tier, what) in TIERS.iter().enumerate() {
                println!("{tier}  {what}");
            }
            return Ok(true);
        }
        if let Some(unknown) = self.tiers.iter().find(|tier| **tier >= TIERS.len()) {
            bail!("there is no tier {unknown} yet; `cargo xtask test --list` shows those there are");
        }
        if self.document && ![4, 5].iter().all(|tier| self.tiers.contains(tier)) {
            bail!("`--document` tells of the hosts of tiers 4 and 5: run both, with --tier 4 --tier 5");
        }
        let wanted = |tier: usize| self.tiers.contains(&tier) || (self.tiers.is_empty() && tier < ON_DEMAND);

        let mut prepared = Prepared::default();
        if wanted(1) {
            prepared.start_runner();
        }
        // One thread prepares all of them, one after the other.
        // Tests of meshes run what those of tier 3 run too.
        let beside: Vec<usize> = [3, 4].into_iter().filter(|tier| wanted(*tier) || wanted(4)).collect();
        prepared.companions = Some(thread::spawn(move || beside.into_iter().for_each(setup::companions)));
        let mut reports = Vec::new();
        if wanted(0) {
            reports.push(tier(0, native));
        }
        if (2..TIERS.len()).any(wanted) {
            // Without it the other tiers can be run all the same.
            if let Err(error) = prepared.modules(self.no_opt) {
                eprintln!(
                    "{}",
                    crate::told(&error.context("the modules or an Envoy could not be made ready"))
                );
            }
        }
        if wanted(1) {
            reports.push(tier(1, || prepared.wasm()));
        }
        if wanted(2) {
            let strict = self.tiers.contains(&2);
            reports.push(tier(2, || {
                // Schemas, in seconds: not behind those of other tiers, which take minutes.
                setup::companions(2);
                prepared.end_to_end(&["--lib", "--test", "tier2"], strict)
            }));
        }
        for (number, program) in [(3, "tier3"), (4, "tier4")] {
            if wanted(number) {
                // Who asks for the tier by number wants all of it.
                let strict = self.tiers.contains(&number);
                reports.push(tier(number, || {
                    prepared.wait_for_companions()?;
                    prepared.end_to_end(&["--test", program], strict)
                }));
            }
        }
        let mut envoys = Vec::new();
        if wanted(5) {
            reports.push(tier(5, || {
                envoys = prepared.every_envoy()?;
                let mut all = Counts::default();
                envoys.iter().for_each(|(_, counts)| all.add(counts.clone()));
                Ok(all)
            }));
        }
        if self.document {
            let meshes = reports.iter().find(|report| report.tier == 4);
            let seen = envoys.into_iter().map(|(version, counts)| (version, counts.seen)).collect::<Vec<_>>();
            hosts::write(&seen, &meshes.map(|report| report.counts.seen.clone()).unwrap_or_default())?;
            println!("\nwritten: docs/hosts.md");
        }
        Ok(summarise(reports))
    }
}

/// The newest patch of each supported minor version of Envoy that a wheel with V8 exists of.
const ENVOYS: [&str; 4] = ["1.37.0", "1.38.2", "1.39.3", "1.40.0"];

/// Tests of tier 2 that say nothing of an Envoy's version: about the bench and the commands themselves.
const ANY_ENVOY: [&str; 4] = ["bench::", "demonstration::", "readme::", "schemas::"];

/// What the tiers after the first need.
#[derive(Default)]
struct Prepared {
    runner: Option<thread::JoinHandle<Result<TestRunner>>>,
    /// Once the modules are there too.
    envoy: Option<PathBuf>,
    companions: Option<thread::JoinHandle<()>>,
}

impl Prepared {
    /// Building the runner takes minutes, once: it goes on while other things are done.
    fn start_runner(&mut self) {
        if matches!(TestRunner::find(), Ok(None)) {
            println!("test runner  building in the background ({}, once)", setup::RUNNER_COST);
        }
        self.runner = Some(thread::spawn(TestRunner::prepare));
    }

    fn modules(&mut self, no_opt: bool) -> Result<()> {
        let envoy = setup::envoy()?;
        let modules = Build::all(no_opt).make()?;
        println!("modules      {}, in target/wasm", modules.len());
        // Compiled while the runner of tier 1 may still be building; run when the machine is quiet.
        process::run(workspace::cargo().args(["test", "--package", "e2e", "--no-run"]))?;
        self.envoy = Some(envoy);
        Ok(())
    }

    fn wasm(&mut self) -> Result<Counts> {
        let runner = self.runner.take().context("the test runner was not prepared")?;
        let runner = runner.join().map_err(|_| anyhow!("building the test runner ended badly"))??;
        let node = setup::node()?;
        let wasm_std: WasmStd = setup::for_build()?;
        let tested = workspace::members()?.into_iter().filter(|package| !package.wasm_tests().is_empty());
        let mut counts = Counts::default();
        for together in Together::of(tested.collect()) {
            let mut command = wasm_std.cargo("test")?;
            command.arg("--no-fail-fast");
            together.choose(&mut command);
            let programs: BTreeSet<&str> = together.packages.iter().flat_map(Package::wasm_tests).collect();
            for program in programs {
                command.args(["--test", program]);
            }
            // Without debug information the runner, which reads the programs first, takes half of the time.
            command.env("CARGO_PROFILE_TEST_DEBUG", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner.path);
            command.env("NODE_PATH", paths::pins_dir().join("node"));
            node.put_on_path(&mut command)?;
            counts.add(count(&mut command)?);
        }
        Ok(counts)
    }

    /// Building them takes minutes, once: it went on while other things were done.
    fn wait_for_companions(&mut self) -> Result<()> {
        match self.companions.take() {
            Some(companions) => {
                companions.join().map_err(|_| anyhow!("preparing the companions ended badly"))
            }
            // The tier before has waited for them.
            None => Ok(()),
        }
    }

    /// Tier 2's tests with each of the Envoys.
    fn every_envoy(&self) -> Result<Vec<(&'static str, Counts)>> {
        let mut all = Vec::new();
        for version in ENVOYS {
            println!("\nEnvoy {version}");
            let envoy = setup::envoy_of(version)?;
            let mut command = self.tests(&["--test", "tier2"])?;
            for skipped in ANY_ENVOY {
                command.args(["--skip", skipped]);
            }
            command.env("ENVOY", envoy).env("CI", "true");
            all.push((version, count(&mut command)?));
        }
        Ok(all)
    }

    fn end_to_end(&self, which: &[&str], strict: bool) -> Result<Counts> {
        let mut command = self.tests(which)?;
        if strict {
            command.env("CI", "true");
        }
        count(&mut command)
    }

    fn tests(&self, which: &[&str]) -> Result<Command> {
        let mut command = workspace::cargo();
        // They wait for most of their time: for Envoys that start, for what happens a moment later, for deadlines.
        let at_once = 2 * thread::available_parallelism().map_or(1, usize::from);
        command.args(["test", "--package", "e2e", "--no-fail-fast"]).args(which);
        command.args(["--", "--test-threads", &at_once.to_string()]);
        command.env(
            "ENVOY",
            self.envoy.as_ref().context("what it needs could not be made ready; see the error above")?,
        );
        Ok(command)
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
    /// Which tests passed, by name, where they are real Envoys' and meshes'.
    seen: hosts::Seen,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_run.extend(other.not_run);
        self.seen.extend(other.seen);
    }
}

/// As the last line has it, which other programs read: what was not run is told elsewhere.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// A tier that cannot be run counts as one failure, so that the others run and the last line tells.
fn tier(tier: usize, run: impl FnOnce() -> Result<Counts>) -> Report {
    println!("\ntier {tier}: {}", TIERS.get(tier).unwrap_or(&""));
    let start = Instant::now();
    let counts = run().unwrap_or_else(|error| {
        eprintln!("{}", crate::told(&error.context(format!("tier {tier} could not be run"))));
        Counts { failed: 1, ..Counts::default() }
    });
    Report { tier, counts, seconds: start.elapsed().as_secs_f64() }
}

/// Runs a test command, shows its output and adds up the summaries in it.
fn count(command: &mut Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = process::each_line(command, |line| {
        counts.add(summary(line).unwrap_or_default());
        if let Some(test) = line.strip_prefix("not run: ") {
            counts.not_run.push(test.to_owned());
        }
        counts.seen.extend(outcome(line));
        true
    })?;
    if !status.success() && counts.failed == 0 {
        // It did not compile, or a test program died: that must not look like success.
        counts.failed = 1;
    }
    Ok(counts)
}

/// The name in `test auth::keys … ok`, and whether it passed.
fn outcome(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match outcome.trim() {
        "ok" => Some((name.trim().to_owned(), true)),
        "FAILED" => Some((name.trim().to_owned(), false)),
        _ => None,
    }
}

/// The numbers in `test result: ok. 5 passed; 0 failed; …`, which libtest, libtest-mimic and wasm-bindgen print alike.
fn summary(line: &str) -> Option<Counts> {
    let (_, rest) = line.split_once("test result: ")?;
    let number = |what: &str| -> Option<u64> {
        let (before, _) = rest.split_once(what)?;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some(Counts { passed: number(" passed")?, failed: number(" failed")?, ..Counts::default() })
}

/// Tells how each tier went, what failed or was not run, and last, alone on its line, the count of all.
fn summarise(reports: Vec<Report>) -> bool {
    let mut all = Counts::default();
    println!();
    for Report { tier, mut counts, seconds } in reports {
        if counts == Counts::default() {
            println!("tier {tier} ran no test at all: its programs were not found, or all were left out");
            counts.failed = 1;
        }
        let not_run = match counts.not_run.len() {
            0 => String::new(),
            some => format!(", {some} not run"),
        };
        println!("tier {tier}: {counts}{not_run} in {seconds:.0} s");
        all.add(counts);
    }
    for test in &all.not_run {
        println!("not run: {test}");
    }
    if all.failed > 0 {
        println!("tests failed: what each says is above, under `failures:`");
    }
    println!("\n{all}");
    all.failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_counted() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(summary(line), Some(Counts { passed: 5, failed: 2, ..Counts::default() }));
    }

    #[test]
    fn what_was_not_run_is_told_apart_from_what_passed() {
        let script = "echo 'not run: a: no redis'; echo 'test result: ok. 1 passed; 0 failed; 1 ignored;'";
        let counts = count(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(
            counts,
            Counts { passed: 1, not_run: vec!["a: no redis".to_owned()], ..Counts::default() }
        );
        assert_eq!(counts.to_string(), "1 passed, 0 failed", "the last line is read by others");
    }

    #[test]
    fn outcomes_are_read() {
        assert_eq!(outcome("test a::b    ... ok"), Some(("a::b".to_owned(), true)));
        assert_eq!(outcome("test a ... FAILED"), Some(("a".to_owned(), false)));
        assert_eq!(outcome("test a ... ignored"), None);
        assert_eq!(outcome("running 3 tests"), None);
    }

    #[test]
    fn another_line_is_not() {
        assert_eq!(summary("test passed_and_failed ... ok"), None);
    }
}
