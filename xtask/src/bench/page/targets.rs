//! What is to be reached, and whether it is.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use e2e::bench::cases::floor;
use e2e::bench::report::Report;

/// The figure of one case, as so many times that of another.
struct Target {
    what: &'static str,
    case: &'static str,
    to: &'static str,
    most: f64,
}

const fn target(what: &'static str, case: &'static str, to: &'static str, most: f64) -> Target {
    Target { what, case, to, most }
}

const TARGETS: [Target; 17] = [
    target("suite with all four, to the native chain", "suite", "chain/native", 1.25),
    target("suite with all four, to the four modules in a row", "suite", "chain", 0.5),
    target("suite without telemetry, to Lua doing the same", "suite/no-metrics", "chain/lua", 1.1),
    target("auth, to the empty SDK filter", "auth", EMPTY, 2.0),
    target("rate-limit, to the empty SDK filter", "rate-limit", EMPTY, 2.0),
    target("header-routing, to the empty SDK filter", "header-routing", EMPTY, 2.0),
    target("telemetry, to the empty SDK filter", "telemetry", EMPTY, 2.0),
    target(
        "10,000 rules to 10, exact paths",
        "header-routing/rules/exact/10000",
        "header-routing/rules/exact/10",
        GROWTH,
    ),
    target(
        "10,000 rules to 10, prefixes",
        "header-routing/rules/prefix/10000",
        "header-routing/rules/prefix/10",
        GROWTH,
    ),
    target(
        "10,000 rules to 10, templates",
        "header-routing/rules/template/10000",
        "header-routing/rules/template/10",
        GROWTH,
    ),
    target(
        "10,000 rules to 10, regular expressions",
        "header-routing/rules/regex/10000",
        "header-routing/rules/regex/10",
        GROWTH,
    ),
    target(
        "10,000 rules to 10, mixed",
        "header-routing/rules/mixed/10000",
        "header-routing/rules/mixed/10",
        GROWTH,
    ),
    target("10,000 auth rules to 10", "auth-rules/10000", "auth-rules/10", GROWTH),
    target("1,000,000 keys to one", "rate-limit/million-keys", "rate-limit/one-key", GROWTH),
    target("RS256 at first sight, to jwt_authn", "auth-jwt/rs256-first", "auth-jwt/rs256-first/native", 1.0),
    target("ES256 at first sight, to jwt_authn", "auth-jwt/es256-first", "auth-jwt/es256-first/native", 1.0),
    target("a token seen before, to the empty SDK filter", "auth-jwt/rs256-again", EMPTY, 2.0),
];

const EMPTY: &str = "empty-sdk";
const GROWTH: f64 = 1.2;

/// Measured in the same run: what has a target is to be seen beside what does the same, or less.
const BESIDE: [&str; 29] = [
    "empty-sdk/pruned",
    "auth/native",
    "auth/lua",
    "auth-rules/10/native",
    "auth-rules/10000/native",
    "auth-jwt/rs256-again/native",
    "auth-jwt/es256-again",
    "auth-jwt/es256-again/native",
    "rate-limit/native",
    "rate-limit/lua",
    "rate-limit/native-one-bucket",
    "rate-limit/headers",
    "rate-limit/four-quotas",
    "rate-limit/ten-limits",
    "header-routing/native",
    "header-routing/lua",
    "telemetry/native",
    "suite/floor",
    "chain/no-metrics",
    "chain/native-no-metrics",
    "chain/30-headers",
    "suite/30-headers",
    "chain/native/30-headers",
    "chain/two-workers",
    "suite/two-workers",
    "chain/native/two-workers",
    "chain/upstream",
    "suite/upstream",
    "chain/native/upstream",
];

/// KiB that a module may have.
const MOST_KIB: usize = 300;
const MOST_KIB_OF_SUITE: usize = 800;

/// The names of all cases that the page shows beside the targets.
pub(super) fn cases() -> Vec<String> {
    let targets = TARGETS.iter().flat_map(|target| [target.case, target.to]);
    let mut names: Vec<String> = targets.chain(BESIDE).map(str::to_owned).collect();
    names.extend(floor::PARTS.iter().map(floor::Part::case));
    names.sort_unstable();
    names.dedup();
    names
}

/// As Markdown.
pub(super) fn table(report: &Report, sizes: &[(&str, usize)]) -> Result<String> {
    let added = |name: &str| added(report, name);
    let mut text = "| what | µs | to µs | times | target | |\n|---|---|---|---|---|---|\n".to_owned();
    for target in &TARGETS {
        let (own, other) = (added(target.case)?, added(target.to)?);
        let times = own / other;
        writeln!(
            text,
            "| {} | {own:.1} | {other:.1} | {times:.2} | ≤ {} | {} |",
            target.what,
            target.most,
            verdict(times <= target.most),
        )?;
    }
    text.push_str("\n| module | KiB | target | |\n|---|---|---|---|\n");
    for (name, bytes) in sizes {
        let most = if *name == "suite" { MOST_KIB_OF_SUITE } else { MOST_KIB };
        let kib = bytes.div_ceil(1024);
        writeln!(text, "| {name} | {kib} | ≤ {most} | {} |", verdict(kib <= most))?;
    }
    Ok(text)
}

/// What the calls to Envoy are of the suite's cost, as Markdown: each kind by what is saved without it.
pub(super) fn floor(report: &Report) -> Result<String> {
    let whole = added(report, floor::WHOLE)?;
    let mut text = "| calls that the suite makes for a request | µs |\n|---|---|\n".to_owned();
    for part in &floor::PARTS {
        writeln!(text, "| {} | {:.1} |", part.about, whole - added(report, &part.case())?)?;
    }
    writeln!(text, "| all of them, and entering the module five times | {whole:.1} |")?;
    Ok(text)
}

fn added(report: &Report, name: &str) -> Result<f64> {
    let row = report.rows.iter().find(|row| row.name == name);
    row.map(|row| row.added_us).with_context(|| format!("{name} was not measured"))
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "**missed**" }
}

#[cfg(test)]
mod tests {
    use e2e::bench::report::Row;

    use super::*;

    #[test]
    fn what_is_missed_is_said() {
        let mut report = Report::default();
        for name in cases() {
            let added_us = if name == "suite" { 4.0 } else { 2.0 };
            report.rows.push(Row { name, added_us, ..Row::default() });
        }
        let table = table(&report, &[("auth", 300 * 1024 + 1), ("suite", 800 * 1024)]).unwrap();
        for line in [
            "| suite with all four, to the native chain | 4.0 | 2.0 | 2.00 | ≤ 1.25 | **missed** |\n",
            "| auth, to the empty SDK filter | 2.0 | 2.0 | 1.00 | ≤ 2 | reached |\n",
            "| auth | 301 | ≤ 300 | **missed** |\n| suite | 800 | ≤ 800 | reached |\n",
        ] {
            assert!(table.contains(line), "{line} in {table}");
        }
    }

    #[test]
    fn a_kind_of_calls_is_what_is_saved_without_it() {
        let mut report = Report::default();
        for name in cases() {
            let added_us = if name == "suite/floor/without-time" { 7.5 } else { 8.0 };
            report.rows.push(Row { name, added_us, ..Row::default() });
        }
        let table = floor(&report).unwrap();
        assert!(
            table.contains("| the time | 0.5 |\n| the bucket of the key, read and written | 0.0 |\n"),
            "{table}"
        );
    }

    #[test]
    fn what_was_not_measured_is_no_figure() {
        assert!(floor(&Report::default()).is_err());
        assert!(table(&Report::default(), &[]).is_err());
    }
}
