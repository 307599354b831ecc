//! Header names and values (RFC 9110 section 5).

use std::fmt;

use crate::cursor::{Cursor, Decode};

/// A header's name in lower case, as HTTP/2 and Envoy carry it. Configured `X-Role` matches wire `x-role`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(Box<str>);

/// Not an RFC 9110 token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHeaderName;

impl HeaderName {
    /// A header name from text of any case.
    ///
    /// # Errors
    /// If the text is not an RFC 9110 token, or longer than 256 characters. Pseudo-headers (`:path`) are no tokens.
    pub fn new(text: &str) -> Result<Self, InvalidHeaderName> {
        if !(1..=256).contains(&text.len()) || !text.bytes().all(is_token) {
            return Err(InvalidHeaderName);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Decode for HeaderName {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor
            .as_str()
            .and_then(|text| Self::new(text).ok())
            .or_else(|| cursor.expected("a header name of letters, digits and \"-\""))
    }
}

/// A header's value: bytes without controls, so that nobody splits a message with CR or LF.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(Box<[u8]>);

/// A value with a control character other than a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHeaderValue;

impl HeaderValue {
    /// A header value from bytes.
    ///
    /// # Errors
    /// If a byte is a control character other than a tab (RFC 9110 section 5.5).
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, InvalidHeaderValue> {
        let bytes = bytes.into();
        if bytes.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(InvalidHeaderValue);
        }
        Ok(Self(bytes))
    }

    /// The value's bytes: not always UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&crate::Name> for HeaderValue {
    fn from(name: &crate::Name) -> Self {
        Self(name.as_str().as_bytes().into())
    }
}

impl From<u64> for HeaderValue {
    fn from(number: u64) -> Self {
        Self(number.to_string().into_bytes().into())
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.escape_ascii())
    }
}

impl Decode for HeaderValue {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor
            .as_str()
            .and_then(|text| Self::new(text.as_bytes()).ok())
            .or_else(|| cursor.expected("a header value without control characters"))
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
