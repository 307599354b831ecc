//! Rate limiting: how many requests, per key, in what time.
//!
//! Quotas are decided by GCRA over state in the host's shared data: exact across the workers of a process. Memory is
//! bounded by `table.max_keys`, whatever clients send, and no key is forgotten while it still says something.

mod config;
mod filter;
mod gcra;
mod key;
mod table;

pub use config::Config;
pub use filter::RateLimit;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(RateLimit);
