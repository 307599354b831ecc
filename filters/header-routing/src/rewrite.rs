//! Rewrites of path and host.

use tidegate_config::{Cursor, HeaderValue};
use tidegate_matchers::{Regex, is_ambiguous, is_plain_host, normalise, readings};

use crate::actions::BadValue;
use crate::value::{Captures, Source, Value, query_of};

/// `rewrite: {path, host}`, each a value or `{regex, with}`.
#[derive(Debug, Default)]
pub(crate) struct Rewrite {
    path: Option<Change>,
    host: Option<Change>,
}

#[derive(Debug)]
enum Change {
    To(Value),
    /// What the whole text is replaced with if it matches; otherwise it stays.
    Replace(Regex, Value),
}

/// The new path and host, where they are to change.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) path: Option<HeaderValue>,
    pub(crate) host: Option<HeaderValue>,
}

impl Rewrite {
    pub(crate) fn decode(cursor: Cursor<'_>, captures: &Captures) -> Option<Self> {
        let mut object = cursor.object()?;
        let path = object.get("path").map_or(Some(None), |cursor| {
            let change = Change::decode(cursor, captures)?;
            if !change.to().literal_start().starts_with('/') {
                return cursor.expected("a path that starts with \"/\", before any {…}");
            }
            Some(Some(change))
        });
        let host = object.get("host").map_or(Some(None), |cursor| {
            let change = Change::decode(cursor, captures)?;
            if change.to().as_literal().is_some_and(|host| !is_plain_host(host.as_bytes())) {
                return cursor.expected("a host such as \"api.internal\" or \"api.internal:8080\"");
            }
            Some(Some(change))
        });
        object.finish();
        let rewrite = Self { path: path?, host: host? };
        if rewrite.path.is_none() && rewrite.host.is_none() {
            return cursor.expected_found("one of \"path\", \"host\"", "neither");
        }
        Some(rewrite)
    }

    /// The new path, with the query that was sent unless the rule writes one, and the new host. A path that is not its own
    /// normal form, or not to every server, is refused: a value could have climbed out of the folder that the rule names. What
    /// is no path (`OPTIONS *`, a CONNECT without any) stays.
    pub(crate) fn apply(&self, source: &Source<'_, '_>) -> Result<Rewritten, BadValue> {
        let mut rewritten = Rewritten::default();
        if let Some(change) = &self.path
            && source.facts.exchange().path().starts_with(b"/")
            && let Some(mut path) = change.apply(source.facts.path(), source)
        {
            let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
            let bare = path.get(..end).unwrap_or_default();
            if !bare.starts_with(b"/") || *normalise(bare) != *bare || climbs(bare) || path.contains(&b'#') {
                return Err(BadValue);
            }
            if end == path.len()
                && let Some(query) = query_of(source.facts.exchange().path())
            {
                path.push(b'?');
                path.extend_from_slice(query);
            }
            rewritten.path = Some(HeaderValue::new(path).map_err(|_| BadValue)?);
        }
        if let Some(change) = &self.host
            && let Some(host) = change.apply(source.facts.authority(), source)
        {
            if !is_plain_host(&host) {
                return Err(BadValue);
            }
            rewritten.host = Some(HeaderValue::new(host).map_err(|_| BadValue)?);
        }
        Ok(rewritten)
    }
}

/// Whether some server may find `..` in a path, as in `..%2f`, `%252e%252e/` or `..;/`.
fn climbs(path: &[u8]) -> bool {
    let up = |reading: &Vec<u8>| reading.split(|byte| *byte == b'/').any(|segment| segment == b"..");
    is_ambiguous(path) && readings(path).is_none_or(|readings| readings.iter().any(up))
}

impl Change {
    fn decode(cursor: Cursor<'_>, captures: &Captures) -> Option<Self> {
        if !cursor.is_object() {
            return Value::decode(cursor, captures).map(Self::To);
        }
        let mut object = cursor.object()?;
        let regex = object.required::<Regex>("regex");
        let groups = regex.as_ref().map_or(Captures::none(), |regex| Captures::of_groups(regex.names()));
        let with = object.require("with").and_then(|cursor| Value::decode(cursor, &groups));
        object.finish();
        Some(Self::Replace(regex?, with?))
    }

    fn to(&self) -> &Value {
        match self {
            Self::To(value) | Self::Replace(_, value) => value,
        }
    }

    fn apply(&self, from: &[u8], source: &Source<'_, '_>) -> Option<Vec<u8>> {
        match self {
            Self::To(value) => Some(value.render_url(source)),
            Self::Replace(regex, with) => {
                let groups = regex.captures(from)?;
                let captures = tidegate_matchers::PathCaptures::Regex(regex, groups);
                Some(with.render_url(&Source { facts: source.facts, captures }))
            }
        }
    }
}
