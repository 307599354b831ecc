//! Texts that are built from what a request holds: `/v2/users/{id}`, `{request.host}`, `{{` for a brace.

use std::borrow::Cow;

use tidegate_config::{Cursor, HeaderName};
use tidegate_matchers::{Conditions, Facts, PathCaptures, cookie_values, is_plain_host, query_values};

/// A text with places to fill in.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Literal(Box<str>),
    /// `{id}`: captured by the rule's template or regular expression.
    Capture(Box<str>),
    /// `{request.host}`
    Attribute(Attribute),
}

/// What a request is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Attribute {
    Host,
    /// Normalised, without query.
    Path,
    /// Without its question mark, as sent.
    Query,
    Method,
    Scheme,
    Principal,
    Source,
    Header(HeaderName),
    Cookie(Box<str>),
    Parameter(Box<str>),
    Claim(Box<str>),
}

/// The names that a rule's values may use.
pub(crate) struct Captures(Vec<String>);

impl Captures {
    /// Those that the rule's path conditions are sure to capture.
    pub(crate) fn of(conditions: Option<&Conditions>) -> Self {
        Self(conditions.map(Conditions::capture_names).unwrap_or_default())
    }

    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of a regular expression's groups.
    pub(crate) fn of_groups<'n>(names: impl Iterator<Item = Option<&'n str>>) -> Self {
        let numbered = (1..).zip(names);
        Self(
            numbered
                .flat_map(|(number, name)| [Some(number.to_string()), name.map(str::to_owned)])
                .flatten()
                .collect(),
        )
    }
}

impl Value {
    /// Decodes a text; a capture that no path of the rule is sure to give is refused.
    pub(crate) fn decode(cursor: Cursor<'_>, captures: &Captures) -> Option<Self> {
        let Some(text) = cursor.as_str() else { return cursor.expected("a text, perhaps with {captures}") };
        if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return cursor.expected("a text without line breaks and other control characters");
        }
        match parse(text, captures) {
            Ok(parts) => Some(Self { parts }),
            Err(Fault::Unclosed) => {
                cursor.expected("a \"}\" for each \"{\", with \"{{\" and \"}}\" for braces themselves")
            }
            Err(Fault::Unknown(name)) => {
                cursor.expected_found(unknown(&name, captures), format_args!("{{{name}}}"))
            }
        }
    }

    /// A text without places to fill in.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The literal text that the value starts with.
    pub(crate) fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text for a request. `None`: something is absent that the text is built from.
    pub(crate) fn render(&self, source: &Source<'_, '_>) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for part in &self.parts {
            text.extend_from_slice(&source.of(part)?.0);
        }
        Some(text)
    }

    /// The text for a request as a part of a URL: nothing in it can end a header, leave its segment of the path, or mean
    /// anything else than it did. What is absent is empty.
    pub(crate) fn render_url(&self, source: &Source<'_, '_>) -> Vec<u8> {
        let mut text = Vec::new();
        for part in &self.parts {
            match source.of(part) {
                Some((value, Form::Url)) => escape(&value, is_url, &mut text),
                Some((value, Form::Text)) => escape(&value, is_unreserved, &mut text),
                None => {}
            }
        }
        text
    }
}

/// Whether a value is part of a URL already, escapes included, or means its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Url,
    Text,
}

/// What values are built from.
pub(crate) struct Source<'s, 'f> {
    pub(crate) facts: &'s Facts<'f>,
    pub(crate) captures: PathCaptures<'s>,
}

impl Source<'_, '_> {
    fn of<'s>(&'s self, part: &'s Part) -> Option<(Cow<'s, [u8]>, Form)> {
        let exchange = self.facts.exchange();
        let request = exchange.request();
        let url = |bytes: &'s [u8]| Some((Cow::Borrowed(bytes), Form::Url));
        let text = |bytes: Cow<'s, [u8]>| Some((bytes, Form::Text));
        let attribute = match part {
            Part::Literal(literal) => return url(literal.as_bytes()),
            Part::Capture(name) => return url(self.captures.get(name)?),
            Part::Attribute(attribute) => attribute,
        };
        match attribute {
            // Only what is a host may act as one.
            Attribute::Host if is_plain_host(self.facts.authority()) => url(self.facts.authority()),
            Attribute::Host => text(self.facts.authority().into()),
            Attribute::Path => url(self.facts.path()),
            Attribute::Query => url(query_of(exchange.path()).unwrap_or_default()),
            Attribute::Method => text(exchange.method().into()),
            Attribute::Scheme => text(request.first(":scheme")?.into()),
            Attribute::Principal => text(self.facts.principal()?.into()),
            Attribute::Source => text(self.facts.source()?.to_string().into_bytes().into()),
            Attribute::Header(name) => text(joined(request.values(name.as_str()))?),
            Attribute::Cookie(name) => text(cookie_values(request.values("cookie"), name).next()?.into()),
            Attribute::Parameter(name) => text(query_values(exchange.path(), name).next()?),
            Attribute::Claim(name) => text(scalar(self.facts, name)?),
        }
    }
}

/// A claim that is a text, an integer or a boolean.
pub(crate) fn scalar<'f>(facts: &'f Facts<'_>, name: &str) -> Option<Cow<'f, [u8]>> {
    let value = facts.claims()?.get(name)?;
    let number = || value.as_i64().map(|number| Cow::Owned(number.to_string().into_bytes()));
    let truth =
        || value.as_bool().map(|truth| Cow::Borrowed(if truth { b"true".as_slice() } else { b"false" }));
    value.as_str().map(|text| Cow::Borrowed(text.as_bytes())).or_else(number).or_else(truth)
}

/// What follows the question mark, up to a fragment.
pub(crate) fn query_of(path: &[u8]) -> Option<&[u8]> {
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mark = path.iter().position(|byte| *byte == b'?')?;
    path.get(mark + 1..)
}

/// All values of a header as one (RFC 9110 section 5.3).
fn joined<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Option<Cow<'v, [u8]>> {
    let mut joined = Cow::Borrowed(values.next()?);
    for value in values {
        let all = joined.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }
    Some(joined)
}

/// Appends `text` with everything that is not `plain` escaped (RFC 3986 section 2.1).
pub(crate) fn escape(text: &[u8], plain: fn(u8) -> bool, into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text {
        if plain(*byte) {
            into.push(*byte);
            continue;
        }
        let digit = |index: u8| DIGITS.get(usize::from(index)).copied().unwrap_or_default();
        into.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// RFC 3986 section 2.3.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What may stand in a URL as it is.
fn is_url(byte: u8) -> bool {
    is_unreserved(byte) || b":/?#[]@!$&'()*+,;=%".contains(&byte)
}

enum Fault {
    Unclosed,
    Unknown(String),
}

fn parse(text: &str, captures: &Captures) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            literal.push(next);
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let (name, after) = inner.split_once('}').ok_or(Fault::Unclosed)?;
            rest = after;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(place(name, captures).ok_or_else(|| Fault::Unknown(name.to_owned()))?);
        } else if next == '}' {
            return Err(Fault::Unclosed);
        } else {
            literal.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts)
}

fn place(name: &str, captures: &Captures) -> Option<Part> {
    if captures.0.iter().any(|known| known == name) {
        return Some(Part::Capture(name.into()));
    }
    let (of, what) = name.split_once('.').filter(|(_, what)| !what.is_empty())?;
    Some(Part::Attribute(match (of, what) {
        ("request", "host") => Attribute::Host,
        ("request", "path") => Attribute::Path,
        ("request", "query") => Attribute::Query,
        ("request", "method") => Attribute::Method,
        ("request", "scheme") => Attribute::Scheme,
        ("request", "principal") => Attribute::Principal,
        ("request", "source") => Attribute::Source,
        ("header", _) => Attribute::Header(HeaderName::new(what).ok()?),
        ("cookie", _) => Attribute::Cookie(what.into()),
        ("query", _) => Attribute::Parameter(what.into()),
        ("claim", _) => Attribute::Claim(what.into()),
        _ => return None,
    }))
}

fn unknown(name: &str, captures: &Captures) -> String {
    if name.as_bytes().contains(&b'.') {
        return "{request.host}, {request.path}, {request.query}, {request.method}, {request.scheme}, \
                {request.principal}, {request.source}, {header.NAME}, {cookie.NAME}, {query.NAME} or {claim.NAME}"
            .to_owned();
    }
    match captures.0.as_slice() {
        [] => {
            "no capture: no template or regular expression in this rule's match.paths gives one for certain"
                .to_owned()
        }
        names => format!("a capture of every path of this rule: {{{}}}", names.join("}, {")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Option<String> {
        let parts = parse(text, &Captures(vec!["id".to_owned()])).ok()?;
        let shown = |part: &Part| match part {
            Part::Literal(text) => format!("<{text}>"),
            Part::Capture(name) => format!("[{name}]"),
            Part::Attribute(_) => "[.]".to_owned(),
        };
        Some(parts.iter().map(shown).collect())
    }

    #[test]
    fn braces_name_places_and_double_braces_are_braces() {
        for (text, parts) in [
            ("", Some("")),
            ("/v2/{id}/x", Some("</v2/>[id]</x>")),
            ("{id}{request.host}", Some("[id][.]")),
            ("{{id}}", Some("<{id}>")),
            ("a}}b{{", Some("<a}b{>")),
            ("{header.X-Y}", Some("[.]")),
            ("{", None),
            ("{id", None),
            ("id}", None),
            ("{other}", None),
            ("{}", None),
            ("{header.}", None),
            ("{header.a b}", None),
            ("{request.nothing}", None),
            ("{id.x}", None),
        ] {
            assert_eq!(literals(text).as_deref(), parts, "{text}");
        }
    }

    #[test]
    fn what_is_text_cannot_act_as_url() {
        let mut escaped = Vec::new();
        escape(b"a/../b?c#d%\r\n\xff ", is_unreserved, &mut escaped);
        assert_eq!(String::from_utf8(escaped).unwrap(), "a%2F..%2Fb%3Fc%23d%25%0D%0A%FF%20");
        let mut kept = Vec::new();
        escape(b"/a%20b?c=d\r\n\xff", is_url, &mut kept);
        assert_eq!(String::from_utf8(kept).unwrap(), "/a%20b?c=d%0D%0A%FF");
    }
}
