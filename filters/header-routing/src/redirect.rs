//! Redirects, none of which a client can bend to where it likes.

use tidegate_config::{Cursor, HeaderValue, Object};
use tidegate_filter_api::LocalReply;

use crate::actions::{BadValue, reply_grpc_status};
use crate::value::{Captures, Source, Value};

/// `redirect: {status, location, open}`
#[derive(Debug)]
pub(crate) struct Redirect {
    status: u16,
    location: Value,
}

impl Redirect {
    pub(crate) fn decode(cursor: Cursor<'_>, captures: &Captures) -> Option<Self> {
        let mut object: Object<'_> = cursor.object()?;
        let status = object.get("status").map_or(Some(302), |cursor| {
            let status = cursor.as_integer().filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308));
            status.or_else(|| cursor.expected("301, 302, 303, 307 or 308"))
        });
        let open = object.or("open", false);
        let location = object.require("location").and_then(|cursor| {
            let value = Value::decode(cursor, captures)?;
            let usable = if open == Some(true) { is_web(&value) } else { is_closed(&value) };
            if !usable {
                return cursor.expected(
                    "a path, or a URL whose scheme and host are written out and end in \"/\" before the first {…}; \
                     \"open: true\" lifts this for https:// and http://",
                );
            }
            Some(value)
        });
        object.finish();
        Some(Self { status: u16::try_from(status?).ok()?, location: location? })
    }

    pub(crate) fn reply(&self, source: &Source<'_, '_>) -> Result<LocalReply, BadValue> {
        let location = self.location.render_url(source);
        // `//host` and, to browsers, `/\host` are hosts: a path that starts with a place to fill in must not become one.
        let second = location.get(1);
        let own_path = self.location.literal_start().starts_with("//");
        if location.first() == Some(&b'/') && matches!(second, Some(b'/' | b'\\')) && !own_path {
            return Err(BadValue);
        }
        let location = HeaderValue::new(location).map_err(|_| BadValue)?;
        let name = tidegate_config::HeaderName::new("location").map_err(|_| BadValue)?;
        Ok(LocalReply {
            status: self.status,
            grpc_status: reply_grpc_status(self.status),
            headers: vec![(name, location)],
            body: "".into(),
            details: "tidegate_routing_redirect",
        })
    }
}

/// Whether no client has a say in scheme and host.
fn is_closed(location: &Value) -> bool {
    let start = location.literal_start();
    if let Some(literal) = location.as_literal()
        && (literal.starts_with('/') || web_rest(literal).is_some_and(|rest| !rest.is_empty()))
    {
        return true;
    }
    match web_rest(start).or_else(|| start.strip_prefix("//")) {
        Some(rest) => rest.find(['/', '?', '#']).is_some_and(|end| end > 0),
        None => start.starts_with('/'),
    }
}

/// Whether it is at least http or https, or a path.
fn is_web(location: &Value) -> bool {
    let start = location.literal_start();
    web_rest(start).is_some() || start.starts_with('/')
}

fn web_rest(text: &str) -> Option<&str> {
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))
}
