//! Expectations against what was seen.

use std::fmt::Debug;

use super::bytes::{shown, unescape};
use super::file::Expect;
use super::target::{Response, Target};

/// Mismatches of one response.
pub(super) fn response(expect: &Expect, response: &Response) -> Vec<String> {
    let mut found = Found::default();
    if let Some(status) = expect.status {
        found.compare("status", &status, &response.status);
    }
    for (name, value) in &expect.headers {
        found.compare(&format!("header {name}"), &Some(shown(&unescape(value))), &response.header(name));
    }
    for (name, part) in &expect.header_contains {
        let value = response.header(name).unwrap_or_default();
        if !value.contains(part) {
            found.add(&format!("header {name}"), &format_args!("{part:?} in it"), &format_args!("{value:?}"));
        }
    }
    for (name, (least, most)) in &expect.header_between {
        let value = response.header(name);
        let number = value.as_deref().and_then(|value| value.parse::<u64>().ok());
        if !number.is_some_and(|number| (*least..=*most).contains(&number)) {
            found.add(
                &format!("header {name}"),
                &format_args!("{least} to {most}"),
                &format_args!("{value:?}"),
            );
        }
    }
    for name in &expect.absent_headers {
        found.compare(&format!("header {name}"), &None, &response.header(name));
    }
    if let Some(part) = &expect.body_contains {
        let body = String::from_utf8_lossy(&response.body);
        if !body.contains(part) {
            found.add("body", &format_args!("{part:?} in it"), &format_args!("{body:?}"));
        }
    }
    if let Some(reached) = &expect.reached {
        found.compare("reached", &reached.as_str(), &response.reached.as_deref().unwrap_or("nobody"));
    }
    for (name, value) in &expect.upstream_headers {
        found.compare(
            &format!("upstream header {name}"),
            &Some(shown(&unescape(value))),
            &response.upstream_header(name),
        );
    }
    // Where nobody was reached there are no upstream headers at all: that would prove nothing.
    if !expect.upstream_absent.is_empty() && response.reached.is_none() {
        found.add("upstream_absent", &format_args!("a backend that answers"), &format_args!("none"));
    }
    for name in &expect.upstream_absent {
        found.compare(&format!("upstream header {name}"), &None, &response.upstream_header(name));
    }
    if let Some(status) = expect.grpc_status {
        found.compare("grpc-status", &Some(status), &response.grpc_status);
    }
    found.mismatches
}

/// Mismatches of metrics and log, after the target had the time it asks for.
pub(super) fn traces(expect: &Expect, target: &mut dyn Target) -> Vec<String> {
    let mut looks = 0;
    loop {
        let mut found = Found::default();
        for (name, total) in &expect.metrics {
            found.compare(&format!("metric {name}"), total, &target.metric(name));
        }
        if !expect.log_contains.is_empty() || !expect.log_lacks.is_empty() {
            let log = target.log();
            for text in expect.log_contains.iter().filter(|text| !log.contains(text.as_str())) {
                found.add("log", &format_args!("{text:?} in it"), &format_args!("\n{log}"));
            }
            for text in expect.log_lacks.iter().filter(|text| log.contains(text.as_str())) {
                found.add("log", &format_args!("{text:?} not in it"), &format_args!("\n{log}"));
            }
        }
        looks += 1;
        if found.mismatches.is_empty() || !target.look_again(looks) {
            return found.mismatches;
        }
    }
}

#[derive(Default)]
struct Found {
    mismatches: Vec<String>,
}

impl Found {
    fn compare<T: PartialEq + Debug>(&mut self, what: &str, expected: &T, seen: &T) {
        if expected != seen {
            self.add(what, &format_args!("{expected:?}"), &format_args!("{seen:?}"));
        }
    }

    fn add(&mut self, what: &str, expected: &std::fmt::Arguments<'_>, seen: &std::fmt::Arguments<'_>) {
        self.mismatches.push(format!("{what}: expected {expected}, seen {seen}"));
    }
}
