//! Vectors as cases. Shared with the tests in real Envoys.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "vectors that cannot be read fail the test")]

pub(crate) mod jose;
pub(crate) mod primitives;
pub(crate) mod rfc;

use tidegate_jose::{Algorithm, Key};

/// A signature and whether it is one.
pub(crate) struct Case {
    /// File, number and comment of the vector.
    pub(crate) name: String,
    /// `None` if the key itself is refused.
    pub(crate) key: Option<Key>,
    /// The key as a JWK.
    pub(crate) jwk: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) text: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) valid: bool,
}
