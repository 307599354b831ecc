//! Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding/>): messages as fields with numbers.
//!
//! The few messages that filters send and read (a plugin's `Struct`, the rate limit and authorization services) are
//! written and read field by field: generated code would weigh more than a whole filter.

mod read;
mod write;

pub use read::{Fields, Malformed, Value, fields};
pub use write::Message;

#[cfg(test)]
mod tests;
