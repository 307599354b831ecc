//! Durations with their unit: `"250ms"`, `"10s"`, `"1m"`, `"24h"`, `"7d"`.

use crate::cursor::{Cursor, Decode};

/// A duration above zero and of at most ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

/// Longest first where one unit ends like another: `ms` before `s`.
const UNITS: [(&str, u64); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Ten years: beyond it a number is a mistake, and below it no sum of two timestamps overflows 64 bits of nanoseconds.
const LONGEST: u64 = 3_650 * 86_400_000_000_000;

impl Duration {
    /// A duration of whole seconds, for defaults.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// In nanoseconds.
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// As the standard library's type.
    #[must_use]
    pub fn get(self) -> std::time::Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let total = number.parse::<u64>().ok()?.checked_mul(*nanos)?;
        (1..=LONGEST).contains(&total).then(|| Self(std::time::Duration::from_nanos(total)))
    }
}

impl Decode for Duration {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.as_str().and_then(Self::parse).or_else(|| {
            cursor.expected("a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\"")
        })
    }
}
