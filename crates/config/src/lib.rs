//! Decodes configuration documents.
//!
//! A document is JSON, or a `google.protobuf.Struct` in binary: Envoy passes on whichever its configuration holds. Decoding reports **every** error
//! at once, each with its path, what was expected and what was found; unknown keys are errors; nothing is half
//! loaded. Decoding is a pure function of the document's bytes and of the module's environment, which is the same in
//! every worker: Envoy configures each on its own, and one that disagreed with the others would let requests through
//! unfiltered.
//!
//! Values of a type with secrets are never quoted in an error: see [`Cursor::expected_secret`].

mod cursor;
mod document;
mod error;
mod json;
mod structure;
mod values;

pub use cursor::{Cursor, Decode, Object, Variant, fill, one_of, unique_names};
pub use document::parse_json;
pub use error::{Environment, Error, Errors};
pub use values::{
    Cidr, DigestError, Duration, Fraction, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue,
    Name, Secret, Sha256Digest,
};

/// Decodes `document` where there are no environment variables, or says everything that is wrong with it.
///
/// # Errors
/// All of them, in the order of the document.
pub fn decode<T: Decode>(document: &[u8]) -> Result<T, Errors> {
    decode_in(document, &|_| None)
}

/// Decodes `document`, with secrets from `environment`, or says everything that is wrong with it.
///
/// # Errors
/// All of them, in the order of the document.
pub fn decode_in<T: Decode>(document: &[u8], environment: &Environment<'_>) -> Result<T, Errors> {
    let value = document::parse(document).map_err(Errors::from)?;
    let report = error::Report::new(environment);
    let decoded = T::decode(Cursor::root(&value, &report));
    report.finish(decoded)
}

#[cfg(test)]
mod tests;
