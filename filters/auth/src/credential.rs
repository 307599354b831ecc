//! Where a request carries a credential: `{header, prefix}`, `{query}` or `{cookie}`.

use std::borrow::Cow;

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Headers};
use tidegate_matchers::{cookie_values, query_values};

/// A place that a credential may stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header; with a prefix, only values that start with it are credentials.
    Header { name: HeaderName, prefix: Option<String> },
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
}

/// The credentials of a request, without their prefix.
pub(crate) struct Presented<'e> {
    pub(crate) values: Vec<Cow<'e, [u8]>>,
    /// Whether the request carries them in a way that others may read otherwise: `authorization` stands once (RFC 9110
    /// section 11.6.2), and of two values servers choose differently.
    pub(crate) ambiguous: bool,
}

const AUTHORIZATION: &str = "authorization";

impl Place {
    /// The value of `authorization` under a scheme (RFC 9110 section 11.4).
    pub(crate) fn authorization(scheme: &str) -> Option<Self> {
        let name = HeaderName::new(AUTHORIZATION).ok()?;
        Some(Self::Header { name, prefix: Some(format!("{scheme} ")) })
    }

    /// All credentials in these places.
    pub(crate) fn credentials<'e>(places: &[Self], exchange: &'e Exchange) -> Presented<'e> {
        let mut presented = Presented { values: Vec::new(), ambiguous: false };
        for place in places {
            place.collect(exchange, &mut presented);
        }
        presented
    }

    fn collect<'e>(&self, exchange: &'e Exchange, presented: &mut Presented<'e>) {
        match self {
            Self::Header { name, prefix } => {
                let values = exchange.request().values(name.as_str());
                let found = values.clone().filter_map(|value| match prefix {
                    Some(prefix) => after_prefix(value, prefix),
                    None => Some(value),
                });
                let before = presented.values.len();
                presented.values.extend(found.map(Cow::Borrowed));
                let some = presented.values.len() > before;
                presented.ambiguous |= some && name.as_str() == AUTHORIZATION && values.count() > 1;
            }
            Self::Query(name) => presented.values.extend(query_values(exchange.path(), name)),
            Self::Cookie(name) => {
                let cookies = cookie_values(exchange.request().values("cookie"), name);
                presented.values.extend(cookies.map(Cow::Borrowed));
            }
        }
    }

    /// Takes what stands in this place out of the request.
    pub(crate) fn strip(&self, request: &mut Headers) {
        match self {
            Self::Header { name, .. } => request.remove(name),
            Self::Query(name) => {
                let path = request.first(":path").and_then(|path| without_parameter(path, name));
                if let Some(Ok(path)) = path.map(HeaderValue::new) {
                    request.set_path(&path);
                }
            }
            Self::Cookie(name) => strip_cookie(name, request),
        }
    }
}

/// What follows `prefix`; one that ends in a blank is a scheme, which has no case (RFC 9110 section 11.1).
fn after_prefix<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    if !prefix.ends_with(' ') {
        return value.strip_prefix(prefix.as_bytes());
    }
    // A scheme alone is a credential too, and a bad one: Envoy takes the blank behind it away.
    if value.eq_ignore_ascii_case(prefix.trim_ascii_end().as_bytes()) {
        return Some(b"");
    }
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then(|| rest.trim_ascii_start())
}

/// The path without parameter `name`; `None` if it is not there.
fn without_parameter(path: &[u8], name: &str) -> Option<Vec<u8>> {
    let question = path.iter().position(|byte| *byte == b'?')?;
    let (before, query) = path.split_at_checked(question)?;
    let query = query.get(1..)?;
    let is_it = |pair: &&[u8]| query_values(&[b"?", *pair].concat(), name).next().is_some();
    let kept: Vec<&[u8]> = query.split(|byte| *byte == b'&').filter(|pair| !is_it(pair)).collect();
    if kept.len() == query.split(|byte| *byte == b'&').count() {
        return None;
    }
    let query = kept.join(&b'&');
    Some(if query.is_empty() { before.to_vec() } else { [before, b"?", &query].concat() })
}

fn strip_cookie(name: &str, request: &mut Headers) {
    let Ok(header) = HeaderName::new("cookie") else { return };
    if cookie_values(request.values("cookie"), name).next().is_none() {
        return;
    }
    let others: Vec<Vec<u8>> = request
        .values("cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter(|pair| cookie_values(std::iter::once(*pair), name).next().is_none())
        .map(|pair| pair.trim_ascii().to_vec())
        .filter(|pair| !pair.is_empty())
        .collect();
    match HeaderValue::new(others.join(b"; ".as_slice())) {
        Ok(value) if !value.as_bytes().is_empty() => request.set(&header, &value),
        _ => request.remove(&header),
    }
}

impl Decode for Place {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let variant = object.one_of(&["header", "query", "cookie"]);
        let prefix: Option<Option<String>> = object.optional("prefix");
        let prefix_at = object.get("prefix");
        object.finish();
        let (variant, prefix) = (variant?, prefix?);
        if let (Some(cursor), "query" | "cookie") = (prefix_at, variant.key) {
            return cursor
                .expected_found("\"prefix\" beside \"header\" only", format_args!("\"{}\"", variant.key));
        }
        if let (Some(cursor), Some("")) = (prefix_at, prefix.as_deref()) {
            return cursor.expected("a text of at least one character");
        }
        match variant.key {
            "header" => Some(Self::Header { name: variant.cursor.decode()?, prefix }),
            key => {
                let name = variant.cursor.decode::<String>()?;
                if name.is_empty() {
                    return variant.cursor.expected("a name of at least one character");
                }
                Some(if key == "query" { Self::Query(name) } else { Self::Cookie(name) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_taken_out_whatever_it_looks_like() {
        for (path, expected) in [
            ("/a?key=1", Some("/a")),
            ("/a?x=1&key=2&y=3", Some("/a?x=1&y=3")),
            ("/a?key=1&k%65y=2&key", Some("/a")),
            ("/a?x=key=1", None),
            ("/a?", None),
            ("/a", None),
            ("/key=1", None),
        ] {
            let seen = without_parameter(path.as_bytes(), "key");
            assert_eq!(seen.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn a_scheme_has_no_case_and_a_prefix_has() {
        assert_eq!(after_prefix(b"bEARER  x", "Bearer "), Some(b"x".as_slice()));
        assert_eq!(after_prefix(b"Bearerx", "Bearer "), None);
        assert_eq!(after_prefix(b"Bearer", "Bearer "), Some(b"".as_slice()));
        assert_eq!(after_prefix(b"sha256=x", "sha256="), Some(b"x".as_slice()));
        assert_eq!(after_prefix(b"SHA256=x", "sha256="), None);
    }
}
