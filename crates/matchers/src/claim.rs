//! Conditions on claims: what is known of a caller beside the name.

use serde_json::Value;
use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::Claims;

use crate::text::{TextMatch, range_bounds};

/// A condition on one claim.
///
/// `name` descends by dots (`realm.roles`). The values of a claim that is a list are its elements, as `aud` may be one
/// or several (RFC 7519 section 4.1.3); any other claim has one value, and null is none. Types count: `exact: 3` is
/// not `"3"`. `contains` means membership of a list, so a claim that is a string never satisfies it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimMatch {
    pub(crate) name: String,
    pub(crate) condition: ClaimCondition,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClaimCondition {
    Present(bool),
    Contains(Scalar),
    Values { test: Test, all: bool },
}

/// A condition on one value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    In(Vec<Scalar>),
    Text(TextMatch),
    /// An integer within bounds, both inclusive.
    Range(i64, i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Integer(i64),
    Bool(bool),
}

impl ClaimMatch {
    const KEYS: [&'static str; 8] =
        ["exact", "prefix", "suffix", "contains", "regex", "in", "range", "present"];

    /// Whether the claims satisfy the condition.
    #[must_use]
    pub fn matches(&self, claims: &Claims) -> bool {
        self.matches_value(claims.get(&self.name))
    }

    /// Whether all conditions of a list hold. Nobody's claims are as an empty object.
    #[must_use]
    pub fn all_match(list: &[Self], claims: Option<&Claims>) -> bool {
        list.iter().all(|claim| claim.matches_value(claims.and_then(|claims| claims.get(&claim.name))))
    }

    fn matches_value(&self, value: Option<&Value>) -> bool {
        let value = value.filter(|value| !value.is_null());
        match (&self.condition, value) {
            (ClaimCondition::Present(present), _) => value.is_some() == *present,
            (_, None) => false,
            (ClaimCondition::Contains(member), Some(Value::Array(list))) => {
                list.iter().any(|element| member.is(element))
            }
            (ClaimCondition::Contains(_), Some(_)) => false,
            // `all` of no values would let an empty list satisfy a condition on its elements.
            (ClaimCondition::Values { test, all: true }, Some(Value::Array(list))) => {
                !list.is_empty() && list.iter().all(|element| test.holds(element))
            }
            (ClaimCondition::Values { test, .. }, Some(Value::Array(list))) => {
                list.iter().any(|element| test.holds(element))
            }
            (ClaimCondition::Values { test, .. }, Some(value)) => test.holds(value),
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::In(values) => values.iter().any(|scalar| scalar.is(value)),
            Self::Text(text) => value.as_str().is_some_and(|value| text.matches(value.as_bytes())),
            Self::Range(least, most) => {
                integer(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Integer(number) => integer(value) == Some(*number),
            Self::Bool(truth) => value.as_bool() == Some(*truth),
        }
    }
}

/// A number that is whole, however it was written: `3` and `3.0` are one (RFC 8259 section 6).
pub(crate) fn integer(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.trunc() == *number && number.abs() <= EXACT)?;
        Some(number as i64)
    })
}

impl Decode for ClaimMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required::<String>("name");
        let variant = object.one_of(&Self::KEYS);
        let all =
            object.get("values").map_or(Some(false), |cursor| cursor.word(&[("any", false), ("all", true)]));
        object.finish();
        let variant = variant?;
        let values = |test: Option<Test>| Some(ClaimCondition::Values { test: test?, all: all? });
        let condition = match variant.key {
            "present" => variant.cursor.decode().map(ClaimCondition::Present),
            "contains" => variant.cursor.decode().map(ClaimCondition::Contains),
            "exact" => values(variant.cursor.decode().map(|scalar| Test::In(vec![scalar]))),
            "in" => values(variant.cursor.non_empty_list().map(Test::In)),
            "range" => values(range_bounds(variant.cursor).map(|(least, most)| Test::Range(least, most))),
            _ => values(TextMatch::from_variant(&variant).map(Test::Text)),
        };
        let name = name?;
        if name.is_empty() {
            return cursor.expected_found("the name of a claim", "an empty one");
        }
        Some(Self { name, condition: condition? })
    }
}

impl Decode for Scalar {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let text = cursor.as_str().map(|text| Self::Text(text.to_owned()));
        let number = || cursor.as_integer().map(Self::Integer);
        let truth = || cursor.as_bool().map(Self::Bool);
        text.or_else(number).or_else(truth).or_else(|| cursor.expected("a string, an integer, true or false"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(text: &str) -> Result<ClaimMatch, String> {
        tidegate_config::decode(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    fn matching(condition: &str) -> Vec<&'static str> {
        let claims = Claims::parse(
            br#"{"text": "admin", "list": ["admin", "user"], "same": ["admin", "admin"], "empty": [], "null": null,
                 "three": 3, "double": 3.0, "half": 3.5, "digits": "3", "yes": true, "mixed": ["admin", 3, true],
                 "in": {"side": "admin"}}"#,
        )
        .unwrap();
        let names = [
            "text", "list", "same", "empty", "null", "three", "double", "half", "digits", "yes", "mixed",
            "in", "in.side", "absent",
        ];
        let matches = |name: &&str| {
            let claim = claim(&format!(r#"{{"name": "{name}", {condition}}}"#)).unwrap();
            let alone = claim.matches(&claims);
            assert_eq!(ClaimMatch::all_match(&[claim], Some(&claims)), alone);
            alone
        };
        names.into_iter().filter(matches).collect()
    }

    #[test]
    fn types_count_and_lists_are_their_elements() {
        for (condition, expected) in [
            (r#""exact": "admin""#, &["text", "list", "same", "mixed", "in.side"][..]),
            (r#""exact": "admin", "values": "all""#, &["text", "same", "in.side"]),
            (r#""exact": 3"#, &["three", "double", "mixed"]),
            (r#""exact": "3""#, &["digits"]),
            (r#""exact": true"#, &["yes", "mixed"]),
            (r#""in": ["user", true]"#, &["list", "yes", "mixed"]),
            (r#""prefix": "adm""#, &["text", "list", "same", "mixed", "in.side"]),
            (r#""suffix": "user""#, &["list"]),
            (r#""regex": "us.*""#, &["list"]),
            (r#""range": {"gte": 3, "lt": 4}"#, &["three", "double", "mixed"]),
            // Membership: a string is never searched for a part.
            (r#""contains": "admin""#, &["list", "same", "mixed"]),
            (r#""contains": 3"#, &["mixed"]),
            (r#""present": false"#, &["null", "absent"]),
        ] {
            assert_eq!(matching(condition), expected, "{condition}");
        }
    }

    #[test]
    fn nobody_has_no_claims() {
        let present = claim(r#"{"name": "a", "present": true}"#).unwrap();
        let absent = claim(r#"{"name": "a", "present": false}"#).unwrap();
        assert!(!ClaimMatch::all_match(&[present], None));
        assert!(ClaimMatch::all_match(&[absent], None));
    }

    #[test]
    fn what_is_no_condition_on_a_claim_is_refused() {
        for (text, error) in [
            (
                r#"{"name": "", "exact": 1}"#,
                "configuration: expected the name of a claim, found an empty one",
            ),
            (
                r#"{"name": "a", "exact": 1.5}"#,
                "configuration.exact: expected a string, an integer, true or false, found 1.5",
            ),
            (
                r#"{"name": "a", "in": []}"#,
                "configuration.in: expected a list of at least one, found an empty list",
            ),
            (
                r#"{"name": "a"}"#,
                "configuration: expected one of \"exact\", \"prefix\", \"suffix\", \"contains\", \"regex\", \"in\", \"range\", \"present\", found none of them",
            ),
        ] {
            assert_eq!(claim(text).unwrap_err(), error.replacen("configuration.", "", 1));
        }
    }
}
