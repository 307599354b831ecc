//! One access log.

use tidegate_config::Cursor;

use super::endpoint::{Endpoint, Queue};
use super::when::{Moment, When};
use crate::attribute::Attribute;
use crate::redact::Redaction;
use crate::source::{Purpose, Source};

/// One access log.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog {
    pub(crate) when: Option<When>,
    pub(crate) fields: Vec<Field>,
    pub(crate) redact: Redaction,
    /// `None`: Envoy's own log.
    pub(crate) to: Option<(Endpoint, Queue)>,
}

/// A field of a record: its name, and where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// More fields than this make a record that nobody reads.
const MOST_FIELDS: usize = 64;

/// Where nothing is said of fields.
const DEFAULT: [&str; 13] = [
    "time",
    "method",
    "host",
    "path",
    "status",
    "response_flags",
    "duration",
    "request_bytes",
    "response_bytes",
    "route_name",
    "upstream_cluster",
    "decision",
    "trace_id",
];

impl AccessLog {
    pub(crate) fn decode(cursor: Cursor<'_>, templates: bool) -> Option<Self> {
        let mut object = cursor.object()?;
        let when =
            object.get("when").map_or(Some(None), |cursor| When::decode(cursor, Moment::End).map(Some));
        let to = object.require("to").and_then(destination);
        let fields =
            object.get("fields").map_or_else(|| Some(default_fields()), |cursor| fields(&cursor, templates));
        let redact = object.or("redact", Redaction::default());
        let sends = to.as_ref().is_none_or(Option::is_some);
        let queue = Queue::from_object(&mut object, sends);
        object.finish();
        let queue = queue?;
        Some(Self {
            when: when?,
            fields: fields?,
            redact: redact?,
            to: to?.map(|endpoint| (endpoint, queue)),
        })
    }
}

/// `log` or `{otlp: …}`
fn destination(cursor: Cursor<'_>) -> Option<Option<Endpoint>> {
    if !cursor.is_object() {
        return match cursor.as_str() {
            Some("log") => Some(None),
            _ => cursor.expected("\"log\" or {otlp}"),
        };
    }
    let mut object = cursor.object()?;
    let endpoint = object.required("otlp");
    object.finish();
    endpoint.map(Some)
}

fn default_fields() -> Vec<Field> {
    let named = |name: &str| {
        let source = Source::Attribute(Attribute::named(name)?);
        Some(Field { name: name.to_owned(), source })
    };
    DEFAULT.into_iter().filter_map(named).collect()
}

/// A list of attributes, or a map from names to attributes and more.
pub(crate) fn fields(cursor: &Cursor<'_>, templates: bool) -> Option<Vec<Field>> {
    let decoded: Vec<Option<Field>> = if cursor.is_list() {
        cursor
            .elements()?
            .map(|element| {
                let source = source(element, templates)?;
                let name = element.as_str().unwrap_or_default().to_owned();
                if name.is_empty() {
                    return element
                        .expected("the name of an attribute (other sources need a map with names)");
                }
                Some(Field { name, source })
            })
            .collect()
    } else if cursor.is_object() {
        cursor
            .entries()?
            .map(|(name, value)| {
                let usable = (1..=64).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
                let found = format!("\"{name}\"");
                let usable = usable.then_some(()).or_else(|| {
                    value.expected_found("a field named in letters, digits, \"_\", \".\" and \"-\"", found)
                });
                let source = source(value, templates)?;
                usable.map(|()| Field { name: name.to_owned(), source })
            })
            .collect()
    } else {
        return cursor.expected("a list of attributes, or a map from names to attributes");
    };
    if decoded.is_empty() || decoded.len() > MOST_FIELDS {
        return cursor.expected_found(format_args!("from 1 to {MOST_FIELDS} fields"), decoded.len());
    }
    decoded.into_iter().collect()
}

fn source(cursor: Cursor<'_>, templates: bool) -> Option<Source> {
    let (source, ()) = Source::decode(cursor, Purpose::Field, |_| Some(()))?;
    if source == Source::Attribute(Attribute::PathTemplate) && !templates {
        return cursor.expected_found("\"path_templates\" beside the access log", "none");
    }
    Some(source)
}
