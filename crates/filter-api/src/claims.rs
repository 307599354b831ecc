//! What is known of a caller beside the name.

use serde_json::{Map, Value};

/// The members of a token's payload, or of a key's `claims`: a JSON object.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Takes claims that `auth` has checked.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Reads them from JSON; `None` if it is no object.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        match tidegate_config::parse_json(json)? {
            Value::Object(members) => Some(Self(members)),
            _ => None,
        }
    }

    /// The claim under `name`, or where dots lead: `realm.roles` is the claim of that name, else member `roles` of claim
    /// `realm`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        descend(&self.0, name)
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn descend<'c>(members: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(found) = members.get(name) {
        return Some(found);
    }
    // A name of a claim may hold dots itself ("https://example.com/roles"): each dot is tried as the step down.
    name.match_indices('.').find_map(|(dot, _)| {
        let (outer, inner) = name.split_at_checked(dot)?;
        descend(members.get(outer)?.as_object()?, inner.get(1..)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_descend_unless_they_are_in_the_name() {
        let claims = Claims::parse(
            br#"{"realm": {"roles": ["a"]}, "x.y": 1, "https://a.b/c": {"d.e": true}, "t": "s"}"#,
        );
        let claims = claims.unwrap();
        for (name, expected) in [
            ("realm.roles", Some("[\"a\"]")),
            ("x.y", Some("1")),
            ("https://a.b/c.d.e", Some("true")),
            ("t", Some("\"s\"")),
            ("t.s", None),
            ("realm.", None),
            ("", None),
        ] {
            assert_eq!(claims.get(name).map(ToString::to_string).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_claims() {
        for json in ["[]", "1", "", "{\"a\":", "null"] {
            assert_eq!(Claims::parse(json.as_bytes()), None, "{json}");
        }
    }
}
