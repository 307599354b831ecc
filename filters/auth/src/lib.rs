//! Auth checks: who is calling, and whether they may.
//!
//! API keys are held as SHA-256 digests and compared in constant time. Rules decide on the normalised path; paths that
//! some server may read otherwise are refused. Identity headers that a client sent never arrive.

mod api_key;
mod config;
mod filter;
mod reply;

pub use config::Config;
pub use filter::Auth;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(Auth);
