//! Conditions on fields that can stand several times: headers, query parameters, cookies.

use std::borrow::Cow;

use tidegate_config::{Cursor, Decode, HeaderName};

use crate::text::TextMatch;

/// A condition on all values of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldMatch {
    pub(crate) name: String,
    pub(crate) condition: FieldCondition,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldCondition {
    Present(bool),
    Any(TextMatch),
    All(TextMatch),
}

impl FieldMatch {
    /// Whether the values, every occurrence of them, satisfy the condition.
    pub(crate) fn matches<V: AsRef<[u8]>>(&self, values: impl Iterator<Item = V>) -> bool {
        let mut values = values.peekable();
        match &self.condition {
            FieldCondition::Present(present) => values.peek().is_some() == *present,
            FieldCondition::Any(text) => values.any(|value| text.matches(value.as_ref())),
            // `all` of no values would let an absent header satisfy a condition on its value.
            FieldCondition::All(text) => {
                values.peek().is_some() && values.all(|value| text.matches(value.as_ref()))
            }
        }
    }

    /// Header conditions: as any field, but the name is a header's and loses its case.
    pub(crate) fn decode_header(cursor: Cursor<'_>) -> Option<Self> {
        Self::decode_named(cursor, |name| name.decode::<HeaderName>().map(|name| name.as_str().to_owned()))
    }

    fn decode_named(cursor: Cursor<'_>, name: impl Fn(Cursor<'_>) -> Option<String>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.require("name").and_then(name);
        let mut keys = TextMatch::KEYS.to_vec();
        keys.push("present");
        let variant = object.one_of(&keys);
        let all =
            object.get("values").map_or(Some(false), |cursor| cursor.word(&[("any", false), ("all", true)]));
        object.finish();
        let variant = variant?;
        let condition = if variant.key == "present" {
            variant.cursor.decode().map(FieldCondition::Present)
        } else {
            TextMatch::from_variant(&variant)
                .and_then(|text| Some((text, all?)))
                .map(|(text, all)| if all { FieldCondition::All(text) } else { FieldCondition::Any(text) })
        };
        Some(Self { name: name?, condition: condition? })
    }
}

impl Decode for FieldMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        Self::decode_named(cursor, |name| name.decode())
    }
}

/// Every value of cookie `name` in the values of `cookie` headers (RFC 6265 section 5.4).
pub fn cookie_values<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &str,
) -> impl Iterator<Item = &'h [u8]> {
    cookie_pairs(headers).filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}

/// Names and values of all cookies.
pub fn cookie_pairs<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    let pairs = headers.flat_map(|header| header.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| split_once(pair.trim_ascii(), b'='))
}

/// Every value of parameter `name` in the query of `path`, with `+` and `%XX` decoded in names and values as HTML forms
/// encode them. A parameter without `=` has the empty value.
pub fn query_values<'p>(path: &'p [u8], name: &str) -> impl Iterator<Item = Cow<'p, [u8]>> {
    let named = query_pairs(path).filter(move |(found, _)| *form_decoded(found) == *name.as_bytes());
    named.map(|(_, value)| form_decoded(value))
}

/// Names and values of all parameters in the query of `path`, as they were sent.
pub fn query_pairs(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let path = split_once(path, b'#').map_or(path, |(before, _)| before);
    let query = split_once(path, b'?').map_or(b"".as_slice(), |(_, query)| query);
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| split_once(pair, b'=').unwrap_or((pair, b"")))
}

pub(crate) fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escape = crate::path::escape(rest);
        decoded.push(match (byte, escape) {
            (b'%', Some(value)) => value,
            (b'+', _) => b' ',
            (other, _) => *other,
        });
        rest = if escape.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    Cow::Owned(decoded)
}

pub(crate) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == separator)?;
    let (before, after) = text.split_at_checked(position)?;
    Some((before, after.get(1..)?))
}
