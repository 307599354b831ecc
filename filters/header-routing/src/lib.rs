//! Header routing: which rule a request matches decides which route it takes.
//!
//! The chosen route stands in a header for Envoy's routes to match on, and in filter state that no client can forge.
//! What a client sent in that header never arrives.

mod config;
mod filter;

pub use config::Config;
pub use filter::HeaderRouting;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(HeaderRouting);
