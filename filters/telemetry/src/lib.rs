//! Custom telemetry: metrics and access logs from configuration, with a bound on everything.
//!
//! Label values come from clients: they are cleaned so that none can forge a label, and the number of series is bounded;
//! what does not fit counts in one overflow series per metric.

mod access_log;
mod attribute;
mod config;
mod filter;
mod series;

pub use config::Config;
pub use filter::Telemetry;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(Telemetry);
