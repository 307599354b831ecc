//! Digests of secrets: what a configuration holds instead of the secret.

use std::fmt;

use crate::cursor::{Cursor, Decode};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits. Prints as `[redacted]`: a digest of a weak key gives
/// the key away.
#[derive(Clone, PartialEq, Eq)]
pub struct Sha256Digest([u8; 32]);

/// Not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestError;

impl Sha256Digest {
    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// If `text` is anything else.
    pub fn from_hex(text: &str) -> Result<Self, DigestError> {
        let digits: Vec<u8> = text.bytes().map(hex_digit).collect::<Option<_>>().ok_or(DigestError)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        match (<[u8; 32]>::try_from(bytes), rest) {
            (Ok(bytes), []) => Ok(Self(bytes)),
            _ => Err(DigestError),
        }
    }

    /// The digest's bytes. Compare them in constant time.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl Decode for Sha256Digest {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.as_str().and_then(|text| Self::from_hex(text).ok()).or_else(|| {
            cursor.expected_secret("64 lower-case hexadecimal digits (printf %s KEY | sha256sum)")
        })
    }
}
