//! Conditions on fields that can stand several times: headers, query parameters, cookies.

use std::borrow::Cow;

use tidegate_config::{Cursor, Decode, HeaderName};
use tidegate_filter_api::Exchange;

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
    /// Whether the values that `each` visits, every occurrence of them, satisfy the condition.
    pub(crate) fn matches(&self, each: &dyn Fn(&str, Visit<'_>)) -> bool {
        let (mut some, mut met, mut unmet) = (false, false, false);
        each(&self.name, &mut |value| {
            some = true;
            match &self.condition {
                FieldCondition::Present(_) => false,
                FieldCondition::Any(text) => {
                    met = text.matches(value);
                    !met
                }
                FieldCondition::All(text) => {
                    unmet = !text.matches(value);
                    !unmet
                }
            }
        });
        match &self.condition {
            FieldCondition::Present(present) => some == *present,
            FieldCondition::Any(_) => met,
            // `all` of no values would let an absent header satisfy a condition on its value.
            FieldCondition::All(_) => some && !unmet,
        }
    }

    /// Header conditions: as any field, but the name is a header's and loses its case.
    pub(crate) fn decode_header(cursor: Cursor<'_>) -> Option<Self> {
        Self::decode_named(cursor, |name| request_header(name).map(|name| name.as_str().to_owned()))
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

/// The name of a request's header to look at. Envoy has made `:authority` of `host`: what looks for that would never find
/// one.
pub fn request_header(cursor: Cursor<'_>) -> Option<HeaderName> {
    let name: HeaderName = cursor.decode()?;
    if name.as_str() == "host" {
        return cursor
            .expected("another header (the host is told by \"hosts\" in conditions, \"host\" elsewhere)");
    }
    Some(name)
}

/// Looks at a value; whether it wants to see the next. Not a type of its own for each that looks: three kinds of values in
/// as many places would be as many copies of the code.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8]) -> bool;

/// Visits every value of header `name`.
pub fn each_header(exchange: &Exchange, name: &str, visit: Visit<'_>) {
    let _ = exchange.request().values(name).all(visit);
}

/// Visits every value of cookie `name`.
pub fn each_cookie(exchange: &Exchange, name: &str, visit: Visit<'_>) {
    let _ = cookie_values(exchange.request().values("cookie"), name).all(visit);
}

/// Visits every value of query parameter `name`.
pub fn each_query(exchange: &Exchange, name: &str, visit: Visit<'_>) {
    let _ = query_values(exchange.path(), name).all(|value| visit(&value));
}

/// Every value of cookie `name` in the values of `cookie` headers (RFC 6265 section 5.4).
pub fn cookie_values<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &str,
) -> impl Iterator<Item = &'h [u8]> {
    cookie_pairs(headers).filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}

/// Names and values of all cookies. Blanks around either are no part of them, as most servers read it (RFC 6265bis section
/// 5.7): `tier =gold` is `tier`.
pub fn cookie_pairs<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    let pairs = headers.flat_map(|header| header.split(|byte| *byte == b';'));
    let trimmed = |(name, value): (&'h [u8], &'h [u8])| (name.trim_ascii(), value.trim_ascii());
    pairs.filter_map(|pair| split_once(pair, b'=')).map(trimmed)
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

/// A name or value of a parameter with `+` and `%XX` decoded, as HTML forms encode them.
pub fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
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
