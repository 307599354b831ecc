//! What came of a run: a row for each case, as JSON and back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::cases::REFERENCE;
use super::figures::{self, Measured, median, ratio, spread};
use super::generator::Driven;
use super::plan::Plan;
use super::table;
use crate::tools;

/// Below this share of its core Envoy was waiting for requests.
const SATURATED: f64 = 0.9;

/// A run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The baselines, then the cases.
    pub rows: Vec<Row>,
    /// What the figures depend on: versions, machine, effort.
    about: Map<String, Value>,
}

/// A case's figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The case's name; `none` and what begins so are baselines.
    pub name: String,
    /// CPU microseconds that a request takes more than without the filter: the median over the rounds. A baseline adds 0.
    pub added_us: f64,
    /// Half of the rounds lie this near to the median. A baseline's is that of `cpu_us`.
    pub spread_us: f64,
    /// CPU microseconds that a request takes in all.
    pub cpu_us: f64,
    /// Requests per second.
    pub rps: f64,
    /// How many rounds.
    pub runs: u64,
    /// The share of its core that Envoy used: below 0.9 it was waiting for requests.
    pub busy: f64,
    /// How much of what the empty filter adds.
    pub times_empty: Option<f64>,
    /// How much of what its native counterpart adds.
    pub times_native: Option<f64>,
    /// What was added in each round.
    pub added_us_per_run: Vec<f64>,
}

impl Report {
    /// From what each round measured.
    pub(super) fn new(plan: &Plan, rounds: &[Vec<(usize, Driven)>]) -> Self {
        let mut rows: Vec<Row> = (0..plan.subjects.len()).map(|subject| row(plan, rounds, subject)).collect();
        let added = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.added_us);
        let compared: Vec<_> = plan
            .subjects
            .iter()
            .zip(&rows)
            .map(|(case, row)| {
                let to = |name: &str| added(name).and_then(|added| ratio(row.added_us, added));
                (to(REFERENCE), case.native.as_deref().and_then(to))
            })
            .collect();
        for (subject, (row, (empty, native))) in rows.iter_mut().zip(compared).enumerate() {
            row.times_empty = empty.filter(|_| !plan.is_baseline(subject));
            row.times_native = native;
        }
        Self { rows, about: Map::new() }
    }

    /// Keeps something that the figures depend on.
    pub fn note(&mut self, key: &str, value: Value) {
        self.about.insert(key.to_owned(), value);
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        table::of(self)
    }

    /// A table of what changed since another run.
    #[must_use]
    pub fn against(&self, before: &Self, name: &str) -> String {
        table::against(self, before, name)
    }

    /// `{"cases": […]}` and what the figures depend on.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cases = self.rows.iter().map(Row::to_json).collect();
        let mut report = self.about.clone();
        report.insert("cases".to_owned(), Value::Array(cases));
        Value::Object(report)
    }

    /// What [`Report::to_json`] made.
    pub fn from_json(report: Value) -> Result<Self> {
        let Value::Object(mut about) = report else { bail!("it is no object") };
        let cases = about.remove("cases");
        let cases = cases.as_ref().and_then(Value::as_array).context("there is no list \"cases\"")?;
        let rows = cases.iter().map(|case| Row::from_json(case).context("a case lacks a name or a figure"));
        Ok(Self { rows: rows.collect::<Result<_>>()?, about })
    }

    /// Writes the report, in one step, to this file.
    pub fn write(&self, file: &Path) -> Result<()> {
        let folder = file.parent().context("a report lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let partial = file.with_extension(format!("json.{}", std::process::id()));
        let text = serde_json::to_vec_pretty(&self.to_json())?;
        fs::write(&partial, text).with_context(|| format!("writing {}", partial.display()))?;
        fs::rename(&partial, file).with_context(|| format!("writing {}", file.display()))
    }

    /// The run that was saved under this name.
    pub fn read(name: &str) -> Result<Self> {
        let file = file(name)?;
        let text = match fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("no run was saved as `{name}`; there are: {}", saved().join(", "))
            }
            other => other.with_context(|| format!("reading {}", file.display()))?,
        };
        serde_json::from_slice(&text)
            .map_err(anyhow::Error::from)
            .and_then(Self::from_json)
            .with_context(|| format!("{} is no report of a run", file.display()))
    }
}

impl Row {
    /// Whether the load kept Envoy busy.
    pub(super) fn is_saturated(&self) -> bool {
        self.busy >= SATURATED
    }

    /// Whether it is what others are compared with.
    pub(super) fn is_baseline(&self) -> bool {
        self.name == "none" || self.name.starts_with("none/")
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "added_us": rounded(self.added_us),
            "rps": self.rps.round(),
            "runs": self.runs,
            "spread_us": rounded(self.spread_us),
            "cpu_us": rounded(self.cpu_us),
            "busy": rounded(self.busy),
            "times_empty": self.times_empty.map(rounded),
            "times_native": self.times_native.map(rounded),
            "added_us_per_run": self.added_us_per_run.iter().copied().map(rounded).collect::<Vec<_>>(),
        })
    }

    fn from_json(case: &Value) -> Option<Self> {
        let number = |key: &str| case[key].as_f64();
        Some(Self {
            name: case["name"].as_str()?.to_owned(),
            added_us: number("added_us")?,
            spread_us: number("spread_us")?,
            cpu_us: number("cpu_us")?,
            rps: number("rps")?,
            runs: case["runs"].as_u64()?,
            busy: number("busy")?,
            times_empty: number("times_empty"),
            times_native: number("times_native"),
            added_us_per_run: case["added_us_per_run"].as_array()?.iter().filter_map(Value::as_f64).collect(),
        })
    }
}

fn row(plan: &Plan, rounds: &[Vec<(usize, Driven)>], subject: usize) -> Row {
    let mut own = Vec::new();
    let mut added = Vec::new();
    for round in rounds {
        let measured: Vec<Measured> = round
            .iter()
            .map(|(subject, driven)| Measured { subject: *subject, cpu_us: driven.cpu_us() })
            .collect();
        for (place, (other, driven)) in round.iter().enumerate() {
            if *other == subject {
                own.push(*driven);
                added.extend(figures::added(&measured, place, plan.baselines[subject]));
            }
        }
    }
    let of = |figure: fn(&Driven) -> f64| own.iter().map(figure).collect::<Vec<f64>>();
    let cpu = of(Driven::cpu_us);
    let (added_us, spread_us, added_us_per_run) = match plan.is_baseline(subject) {
        true => (0.0, spread(&cpu), Vec::new()),
        false => (median(&added), spread(&added), added),
    };
    Row {
        name: plan.subjects[subject].name.clone(),
        added_us,
        spread_us,
        cpu_us: median(&cpu),
        rps: median(&of(Driven::rps)),
        runs: rounds.len() as u64,
        // Several workers can use more than one core.
        busy: median(&of(Driven::busy)),
        added_us_per_run,
        ..Row::default()
    }
}

impl Driven {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64
    }

    fn rps(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Nanoseconds are more than is known.
fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

/// Where the run saved under this name lies.
pub fn file(name: &str) -> Result<PathBuf> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        bail!("a run's name is made of letters, digits, \"-\", \"_\" and \".\", not `{name}`");
    }
    Ok(folder().join(format!("{name}.json")))
}

fn folder() -> PathBuf {
    tools::repo_root().join("target/bench")
}

/// The names of the runs there are.
fn saved() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        names.push("none yet (`--save NAME` makes one)".to_owned());
    }
    names
}

#[cfg(test)]
mod tests;
