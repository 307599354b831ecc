//! Tools for tests: a fake host whose clock tests move.
//!
//! Development only: no filter depends on it outside of tests.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so at once")]

pub mod allocations;
pub mod fake;
pub mod scenario;
pub mod tokens;
