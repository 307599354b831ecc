//! Edits to headers, query parameters and cookies of the request.

use tidegate_config::{Cursor, HeaderName, HeaderValue, Object};
use tidegate_filter_api::{Exchange, Headers, is_spelling_of};
use tidegate_matchers::cookie_pairs;

use crate::actions::BadValue;
use crate::value::{Captures, Source, Value, escape, is_unreserved, query_of};

/// What happens to fields of one kind, in this order: remove, rename, set, append.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    remove: Vec<FieldName>,
    /// From, to. What was under the new name goes.
    rename: Vec<(FieldName, FieldName)>,
    set: Vec<(FieldName, Value)>,
    append: Vec<(FieldName, Value)>,
}

/// The name of a header, a parameter or a cookie. Of one type, so that one instance of the code decodes all.
#[derive(Debug, Clone)]
pub(crate) enum FieldName {
    Header(HeaderName),
    Other(String),
}

impl FieldName {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Header(name) => name.as_str().as_bytes(),
            Self::Other(name) => name.as_bytes(),
        }
    }

    fn header(&self) -> Result<&HeaderName, BadValue> {
        match self {
            Self::Header(name) => Ok(name),
            Self::Other(_) => Err(BadValue),
        }
    }
}

/// The keys of one kind of fields.
pub(crate) struct Keys {
    pub(crate) remove: &'static str,
    pub(crate) rename: &'static str,
    pub(crate) set: &'static str,
    pub(crate) append: &'static str,
}

/// Edits whose values are built, ready to be made.
#[derive(Debug, Default)]
pub(crate) struct Planned<'e> {
    edits: Option<&'e Edits>,
    /// Without a value: something is absent that it is built from, so whatever a client sent there goes.
    set: Vec<(&'e FieldName, Option<Vec<u8>>)>,
    append: Vec<(&'e FieldName, Option<Vec<u8>>)>,
}

impl Edits {
    /// Decodes the four keys, in place. `name` makes a name of a text, or reports what is wrong with it. False after
    /// something wrong was reported.
    pub(crate) fn fill(
        &mut self,
        object: &mut Object<'_>,
        keys: &Keys,
        captures: &Captures,
        name: &dyn Fn(Cursor<'_>, &str) -> Option<FieldName>,
    ) -> bool {
        let mut fine = object.fill(keys.remove, &mut self.remove, |cursor| {
            let mut list = Vec::new();
            let mut complete = true;
            for element in cursor.elements()? {
                let decoded = named(element, name);
                complete &= decoded.is_some();
                list.extend(decoded);
            }
            complete.then_some(list)
        });
        fine &=
            object.fill(keys.rename, &mut self.rename, |cursor| entries(cursor, name, &|to| named(to, name)));
        let value = |cursor: Cursor<'_>| Value::decode(cursor, captures);
        fine &= object.fill(keys.set, &mut self.set, |cursor| entries(cursor, name, &value));
        fine &= object.fill(keys.append, &mut self.append, |cursor| entries(cursor, name, &value));
        fine
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.rename.is_empty() && self.set.is_empty() && self.append.is_empty()
    }

    /// Builds the values, from the request as it was sent.
    pub(crate) fn plan(&self, source: &Source<'_, '_>) -> Planned<'_> {
        let mut planned = Planned { edits: Some(self), ..Planned::default() };
        for (name, value) in &self.set {
            planned.set.push((name, value.render(source)));
        }
        for (name, value) in &self.append {
            planned.append.push((name, value.render(source)));
        }
        planned
    }
}

/// The name that stands here as a text.
fn named<N>(cursor: Cursor<'_>, name: &dyn Fn(Cursor<'_>, &str) -> Option<N>) -> Option<N> {
    match cursor.as_str() {
        Some(text) => name(cursor, text),
        None => cursor.expected("a name"),
    }
}

fn entries<V>(
    cursor: Cursor<'_>,
    name: &dyn Fn(Cursor<'_>, &str) -> Option<FieldName>,
    value: &dyn Fn(Cursor<'_>) -> Option<V>,
) -> Option<Vec<(FieldName, V)>> {
    let mut list = Vec::new();
    let mut complete = true;
    for (text, element) in cursor.entries()? {
        match (name(element, text), value(element)) {
            (Some(name), Some(value)) => list.push((name, value)),
            _ => complete = false,
        }
    }
    complete.then_some(list)
}

impl Planned<'_> {
    fn remove(&self) -> &[FieldName] {
        self.edits.map_or(&[], |edits| &edits.remove)
    }

    fn rename(&self) -> &[(FieldName, FieldName)] {
        self.edits.map_or(&[], |edits| &edits.rename)
    }

    /// Makes the edits to headers.
    pub(crate) fn make(self, headers: &mut Headers) -> Result<(), BadValue> {
        for name in self.remove() {
            headers.remove(name.header()?);
            headers.remove_twins(name.header()?);
        }
        for (from, to) in self.rename() {
            let (from, to) = (from.header()?, to.header()?);
            let values: Vec<Vec<u8>> = headers.values(from.as_str()).map(<[u8]>::to_vec).collect();
            headers.remove(from);
            // Where there is nothing to rename, what a client sent under the new name goes all the same.
            headers.remove(to);
            headers.remove_twins(to);
            for value in values {
                headers.append(to, &header_value(value)?);
            }
        }
        for (name, value) in self.set {
            headers.remove_twins(name.header()?);
            match value {
                Some(value) => headers.set(name.header()?, &header_value(value)?),
                None => headers.remove(name.header()?),
            }
        }
        for (name, value) in self.append {
            if let Some(value) = value {
                headers.append(name.header()?, &header_value(value)?);
            }
        }
        Ok(())
    }
}

fn header_value(value: Vec<u8>) -> Result<HeaderValue, BadValue> {
    HeaderValue::new(value).map_err(|_| BadValue)
}

/// A parameter or a cookie as it goes out: its name, and its value with the equals sign in front, if it has one.
type Pair = (Vec<u8>, Vec<u8>);

fn halves(pair: &[u8]) -> Pair {
    let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(end).unwrap_or((pair, &[]));
    (name.to_vec(), value.to_vec())
}

fn with_sign(value: &[u8]) -> Vec<u8> {
    [b"=", value].concat()
}

impl Planned<'_> {
    /// Makes the edits to the query of a path; everything else in it stays as it was sent. What is no path (`OPTIONS *`, a
    /// CONNECT without any) has no query.
    pub(crate) fn make_query(self, exchange: &mut Exchange) -> Result<(), BadValue> {
        let path = exchange.path();
        if !path.starts_with(b"/") {
            return Ok(());
        }
        let bare = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        let sent = query_of(path).unwrap_or_default().split(|byte| *byte == b'&');
        let sent = sent.filter(|pair| !pair.is_empty()).map(halves).collect();
        let is = |sent: &[u8], name: &[u8]| *tidegate_matchers::form_decoded(sent) == *name;
        let pairs = self.make_pairs(sent, &is, is_unreserved);
        let mut edited = bare.to_vec();
        for (index, (name, value)) in pairs.iter().enumerate() {
            edited.push(if index == 0 { b'?' } else { b'&' });
            edited.extend_from_slice(name);
            edited.extend_from_slice(value);
        }
        let edited = header_value(edited)?;
        exchange.request_mut().set_path(&edited);
        Ok(())
    }

    /// Makes the edits to the cookies, which then stand in one header.
    pub(crate) fn make_cookies(self, headers: &mut Headers) -> Result<(), BadValue> {
        let Ok(cookie) = HeaderName::new("cookie") else { return Err(BadValue) };
        let sent = cookie_pairs(headers.values("cookie"));
        let sent = sent.map(|(name, value)| (name.to_vec(), with_sign(value))).collect();
        let pairs = self.make_pairs(sent, &|sent, name| sent == name, is_cookie_octet);
        if pairs.is_empty() {
            headers.remove(&cookie);
            return Ok(());
        }
        let pairs: Vec<Vec<u8>> = pairs.into_iter().map(|(name, value)| [name, value].concat()).collect();
        let joined = pairs.join(b"; ".as_slice());
        headers.set(&cookie, &header_value(joined)?);
        Ok(())
    }

    fn make_pairs(
        self,
        mut pairs: Vec<Pair>,
        is: &dyn Fn(&[u8], &[u8]) -> bool,
        plain: fn(u8) -> bool,
    ) -> Vec<Pair> {
        let escaped = |text: &[u8]| {
            let mut escaped = Vec::new();
            escape(text, plain, &mut escaped);
            escaped
        };
        let remove = |pairs: &mut Vec<Pair>, name: &FieldName| {
            pairs.retain(|(sent, _)| !is(sent, name.as_bytes()));
        };
        for name in self.remove() {
            remove(&mut pairs, name);
        }
        for (from, to) in self.rename() {
            remove(&mut pairs, to);
            for (sent, _) in &mut pairs {
                if is(sent, from.as_bytes()) {
                    *sent = escaped(to.as_bytes());
                }
            }
        }
        for (name, _) in &self.set {
            remove(&mut pairs, name);
        }
        for (name, value) in self.set.into_iter().chain(self.append) {
            if let Some(value) = value {
                pairs.push((escaped(name.as_bytes()), with_sign(&escaped(&value))));
            }
        }
        pairs
    }
}

/// RFC 6265 section 4.1.1, less the percent sign, which marks what was escaped.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x24 | 0x26..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// A header that rules may edit.
pub(crate) fn header_name(
    cursor: Cursor<'_>,
    text: &str,
    route_header: Option<&HeaderName>,
) -> Option<HeaderName> {
    let Ok(name) = HeaderName::new(text) else {
        return cursor
            .expected_found("a header name of letters, digits and \"-\"", format_args!("\"{text}\""));
    };
    // To many backends `x_route` is `x-route`.
    if route_header.is_some_and(|route| is_spelling_of(name.as_str().as_bytes(), route)) {
        return cursor.expected_found(
            "a header other than the route header, which the filter writes itself",
            format_args!("\"{text}\""),
        );
    }
    // They say where a message ends and whom it is for: an edit would make two servers disagree on that.
    const FRAMING: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
    ];
    if FRAMING.contains(&name.as_str()) {
        return cursor.expected_found(
            "a header that does not frame the message (for the host there is \"rewrite\")",
            format_args!("\"{text}\""),
        );
    }
    Some(name)
}

/// A parameter's name.
pub(crate) fn parameter_name(cursor: Cursor<'_>, text: &str) -> Option<FieldName> {
    if text.is_empty() {
        return cursor.expected_found("a parameter's name", "an empty one");
    }
    Some(FieldName::Other(text.to_owned()))
}

/// A cookie's name, where it stands as a value.
pub(crate) fn cookie_named(cursor: Cursor<'_>) -> Option<String> {
    named(cursor, &cookie_name)
}

/// A cookie's name: a token (RFC 6265 section 4.1.1).
pub(crate) fn cookie_name(cursor: Cursor<'_>, text: &str) -> Option<String> {
    match HeaderName::new(text) {
        Ok(_) => Some(text.to_owned()),
        Err(_) => cursor.expected_found(
            "a cookie's name of letters, digits, \"-\" and \"_\"",
            format_args!("\"{text}\""),
        ),
    }
}
