//! JSON Web Tokens, keys and signatures (RFC 7515, 7517, 7518, 7519, 8037), strictly (RFC 8725).
//!
//! [`Token`] is a token taken apart, [`KeySet`] the keys of an issuer, [`verify()`] the question whether one fits the other,
//! and [`Validation`] what the claims must say. Signatures are verified by the host's cryptography where a [`Crypto`] offers
//! it, in pure Rust where it does not.
//!
//! Knows no time and fetches nothing. Nothing here shows a token, a key or a claim: faults are fixed texts.

mod algorithm;
mod base64;
mod der;
mod fault;
mod json;
mod jwk;
mod key;
mod key_set;
mod token;
mod validation;
mod verify;

pub use algorithm::{Algorithm, Curve, Hash};
pub use base64::{base64, base64url};
pub use fault::{Fault, KeyFault};
pub use json::parse_object;
pub use jwk::Jwk;
pub use key::Key;
pub use key_set::KeySet;
pub use token::{Header, Token};
pub use validation::{Lifetime, Validation};
pub use verify::{Crypto, EnvoyCrypto, PureRust, hmac, hmac_is, verify};
