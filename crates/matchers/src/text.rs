//! Conditions on one text: `exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `range`.

use tidegate_config::{Cursor, Decode, Object, Variant};

use crate::regex::Regex;

/// A condition on one value. Values are bytes: not all are UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// The whole value.
    Exact(Vec<u8>),
    /// How it starts.
    Prefix(Vec<u8>),
    /// How it ends.
    Suffix(Vec<u8>),
    /// What it contains.
    Contains(Vec<u8>),
    /// A regular expression that the whole value matches.
    Regex(Regex),
    /// One of several whole values.
    In(Vec<Vec<u8>>),
    /// A decimal integer within bounds, both inclusive; any other value does not match.
    Range(i64, i64),
}

impl TextMatch {
    /// The keys that [`TextMatch::from_variant`] takes.
    pub const KEYS: [&'static str; 7] = ["exact", "prefix", "suffix", "contains", "regex", "in", "range"];

    /// The condition behind one of [`TextMatch::KEYS`].
    pub fn from_variant(variant: &Variant<'_>) -> Option<Self> {
        let text = || variant.cursor.decode::<String>().map(String::into_bytes);
        // An empty prefix, suffix or part is in every value: a typing error, not a condition.
        let part = || match text()? {
            part if part.is_empty() => variant.cursor.expected("a text of at least one character"),
            part => Some(part),
        };
        match variant.key {
            "exact" => text().map(Self::Exact),
            "prefix" => part().map(Self::Prefix),
            "suffix" => part().map(Self::Suffix),
            "contains" => part().map(Self::Contains),
            "regex" => variant.cursor.decode().map(Self::Regex),
            "in" => {
                let values: Vec<String> = variant.cursor.non_empty_list()?;
                Some(Self::In(values.into_iter().map(String::into_bytes).collect()))
            }
            _ => range(variant.cursor),
        }
    }

    /// Whether `value` satisfies the condition.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Suffix(suffix) => value.ends_with(suffix),
            Self::Contains(part) => value.windows(part.len()).any(|window| window == part),
            Self::Regex(regex) => regex.matches(value),
            Self::In(values) => values.iter().any(|candidate| candidate == value),
            Self::Range(least, most) => {
                integer(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
        }
    }
}

impl Decode for TextMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let matched = object.one_of(&Self::KEYS).and_then(|variant| Self::from_variant(&variant));
        object.finish();
        matched
    }
}

fn range(cursor: Cursor<'_>) -> Option<TextMatch> {
    range_bounds(cursor).map(|(least, most)| TextMatch::Range(least, most))
}

/// `{gte, gt, lte, lt}` as inclusive bounds; an absent one is the end of all numbers.
pub(crate) fn range_bounds(cursor: Cursor<'_>) -> Option<(i64, i64)> {
    let mut object = cursor.object()?;
    let least = bound(&mut object, ["gte", "gt"], 1, i64::MIN);
    let most = bound(&mut object, ["lte", "lt"], -1, i64::MAX);
    object.finish();
    let (least, most) = (least?, most?);
    if least > most || (least, most) == (i64::MIN, i64::MAX) {
        return cursor.expected_found("bounds that some numbers meet and others do not", "none or all");
    }
    Some((least, most))
}

fn bound(object: &mut Object<'_>, keys: [&'static str; 2], step: i64, unbounded: i64) -> Option<i64> {
    const BIGGEST: i64 = 1 << 53;
    let Some(variant) = object.at_most_one_of(&keys)? else { return Some(unbounded) };
    let value = variant.cursor.integer(-BIGGEST, BIGGEST)?;
    Some(if Some(&variant.key) == keys.first() { value } else { value + step })
}

/// A decimal integer, whole and without blanks.
pub(crate) fn integer(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
