use std::time::Duration;

use super::*;
use crate::bench::case::{Case, Setup};
use crate::bench::load::{Load, Request};

/// `requests` in one second that took so many CPU microseconds each.
fn driven(requests: u64, cpu_us: u64) -> Driven {
    let cpu = Duration::from_micros(requests * cpu_us);
    Driven { all: requests + 16, requests, cpu, wall: Duration::from_secs(1) }
}

/// The baseline takes 16, 17 and 16 µs; three cases take more.
fn report() -> Report {
    let case = |name: &str| Case::new(name, "", Load::of(Request::to("/")), Setup::default);
    let plan = Plan::new(&[case("empty-sdk"), case("auth").native("auth/native"), case("auth/native")]);
    let round = |base: u64| {
        let of = |subject: usize, cpu_us: u64| (subject, driven(50_000, cpu_us));
        vec![of(0, base), of(1, base + 3), of(2, base + 6), of(3, base + 1), of(0, base)]
    };
    Report::new(&plan, &[round(16), round(17), round(16)])
}

fn row(report: &Report, name: &str) -> Row {
    report.rows.iter().find(|row| row.name == name).unwrap().clone()
}

#[test]
fn what_is_added_is_the_difference_within_a_round() {
    let report = report();
    let auth = row(&report, "auth");
    assert_eq!((auth.added_us, auth.spread_us, auth.cpu_us), (6.0, 0.0, 22.0));
    assert_eq!((auth.rps, auth.runs), (50_000.0, 3));
    assert_eq!(auth.added_us_per_run, [6.0, 6.0, 6.0]);
    assert_eq!((auth.times_empty, auth.times_native), (Some(2.0), Some(6.0)));
    assert!(auth.is_saturated());
}

#[test]
fn a_baseline_adds_nothing_and_has_no_ratio() {
    let none = row(&report(), "none");
    assert!(none.is_baseline());
    assert_eq!((none.added_us, none.cpu_us, none.spread_us), (0.0, 16.0, 0.0));
    assert_eq!((none.times_empty, none.times_native), (None, None));
}

#[test]
fn an_envoy_that_waited_is_not_saturated() {
    let row = Row { busy: 0.5, ..Row::default() };
    assert!(!row.is_saturated());
}

#[test]
fn the_json_has_the_promised_shape() {
    let mut report = report();
    report.note("envoy", "1.40.0".into());
    let json = report.to_json();
    assert_eq!(json["envoy"], "1.40.0");
    let auth = json["cases"].as_array().unwrap().iter().find(|case| case["name"] == "auth").unwrap();
    assert_eq!(
        *auth,
        json!({
            "name": "auth", "added_us": 6.0, "rps": 50_000.0, "runs": 3, "spread_us": 0.0, "cpu_us": 22.0,
            "busy": 1.1, "times_empty": 2.0, "times_native": 6.0, "added_us_per_run": [6.0, 6.0, 6.0],
        })
    );
}

#[test]
fn what_was_written_is_read_again() {
    let mut report = report();
    report.note("rounds", 3.into());
    // To the nanosecond: what is read again is what the file holds.
    let written = Report::from_json(report.to_json()).unwrap();
    assert_eq!(written.to_json(), report.to_json());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/latest.json");
    report.write(&file).unwrap();
    let text = fs::read(file).unwrap();
    assert_eq!(Report::from_json(serde_json::from_slice(&text).unwrap()).unwrap(), written);
}

#[test]
fn what_is_no_report_is_refused() {
    assert!(Report::from_json(json!({})).is_err());
    assert!(Report::from_json(json!([1])).is_err());
    assert!(Report::from_json(json!({"cases": [{"name": "auth"}]})).is_err());
}

#[test]
fn a_name_stays_in_its_folder() {
    assert!(file("before-1.2_x").unwrap().ends_with("target/bench/before-1.2_x.json"));
    for name in ["", "..", "../x", "a/b", ".hidden"] {
        assert!(file(name).is_err(), "{name}");
    }
}
