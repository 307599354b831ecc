//! Conditions on a response's status.

use tidegate_config::{Cursor, Decode};

use crate::text::range_bounds;

/// `[401, "5xx"]`, `{gte: 500}` or `{gte: 400, lt: 500}`; in a list one must hold, and a list may hold ranges too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMatch {
    /// Inclusive.
    ranges: Vec<(u16, u16)>,
}

/// What a status can be (RFC 9110 section 15).
const LEAST: i64 = 100;
const MOST: i64 = 599;

impl StatusMatch {
    /// Whether a response with this status is meant.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        self.ranges.iter().any(|(least, most)| (*least..=*most).contains(&status))
    }
}

impl Decode for StatusMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if cursor.is_list() {
            let ranges: Vec<StatusRange> = cursor.non_empty_list()?;
            return Some(Self { ranges: ranges.into_iter().map(|range| (range.0, range.1)).collect() });
        }
        let StatusRange(least, most) = cursor.decode()?;
        Some(Self { ranges: vec![(least, most)] })
    }
}

struct StatusRange(u16, u16);

impl Decode for StatusRange {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let (least, most) = if let Some(status) = cursor.as_integer() {
            (status, status)
        } else if let Some(text) = cursor.as_str() {
            class(text).unwrap_or((0, 0))
        } else if cursor.is_object() {
            let (least, most) = range_bounds(cursor)?;
            // An open end means all statuses on that side.
            let clamped = (least.max(LEAST), most.min(MOST));
            if clamped.0 > clamped.1 {
                return cursor.expected_found("bounds that some statuses from 100 to 599 meet", "none");
            }
            clamped
        } else {
            (0, 0)
        };
        if least < LEAST || most > MOST {
            return cursor
                .expected("a status such as 401, a class such as \"5xx\", or a range such as {gte: 500}");
        }
        Some(Self(u16::try_from(least).ok()?, u16::try_from(most).ok()?))
    }
}

/// `5xx`
fn class(text: &str) -> Option<(i64, i64)> {
    let digit = text.strip_suffix("xx")?.parse::<u8>().ok().filter(|digit| (1..=5).contains(digit))?;
    let least = i64::from(digit) * 100;
    Some((least, least + 99))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Result<StatusMatch, String> {
        tidegate_config::decode(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn statuses_classes_and_ranges_match() {
        for (text, yes, no) in [
            (r#"[401, "5xx"]"#, &[401, 500, 599][..], &[400, 402, 499][..]),
            (r#"{"gte": 500}"#, &[500, 599], &[499, 0]),
            (r#"{"gte": 400, "lt": 500}"#, &[400, 499], &[399, 500]),
            (r#"{"lt": 200}"#, &[100, 199], &[200, 99]),
            ("404", &[404], &[403, 405]),
            (r#"[{"gt": 400, "lte": 404}, "2xx"]"#, &[401, 404, 204], &[400, 405]),
        ] {
            let condition = status(text).unwrap();
            assert!(yes.iter().all(|status| condition.matches(*status)), "{text}");
            assert!(!no.iter().any(|status| condition.matches(*status)), "{text}");
        }
    }

    #[test]
    fn what_no_status_meets_is_refused_by_path() {
        let expected = "a status such as 401, a class such as \"5xx\", or a range such as {gte: 500}";
        for (text, error) in [
            (
                r#"[99, "6xx", "xx", 600, true]"#,
                [(0, "99"), (1, "\"6xx\""), (2, "\"xx\""), (3, "600"), (4, "true")]
                    .map(|(index, found)| {
                        format!("configuration[{index}]: expected {expected}, found {found}")
                    })
                    .join("\n"),
            ),
            (
                r#"{"gte": 600}"#,
                "configuration: expected bounds that some statuses from 100 to 599 meet, found none"
                    .to_owned(),
            ),
            ("[]", "configuration: expected a list of at least one, found an empty list".to_owned()),
        ] {
            assert_eq!(status(text).unwrap_err(), error);
        }
    }
}
