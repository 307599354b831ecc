//! `cargo xtask bench`: what a filter adds to a request, in CPU time of Envoy.
//!
//! The figure is always a difference: the CPU time of an Envoy with the filter, per request, less that of the same Envoy
//! without it under the same load, both measured in the same run, in turns. Envoy has one worker and one core, the load
//! generator another. How to read what comes of it: `docs/bench.md`. What is measured: [`cases`].

pub mod case;
pub mod cases;
mod figures;
pub mod footprint;
mod generator;
pub mod load;
mod machine;
mod plan;
mod progress;
pub mod report;
mod run;
mod table;

use std::time::Duration;

use anyhow::{Result, bail};

use case::Case;
use generator::{Driven, Span};
use machine::Cores;
use plan::Plan;
use progress::Progress;
use report::Report;
use run::Envoys;

/// How a case is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How long, in each round.
    pub window: Duration,
    /// How often.
    pub rounds: u32,
}

/// Not measured at the beginning of each stretch: caches and the core's clock have to come up first.
const RAMP: Duration = Duration::from_millis(200);

/// The cases with these names, or all that are not for demand only, and what they are compared with.
pub fn choose(all: Vec<Case>, only: &[String]) -> Result<Vec<Case>> {
    for wanted in only {
        if !all.iter().any(|case| case.is_named(wanted)) {
            let names: Vec<&str> = all.iter().map(|case| case.name.as_str()).collect();
            bail!("there is no case `{wanted}`; there are: {}", names.join(", "));
        }
    }
    let named = |case: &Case| match only {
        [] => !case.on_demand,
        // Whoever asks for a group gets all of it.
        _ => only.iter().any(|wanted| case.is_named(wanted)),
    };
    let counterparts: Vec<String> =
        all.iter().filter(|case| named(case)).filter_map(|case| case.native.clone()).collect();
    let compared = |case: &Case| case.name == cases::REFERENCE || counterparts.contains(&case.name);
    Ok(all.into_iter().filter(|case| named(case) || compared(case)).collect())
}

/// The cases with exactly these names, in their usual order.
pub fn pick(all: Vec<Case>, names: &[String]) -> Result<Vec<Case>> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|case| case.name == **name)) {
        bail!("there is no case `{unknown}`");
    }
    Ok(all.into_iter().filter(|case| names.contains(&case.name)).collect())
}

/// Measures these cases and says how it goes on standard error.
pub fn measure(cases: &[Case], effort: Effort) -> Result<Report> {
    let cores = Cores::find()?;
    let plan = Plan::new(cases);
    eprintln!("{}", cores.describe());
    eprintln!(
        "{} cases and {} baselines, {} rounds of {:.1} s each: about {}",
        cases.len(),
        plan.subjects.len() - cases.len(),
        effort.rounds,
        effort.window.as_secs_f64(),
        progress::spoken(estimate(&plan, effort)),
    );
    if let Some(load) = machine::load_average().filter(|load| *load > 0.5) {
        eprintln!("the machine was busy before this began (load {load:.1}): expect a larger spread");
    }

    let mut envoys = Envoys::new(cores.clone())?;
    let mut progress = Progress::new(estimate(&plan, effort));
    let mut numbers = Vec::new();
    for case in &plan.subjects {
        progress.show("starting and checking", &case.name);
        let number = envoys.start(case)?;
        envoys.check(number, case)?;
        numbers.push(number);
        progress.done(STARTED);
    }
    let mut places = vec![0; plan.subjects.len()];
    for (subject, case) in plan.subjects.iter().enumerate() {
        progress.show("warming up", &case.name);
        let span = warm_up(case, effort);
        envoys.drive(numbers[subject], case, &mut places[subject], span)?;
        progress.done(planned(span));
    }
    let mut rounds = Vec::new();
    for round in 0..effort.rounds {
        let mut measured: Vec<(usize, Driven)> = Vec::new();
        for subject in plan.round(round) {
            let case = &plan.subjects[subject];
            progress.show(&format!("round {} of {}", round + 1, effort.rounds), &case.name);
            let span = span(effort);
            measured.push((subject, envoys.drive(numbers[subject], case, &mut places[subject], span)?));
            progress.done(planned(span));
        }
        rounds.push(measured);
    }
    progress.end(envoys.count());
    let mut report = Report::new(&plan, &rounds);
    report.note("envoy", envoys.version()?.into());
    report.note("tidegate", env!("CARGO_PKG_VERSION").into());
    report.note("machine", machine::describe(&cores));
    report.note("seconds", effort.window.as_secs_f64().into());
    report.note("rounds", effort.rounds.into());
    Ok(report)
}

/// Starts the case's Envoy, and refuses the case if it does not show that its filters decide. Measures nothing.
pub fn check(case: &Case) -> Result<()> {
    let mut envoys = Envoys::new(Cores::Shared)?;
    let number = envoys.start(case)?;
    envoys.check(number, case)
}

/// Starting an Envoy and checking it takes about so long.
const STARTED: Duration = Duration::from_millis(1_200);

fn span(effort: Effort) -> Span {
    Span { ramp: RAMP.min(effort.window / 2), ramp_requests: 0, window: effort.window }
}

/// Code is compiled by V8 as it gets hot, tables fill: each request is sent with each key at least once.
fn warm_up(case: &Case, effort: Effort) -> Span {
    Span {
        ramp: effort.window.min(Duration::from_secs(1)),
        ramp_requests: case.load.cycle(),
        window: Duration::ZERO,
    }
}

/// How long a stretch takes at a rate that is easily reached.
fn planned(span: Span) -> Duration {
    const RATE: f64 = 25_000.0;
    span.ramp.max(Duration::from_secs_f64(span.ramp_requests as f64 / RATE)) + span.window
}

fn estimate(plan: &Plan, effort: Effort) -> Duration {
    let prepared: Duration = plan.subjects.iter().map(|case| STARTED + planned(warm_up(case, effort))).sum();
    let turns = u32::try_from(plan.round(0).len()).unwrap_or(u32::MAX);
    prepared + planned(span(effort)) * turns * effort.rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: &[&str]) -> Vec<String> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        choose(cases::all(), &only).unwrap().into_iter().map(|case| case.name).collect()
    }

    #[test]
    fn a_group_is_chosen_by_the_segments_that_it_begins_with() {
        assert_eq!(chosen(&["auth"]), ["empty-sdk", "auth", "auth/native", "auth/lua"]);
        assert!(chosen(&["rate-limit"]).contains(&"rate-limit/million-keys".to_owned()));
    }

    #[test]
    fn a_case_brings_what_it_is_compared_with() {
        assert_eq!(chosen(&["rate-limit/one-key"]), ["empty-sdk", "rate-limit/native", "rate-limit/one-key"]);
    }

    #[test]
    fn what_is_on_demand_is_left_out_of_the_whole() {
        let all = chosen(&[]);
        assert!(all.contains(&"chain/lua".to_owned()));
        assert!(!all.contains(&"rate-limit/million-keys".to_owned()));
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let error = choose(cases::all(), &["aut".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("there is no case `aut`; there are: empty-sdk, empty-sdk/pruned, auth, "));
    }
}
