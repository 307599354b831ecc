//! One access log.

use tidegate_config::{Cursor, fill};

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
        let mut log = Self { when: None, fields: Vec::new(), redact: Redaction::default(), to: None };
        let mut fine =
            object.fill("when", &mut log.when, |cursor| When::decode(cursor, Moment::End).map(Some));
        let mut endpoint = None;
        let to = object.require("to");
        fine &= to.is_some() && fill(to, &mut endpoint, destination);
        let fields = object.get("fields");
        fine &= fill(fields, &mut log.fields, |cursor| self::fields(cursor, templates));
        if fields.is_none() {
            log.fields = default_fields();
        }
        fine &= object.fill("redact", &mut log.redact, |cursor| cursor.decode());
        // Where the destination is wrong, that is said once.
        let sends = endpoint.is_some() || !fine;
        let queue = Queue::from_object(&mut object, sends);
        object.finish();
        if let (Some(endpoint), Some(queue)) = (endpoint, queue) {
            log.to = Some((endpoint, queue));
        }
        (fine && queue.is_some()).then_some(log)
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
    let mut fields = Vec::new();
    for name in DEFAULT {
        if let Some(attribute) = Attribute::named(name) {
            fields.push(Field { name: name.to_owned(), source: Source::Attribute(attribute) });
        }
    }
    fields
}

/// A list of attributes, or a map from names to attributes and more.
pub(crate) fn fields(cursor: Cursor<'_>, templates: bool) -> Option<Vec<Field>> {
    let fields = if cursor.is_list() {
        cursor.list(|element| {
            let source = source(element, templates)?;
            match element.as_str() {
                Some(name) => Some(Field { name: name.to_owned(), source }),
                None => element.expected("the name of an attribute (other sources need a map with names)"),
            }
        })
    } else if cursor.is_object() {
        cursor.members(|name, value| {
            let usable = (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
            if !usable {
                value.expected_found::<()>(
                    "a field named in letters, digits, \"_\", \".\" and \"-\"",
                    format_args!("\"{name}\""),
                );
            }
            let source = source(value, templates)?;
            usable.then(|| Field { name: name.to_owned(), source })
        })
    } else {
        cursor.expected("a list of attributes, or a map from names to attributes")
    }?;
    if fields.is_empty() || fields.len() > MOST_FIELDS {
        return cursor.expected_found(format_args!("from 1 to {MOST_FIELDS} fields"), fields.len());
    }
    Some(fields)
}

fn source(cursor: Cursor<'_>, templates: bool) -> Option<Source> {
    let source = Source::decode(cursor, Purpose::Field)?;
    if source.is_template() && !templates {
        return cursor.expected_found("\"path_templates\" beside the access log", "none");
    }
    Some(source)
}
