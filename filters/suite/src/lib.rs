//! All four filters in one module: one crossing into the VM per phase, one snapshot of the headers, edits made once.
//!
//! Decides nothing itself. [`Suite`] hands each phase to the filters it was configured with, in order, and what one of
//! them finds out about a request reaches the next inside the module.

mod config;
mod filter;
mod member;
mod shared_host;

pub use config::Config;
pub use filter::Suite;

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Suite);
