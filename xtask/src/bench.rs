//! `cargo xtask bench`: what each filter adds to a request. The measuring itself is the end-to-end harness's.

mod page;

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use e2e::bench::report::{self, Report};
use e2e::bench::{self, Effort, cases};

use crate::build::Build;
use crate::{paths, process, setup};

/// The last run.
const LATEST: &str = "latest";

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Measure this case, or the cases whose names begin with it and a slash, and what they are compared with (may be
    /// given several times).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Measure each case for this long in each round.
    #[arg(long, value_name = "N", default_value = "3", value_parser = seconds)]
    seconds: Duration,

    /// Measure each case this often.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Keep the figures under this name as well, to compare later ones with.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,

    /// Show what changed since the run that was saved under this name.
    #[arg(long, value_name = "NAME")]
    against: Option<String>,

    /// Say which cases there are, and measure none.
    #[arg(long)]
    list: bool,

    /// Measure what `docs/performance.md` shows, and write it there with its plots: from a quarter of an hour, with
    /// `--seconds 0.5`, to half an hour.
    #[arg(long, conflicts_with_all = ["only", "save", "against", "list"])]
    document: bool,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        if self.list {
            list();
            return Ok(());
        }
        // What can be wrong with the words is found before anything takes time.
        let cases = bench::choose(cases::all(), &self.only)?;
        let files = [Some(LATEST), self.save.as_deref()].into_iter().flatten().map(report::file);
        let files = files.collect::<Result<Vec<_>>>()?;
        let before = self.against.as_deref().map(|name| Ok::<_, anyhow::Error>((name, Report::read(name)?)));
        let before = before.transpose()?;

        setup::envoy()?;
        let modules = Build::default().run()?;
        println!();
        let effort = Effort { window: self.seconds, rounds: self.rounds };
        if self.document {
            for file in page::Measured::measure(effort, &modules)?.write()? {
                println!("written to {}", paths::shown(&file));
            }
            return Ok(());
        }
        let mut report = bench::measure(&cases, effort)?;
        report.note("commit", commit().into());
        println!("\n{}", report.table());
        if let Some((name, before)) = before {
            println!("{}", report.against(&before, name));
        }
        for file in files {
            report.write(&file)?;
            println!("written to {}", paths::shown(&file));
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("from 0.1 to 600".to_owned()),
    }
}

/// What was measured, for the record; nothing where this is no git checkout.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(paths::repo_root());
    process::output(&mut git).ok().map(|name| name.trim().to_owned())
}

fn list() {
    let cases = cases::all();
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or_default();
    for case in cases {
        let when = if case.on_demand { " (only when named)" } else { "" };
        println!("{:width$}  {}{when}", case.name, case.about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_neither_nothing_nor_endless() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        for bad in ["0", "-1", "601", "NaN", "many"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
