//! Tables for people.

use std::fmt::Write as _;

use super::report::{Report, Row};

/// Figures of one run.
pub(super) fn of(report: &Report) -> String {
    let width = width(report);
    let mut text = format!(
        "{:width$}  {:>8}  {:>6}  {:>10}  {:>7}  {:>8}\n",
        "", "added µs", "±", "requests/s", "× empty", "× native"
    );
    for row in &report.rows {
        let added =
            if row.is_baseline() { format!("({:.1})", row.cpu_us) } else { format!("{:.1}", row.added_us) };
        line(
            &mut text,
            &[
                format!("{:width$}", row.name),
                format!("{added:>8}"),
                format!("{:>6.1}", row.spread_us),
                format!("{:>10.0}", row.rps),
                format!("{:>7}", times(row.times_empty)),
                format!("{:>8}", times(row.times_native)),
            ],
        );
    }
    text.push_str("in brackets: a request in all, without any filter; ±: half of the rounds lie this near\n");
    let waiting: Vec<&str> =
        report.rows.iter().filter(|row| !row.is_saturated()).map(|row| row.name.as_str()).collect();
    if !waiting.is_empty() {
        let who = if waiting.len() == report.rows.len() { "all".to_owned() } else { waiting.join(", ") };
        line(
            &mut text,
            &[format!(
                "less certain, because Envoy had less than 90 % of its core or waited for requests: {who}"
            )],
        );
    }
    text
}

/// What changed since a run called `name`.
pub(super) fn against(now: &Report, before: &Report, name: &str) -> String {
    let width = width(now);
    let mut text = format!("{:width$}  {:>12}  {:>8}  {:>8}\n", "", format!("{name} µs"), "now µs", "change");
    for row in now.rows.iter().filter(|row| !row.is_baseline()) {
        let Some(old) = before.rows.iter().find(|old| old.name == row.name) else {
            line(
                &mut text,
                &[format!("{:width$}", row.name), format!("{:>12}", "–"), format!("{:>8.1}", row.added_us)],
            );
            continue;
        };
        line(
            &mut text,
            &[
                format!("{:width$}", row.name),
                format!("{:>12.1}", old.added_us),
                format!("{:>8.1}", row.added_us),
                format!("{:>+8.1}", row.added_us - old.added_us),
                change(old, row),
            ],
        );
    }
    text
}

/// In percent, unless it is too small to be told from noise.
fn change(old: &Row, new: &Row) -> String {
    let change = new.added_us - old.added_us;
    if change.abs() <= old.spread_us + new.spread_us {
        "within the spread".to_owned()
    } else if old.added_us > 0.0 {
        format!("{:>+6.0} %", change / old.added_us * 100.0)
    } else {
        String::new()
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}"))
}

fn width(report: &Report) -> usize {
    report.rows.iter().map(|row| row.name.len()).max().unwrap_or_default()
}

fn line(text: &mut String, cells: &[String]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", cells.join("  ").trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, added_us: f64, spread_us: f64) -> Row {
        Row {
            name: name.to_owned(),
            added_us,
            spread_us,
            cpu_us: 16.0 + added_us,
            rps: 50_000.0,
            busy: 1.0,
            ..Row::default()
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let mut report = Report::default();
        report.rows = rows;
        report
    }

    #[test]
    fn a_run_is_a_table() {
        let auth =
            Row { times_empty: Some(2.04), times_native: Some(5.0), busy: 0.5, ..row("auth", 6.1, 0.2) };
        let table = of(&report(vec![row("none", 0.0, 0.3), auth]));
        assert_eq!(
            table,
            "      added µs       ±  requests/s  × empty  × native\n\
             none    (16.0)     0.3       50000        –         –\n\
             auth       6.1     0.2       50000      2.0       5.0\n\
             in brackets: a request in all, without any filter; ±: half of the rounds lie this near\n\
             less certain, because Envoy had less than 90 % of its core or waited for requests: auth\n"
        );
    }

    #[test]
    fn a_change_is_told_from_noise() {
        let before = report(vec![row("none", 0.0, 0.1), row("auth", 6.0, 0.2), row("chain", 20.0, 0.5)]);
        let now = report(vec![
            row("none", 0.0, 0.1),
            row("auth", 5.7, 0.2),
            row("chain", 10.0, 0.5),
            row("suite", 9.0, 0.5),
        ]);
        assert_eq!(
            against(&now, &before, "main"),
            "            main µs    now µs    change\n\
             auth            6.0       5.7      -0.3  within the spread\n\
             chain          20.0      10.0     -10.0     -50 %\n\
             suite             –       9.0\n"
        );
    }
}
