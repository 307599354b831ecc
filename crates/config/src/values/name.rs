//! Names that identify a thing of the configuration in metrics, logs and traces.

use std::fmt;

use crate::cursor::{Cursor, Decode};

/// One to 64 letters, digits, `-`, `_` or `.`: safe in a metric name, a header value and a log line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// A name, if `text` is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::is_valid(text).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    }
}

/// `unnamed`: what stands in a configuration that is being filled until its name has been read.
impl Default for Name {
    fn default() -> Self {
        Self("unnamed".to_owned())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Decode for Name {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        match cursor.as_str().and_then(Self::new) {
            Some(name) => Some(name),
            None => cursor.expected("a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\""),
        }
    }
}
