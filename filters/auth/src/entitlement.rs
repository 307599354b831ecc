//! What an identity must be to use a rule: its name, its claims.

use serde_json::Value;
use tidegate_config::{Cursor, Decode, HeaderName, Object};
use tidegate_filter_api::{Claims, Exchange};
use tidegate_matchers::{ClaimMatch, Facts, Template, TextMatch};

use crate::identity::Identity;

/// `principals` and `claims` of a rule. Nothing of either: any identity will do.
#[derive(Debug, Default)]
pub(crate) struct Entitlement {
    principals: Vec<TextMatch>,
    claims: Vec<ClaimCheck>,
}

#[derive(Debug)]
enum ClaimCheck {
    Matches(ClaimMatch),
    /// The claim is what the request says elsewhere.
    Equals {
        claim: String,
        other: Other,
    },
}

/// Where the other text stands.
#[derive(Debug)]
enum Other {
    /// In a header, which must stand once.
    Header(HeaderName),
    /// In the path: what the template's first capture takes.
    Path(Template),
}

impl Entitlement {
    pub(crate) fn from_rule(rule: &mut Object<'_>) -> Option<Self> {
        let principals = rule.get("principals").map_or(Some(Vec::new()), Cursor::non_empty_list);
        let claims = rule.get("claims").map_or(Some(Vec::new()), Cursor::non_empty_list);
        Some(Self { principals: principals?, claims: claims? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.principals.is_empty() && self.claims.is_empty()
    }

    /// Whether the identity has the name and the claims. One without name or claims has none that could match.
    pub(crate) fn holds(&self, identity: &Identity, facts: &Facts<'_>) -> bool {
        let name = identity.principal.as_ref().map(|name| name.as_bytes());
        let claims = identity.claims.as_ref().map(|known| known.claims.as_ref());
        let named =
            || name.is_some_and(|name| self.principals.iter().any(|principal| principal.matches(name)));
        (self.principals.is_empty() || named()) && self.claims.iter().all(|check| check.holds(claims, facts))
    }
}

impl ClaimCheck {
    fn holds(&self, claims: Option<&Claims>, facts: &Facts<'_>) -> bool {
        match self {
            Self::Matches(claim) => ClaimMatch::all_match(std::slice::from_ref(claim), claims),
            Self::Equals { claim, other } => {
                let value = claims.and_then(|claims| claims.get(claim));
                let text = other.text(facts.exchange(), facts.path());
                text.zip(value).is_some_and(|(text, value)| equals(value, text))
            }
        }
    }
}

impl Other {
    fn text<'t>(&self, exchange: &'t Exchange, path: &'t [u8]) -> Option<&'t [u8]> {
        match self {
            Self::Header(name) => {
                let mut values = exchange.request().values(name.as_str());
                let value = values.next()?;
                values.next().is_none().then_some(value)
            }
            Self::Path(template) => template.matches(path)?.values().first().copied(),
        }
    }
}

/// A string is its text, a whole number its digits, a list any of its elements.
fn equals(value: &Value, text: &[u8]) -> bool {
    match value {
        Value::String(string) => string.as_bytes() == text,
        Value::Number(number) if !number.is_f64() => number.to_string().as_bytes() == text,
        Value::Array(list) => list.iter().any(|element| !element.is_array() && equals(element, text)),
        _ => false,
    }
}

/// As [`ClaimMatch`], or `{name, equals: {header: NAME}}` or `{name, equals: {path_template: TEMPLATE}}`.
impl Decode for ClaimCheck {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if !cursor.keys().contains(&"equals") {
            return cursor.decode().map(Self::Matches);
        }
        let mut object = cursor.object()?;
        let claim: Option<String> = object.required("name");
        let other = object.required("equals");
        object.finish();
        Some(Self::Equals { claim: claim?, other: other? })
    }
}

impl Decode for Other {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let variant = object.one_of(&["header", "path_template"]);
        object.finish();
        let variant = variant?;
        if variant.key == "header" {
            return variant.cursor.decode().map(Self::Header);
        }
        let template: Template = variant.cursor.decode()?;
        if template.names().next().is_none() {
            return variant.cursor.expected("a template with a capture such as \"{id}\"");
        }
        Some(Self::Path(template))
    }
}
