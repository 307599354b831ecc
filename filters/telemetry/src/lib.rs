//! Custom telemetry: metrics, access logs and traces from configuration, with a bound on everything.
//!
//! Label values come from clients: they are cleaned so that none can forge a label, and the number of series is bounded;
//! what does not fit is counted in one overflow series per metric. Records for a collector wait in queues that drop their
//! oldest. Nothing here ever holds a request, answers one, or decides about one.

mod access_log;
mod attribute;
mod clock;
mod config;
mod filter;
mod ids;
mod metrics;
mod names;
mod otlp;
mod record;
mod redact;
mod source;
mod span;
mod time;
mod trace;
mod view;

pub use config::Config;
pub use filter::{Stream, Telemetry};
pub use names::{Histogram, confused_by_istio, stats_tag};

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(Telemetry);
