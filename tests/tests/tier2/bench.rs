//! The bench measures what it says, and refuses what it cannot. How fast anything is, no test says.

use std::time::Duration;

use e2e::bench::case::{Case, Expected, Setup};
use e2e::bench::load::{Load, Request};
use e2e::bench::{self, Effort, cases};
use libtest_mimic::{Failed, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("bench::a_case_is_measured", a_case_is_measured),
        Trial::test("bench::a_case_without_its_filter_is_refused", without_its_filter),
        Trial::test("bench::a_case_without_a_check_is_refused", without_a_check),
        Trial::test("bench::requests_that_go_past_the_filter_are_noticed", past_the_filter),
        Trial::test("bench::an_answer_that_was_not_expected_is_noticed", unexpected_answer),
    ];
    // Filters change; what the bench says of them must go on being true.
    for case in cases::all() {
        trials.push(Trial::test(format!("bench::checks::{}", case.name), move || Ok(bench::check(&case)?)));
    }
    trials
}

const EFFORT: Effort = Effort { window: Duration::from_millis(100), rounds: 2 };

fn case(name: &str) -> Result<Case, Failed> {
    Ok(cases::all().into_iter().find(|case| case.name == name).ok_or("no such case")?)
}

fn a_case_is_measured() -> Result<(), Failed> {
    let chosen = bench::choose(cases::all(), &["auth/native".to_owned()])?;
    let json = bench::measure(&chosen, EFFORT)?.to_json();
    let rows = json["cases"].as_array().ok_or("no cases")?;
    let names: Vec<_> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    if names != ["none", "empty-sdk", "auth/native"] {
        return Err(format!("rows of {names:?}").into());
    }
    for row in rows {
        let positive = |key: &str| row[key].as_f64().is_some_and(|figure| figure > 0.0);
        let baseline = row["name"] == "none";
        let runs = row["added_us_per_run"].as_array().map(Vec::len);
        let plausible = row["added_us"].is_f64()
            && (row["added_us"] == 0.0) == baseline
            && positive("rps")
            && positive("cpu_us")
            && positive("busy")
            && row["runs"] == EFFORT.rounds
            && runs == Some(if baseline { 0 } else { EFFORT.rounds as usize });
        if !plausible {
            return Err(format!("{row:#}").into());
        }
    }
    let envoy = json["envoy"].as_str().unwrap_or_default();
    if !envoy.contains("1.") || !json["machine"]["cores"].is_u64() {
        return Err(format!("{json:#}").into());
    }
    Ok(())
}

fn without_its_filter() -> Result<(), Failed> {
    let auth = case("auth")?;
    let mut broken = Case::new("auth", "", auth.load.clone(), Setup::default);
    broken.checks = auth.checks;
    refused(&broken, "case auth is not measured: it does not show that a request without a key is refused")?;
    refused(&broken, "status: expected 401, seen 200")
}

fn without_a_check() -> Result<(), Failed> {
    let mut broken = case("auth/native")?;
    broken.checks.clear();
    refused(&broken, "case auth/native has no check")
}

fn past_the_filter() -> Result<(), Failed> {
    let broken = case("auth/native")?.counted_by("api_key_auth.unauthorized");
    refused(&broken, "requests went past it: the counter api_key_auth.unauthorized: expected")
}

fn unexpected_answer() -> Result<(), Failed> {
    let mut broken = case("auth/native")?;
    broken.load = Load::of(Request::to("/api")).keys(10);
    broken.checks.retain(|check| matches!(check.expected, Expected::Status(401)));
    refused(&broken, "a request was answered with 401, not 200")
}

/// What is refused is not measured, and it says why.
fn refused(case: &Case, why: &str) -> Result<(), Failed> {
    match bench::measure(std::slice::from_ref(case), EFFORT) {
        Ok(report) => Err(format!("it was measured:\n{}", report.table()).into()),
        Err(error) if format!("{error:#}").contains(why) => Ok(()),
        Err(error) => Err(format!("expected {why:?} in:\n{error:#}").into()),
    }
}
