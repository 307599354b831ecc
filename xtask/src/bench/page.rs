//! `docs/performance.md`: what is measured is written by `cargo xtask bench --document` between two marks; what people
//! write around it stays.

mod plot;
mod targets;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::bench::footprint::{self, Footprint};
use e2e::bench::report::Report;
use e2e::bench::{self, Effort, cases};

use crate::build::{Build, Module};
use crate::{marked, paths, staging};

/// Growth needs many cases, each with a baseline of its own: they are told apart by more than a short stretch leaves
/// uncertain.
const GROWTH: Effort = Effort { window: Duration::from_millis(300), rounds: 5 };

/// The modules whose memory and start are measured, by the names of their cases.
const MODULES: [&str; 5] = ["auth", "rate-limit", "header-routing", "telemetry", "suite"];

/// What the page shows.
pub(super) struct Measured {
    /// All cases of the table of targets, in one run.
    targets: Report,
    /// The cases of the plots, in another.
    growth: Report,
    modules: Vec<Footing>,
}

/// A module's size and what it costs before its first request, as built and without wasm-opt.
struct Footing {
    name: String,
    finished: (usize, Footprint),
    unoptimised: (usize, Footprint),
}

impl Measured {
    /// Measures everything: a quarter of an hour with stretches of half a second.
    pub(super) fn measure(effort: Effort, modules: &[Module]) -> Result<Self> {
        println!("1 of 3: memory and start of each module");
        let modules = footings(modules)?;
        println!("2 of 3: everything that has a target, in one run");
        let targets = run(&targets::cases(), effort)?;
        println!("3 of 3: what grows");
        let growth = run(&plot::cases(), GROWTH)?;
        Ok(Self { targets, growth, modules })
    }

    /// Writes the page and its plots, and returns what it wrote.
    pub(super) fn write(&self) -> Result<Vec<PathBuf>> {
        let docs = paths::repo_root().join("docs");
        let page = docs.join("performance.md");
        let text = fs::read_to_string(&page).with_context(|| format!("reading {}", paths::shown(&page)))?;
        let mut written = vec![page.clone()];
        staging::write_file(&page, marked::insert(&text, &self.text()?)?.as_bytes())?;
        for (name, drawing) in plot::draw(&self.growth)? {
            let file = docs.join("performance").join(name);
            staging::write_file(&file, drawing.as_bytes())?;
            written.push(file);
        }
        Ok(written)
    }

    fn text(&self) -> Result<String> {
        let mut text = String::new();
        let about = self.targets.to_json();
        let of = |pointer: &str| about.pointer(pointer).map_or_else(|| "unknown".to_owned(), plain);
        writeln!(
            text,
            "Envoy {}, Tidegate {} at {}, {} with {} cores, kernel {}; {} rounds of {} s.\n",
            of("/envoy"),
            of("/tidegate"),
            of("/commit"),
            of("/machine/cpu"),
            of("/machine/cores"),
            of("/machine/kernel"),
            of("/rounds"),
            of("/seconds"),
        )?;
        writeln!(text, "### Targets\n\n{}", targets::table(&self.targets, &sizes(&self.modules))?)?;
        writeln!(text, "### What Envoy's side of the suite costs\n\n{}", targets::floor(&self.targets)?)?;
        writeln!(text, "### All figures of that run\n\n```\n{}```\n", self.targets.table())?;
        writeln!(text, "### Growth\n")?;
        for plot in &plot::PLOTS {
            writeln!(text, "![{}](performance/{})\n", plot.title, plot.file())?;
        }
        writeln!(text, "```\n{}```\n", self.growth.table())?;
        writeln!(text, "### Before the first request\n\n{}", self.modules_table()?)?;
        Ok(text)
    }

    fn modules_table(&self) -> Result<String> {
        let mut text = "| module | KiB | without wasm-opt | memory of a VM, KiB | without wasm-opt | Envoy starts later by, ms \
                        | without wasm-opt |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
        for Footing { name, finished: (size, footprint), unoptimised: (raw, unoptimised) } in &self.modules {
            writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {} | {} |",
                size / 1024,
                raw / 1024,
                footprint.vm_kib,
                unoptimised.vm_kib,
                footprint.start.as_millis(),
                unoptimised.start.as_millis(),
            )?;
        }
        Ok(text)
    }
}

fn run(names: &[String], effort: Effort) -> Result<Report> {
    let chosen = bench::pick(cases::all(), names)?;
    let mut report = bench::measure(&chosen, effort)?;
    report.note("commit", super::commit().into());
    Ok(report)
}

fn footings(modules: &[Module]) -> Result<Vec<Footing>> {
    let folder = paths::repo_root().join("target/bench/unoptimised");
    let raw = Build::unoptimised(&MODULES, &folder).make()?;
    let size = |modules: &[Module], name: &str| {
        let module = format!("tidegate_{}", name.replace('-', "_"));
        let module = modules.iter().find(|other| other.name == module);
        module.map(|module| module.size).with_context(|| format!("{name} was not built"))
    };
    let all = cases::all();
    MODULES
        .into_iter()
        .map(|name| {
            println!("  {name}");
            let case =
                all.iter().find(|case| case.name == name).with_context(|| format!("no case {name}"))?;
            Ok(Footing {
                name: name.to_owned(),
                finished: (size(modules, name)?, footprint::measure(case, &paths::wasm_dir())?),
                unoptimised: (size(&raw, name)?, footprint::measure(case, &folder)?),
            })
        })
        .collect()
}

fn sizes(modules: &[Footing]) -> Vec<(&str, usize)> {
    modules.iter().map(|module| (module.name.as_str(), module.finished.0)).collect()
}

/// A text without its quotes.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_marks_and_every_name_is_a_case() {
        let page = fs::read_to_string(paths::repo_root().join("docs/performance.md")).unwrap();
        marked::insert(&page, "").unwrap();
        let all = cases::all();
        bench::pick(all.clone(), &targets::cases()).unwrap();
        bench::pick(all.clone(), &plot::cases()).unwrap();
        bench::pick(all, &MODULES.map(str::to_owned)).unwrap();
    }
}
