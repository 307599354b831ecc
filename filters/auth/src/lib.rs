//! Auth checks: who is calling, and whether they may.
//!
//! [`Config`] names providers (ways to prove an identity) and rules. A request is looked at once: `selection` says which
//! rules concern it, `evaluation` what they come to, `forward` what of it goes on. Secrets are held as digests or read from
//! the environment, and compared in constant time. Rules look at the normalised path; paths that some server may read
//! otherwise are refused. Identity headers that a client sent never arrive.

mod api_key;
mod basic;
mod bounded;
mod config;
mod credential;
mod digest_index;
mod entitlement;
mod evaluation;
mod external;
mod filter;
mod forward;
mod identity;
mod jwt;
mod peer;
mod provider;
mod reply;
mod requirement;
mod selection;
mod signed_request;
mod source;

pub use config::Config;
pub use evaluation::Stream;
pub use filter::Auth;

#[cfg(all(target_arch = "wasm32", feature = "module"))]
tidegate_proxy_host::export_filter!(Auth);
