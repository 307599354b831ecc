//! Rate limiting: how many requests, per key, in what time.
//!
//! Quotas are decided by GCRA over state in the host's shared data: exact across the workers of a process. Memory is
//! bounded by `table.max_keys`, whatever clients send, and no key is forgotten while it still says something.
//!
//! The arithmetic and the memory are in `tidegate_quota`. `view` says which limits apply to a request, `limiter` is one
//! limit at work, `filter` the phases of a request: what follows a decision is in `settle` (costs and leases), `tell`
//! (what clients are told) and `ask` (the rate limit service).

mod ask;
mod config;
mod filter;
mod key;
mod limiter;
mod metrics;
mod policy;
mod refusal;
mod service;
mod settle;
mod tell;
mod usage;
mod view;

pub use config::Config;
pub use filter::RateLimit;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(RateLimit);
