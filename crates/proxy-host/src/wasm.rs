//! The wasm32 half: host calls, the SDK's contexts, callouts.

mod abi;
mod callouts;
mod contexts;
mod envoy;
mod logger;

pub use contexts::start;
pub use tidegate_filter_api::Filter;
