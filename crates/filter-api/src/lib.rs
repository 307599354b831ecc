//! What a filter may see and say.
//!
//! A [`Filter`] decides with plain code over an [`Exchange`] (one request and its response) and its configuration.
//! It answers with a [`Flow`]; edits to headers are collected on the exchange. Whoever runs the filter (`proxy-host`
//! in Envoy, `testkit` in tests) performs them. Time and shared state are reached through [`Host`].
//!
//! Names no SDK, does no I/O and reads no clock of its own.

mod callbacks;
mod claims;
mod edits;
mod exchange;
mod filter;
mod flow;
mod headers;
mod host;
mod http_date;

pub use callbacks::Callbacks;
pub use claims::Claims;
pub use edits::{Edit, EditKind};
pub use exchange::Exchange;
pub use filter::Filter;
pub use flow::{
    BodyPiece, CallToken, Callout, CalloutFailure, CalloutResponse, CalloutResult, Flow, GrpcCall,
    GrpcStatus, HttpCall, LocalReply,
};
pub use headers::{HeaderBlock, Headers, MalformedHeaders, Pairs, Values, is_spelling_of};
pub use host::{Cas, Clock, Host, HostError, MetricId, MetricKind, Property, SharedValue, Timestamp};
pub use http_date::http_date;
