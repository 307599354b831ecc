//! Header routing: which rule a request matches decides where it goes, and with what changes.
//!
//! The chosen route stands in a header for Envoy's routes to match on, and in filter state that no client can forge.
//! What a client sent in that header never arrives, unless the configuration trusts the sender.
//!
//! `config` reads rules and what they do; `value` builds texts from what a request holds; `split` shares keys out
//! among arms; `filter` decides; [`explain`](explain()) says why.

mod actions;
mod config;
mod edits;
mod explain;
mod fallback;
mod filter;
mod metrics;
mod redirect;
mod rewrite;
mod split;
mod value;
mod warnings;

pub use config::Config;
pub use explain::{Explanation, RuleExplanation, Verdict, explain};
pub use filter::HeaderRouting;
pub use warnings::warnings;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(HeaderRouting);
