//! Scenario files: configuration, requests and what must come of them, replayed on any [`Target`].
//!
//! The same files run against the fake host and against real Envoys, so what the unit tests believe of a host is what
//! Envoy does. The format is in `tests/scenarios/README.md`; unknown keys are refused, so a misspelt expectation cannot
//! pass for a met one.

mod bytes;
mod check;
mod file;
mod run;
mod target;

#[cfg(test)]
mod tests;

pub use bytes::{shown, unescape};
pub use file::{Expect, RequestSpec, Scenario, Step};
pub use run::{refusal, run};
pub use target::{Request, Response, Target};
