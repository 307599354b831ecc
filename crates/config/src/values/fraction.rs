//! Shares of a whole: `0.05` is one in twenty.

use crate::cursor::{Cursor, Decode};

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fraction(f64);

impl Fraction {
    /// All of it, for defaults.
    pub const ALL: Self = Self(1.0);

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Decode for Fraction {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        match cursor.as_number().filter(|number| (0.0..=1.0).contains(number)) {
            Some(number) => Some(Self(number)),
            None => cursor.expected("a number from 0 to 1, such as 0.05 for one in twenty"),
        }
    }
}
