//! Real Envoys around the real modules: what starts them, talks to them and reads what came of it.
//!
//! Tests live in `tests/tests/`, scenario files in `tests/scenarios/`. `cargo xtask up` and `cargo xtask bench` use the
//! same parts. Everything listens on loopback, on ports that the kernel chose; everything started is stopped with the
//! value that stands for it, and with this process.

pub mod bench;
pub mod bootstrap;
pub mod client;
pub mod companions;
pub mod envoy;
pub mod files;
pub mod guide;
pub mod image;
pub mod linkerd;
pub mod namespace;
pub mod process;
pub mod schemas;
pub mod target;
pub mod tools;
pub mod up;
pub mod upstream;
