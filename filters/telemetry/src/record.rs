//! Fields of log records and spans: bounded, redacted, as JSON or as OTLP.

use std::borrow::Cow;

use tidegate_matchers::cookie_values;

use crate::attribute::Attribute;
use crate::config::access_log::Field;
use crate::otlp::{self, Message};
use crate::redact::{self, REDACTED, Redaction};
use crate::source::Source;
use crate::trace;
use crate::view::{Value, View};

/// A longer value is cut.
const LONGEST: usize = 2_048;

/// A field's value as it is written down.
enum Written<'v> {
    Nothing,
    Text(Cow<'v, [u8]>),
    Number(u64),
    /// What other filters decided, each under its name.
    Decisions(Vec<(&'static str, Vec<u8>)>),
}

/// Writes the fields as one JSON object. What an exchange does not have is `null`.
pub(crate) fn json(fields: &[Field], redaction: &Redaction, view: &View<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(64 * fields.len());
    line.push(b'{');
    for field in fields {
        if line.len() > 1 {
            line.push(b',');
        }
        write_string(field.name.as_bytes(), &mut line);
        line.push(b':');
        match written(&field.source, redaction, view) {
            Written::Nothing => line.extend_from_slice(b"null"),
            Written::Text(text) => write_string(&text, &mut line),
            Written::Number(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Written::Decisions(decisions) => write_decisions(&decisions, &mut line),
        }
    }
    line.push(b'}');
    line
}

/// Writes the fields as OTLP attributes, as `field` of a message. What an exchange does not have is left out.
pub(crate) fn attributes(
    fields: &[Field],
    redaction: &Redaction,
    view: &View<'_>,
    field: u32,
    message: &mut Message,
) {
    for one in fields {
        match written(&one.source, redaction, view) {
            Written::Nothing => {}
            Written::Text(text) => otlp::attribute(message, field, &one.name, otlp::Attribute::Text(&text)),
            Written::Number(number) => {
                otlp::attribute(message, field, &one.name, otlp::Attribute::Number(number))
            }
            Written::Decisions(decisions) => {
                for (name, value) in decisions {
                    otlp::attribute(
                        message,
                        field,
                        &format!("{}.{name}", one.name),
                        otlp::Attribute::Text(&value),
                    );
                }
            }
        }
    }
}

/// What other filters decided about the exchange.
pub(crate) fn decisions(view: &View<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let all = [
        ("limit", Attribute::Limit),
        ("auth_rule", Attribute::AuthRule),
        ("routing_rule", Attribute::RoutingRule),
        ("routing_arm", Attribute::RoutingArm),
    ];
    let made = all.into_iter().filter_map(|(name, attribute)| match view.attribute(attribute) {
        Value::Text(text) => Some((name, text.into_owned())),
        _ => None,
    });
    made.collect()
}

fn written<'v>(source: &'v Source, redaction: &Redaction, view: &'v View<'_>) -> Written<'v> {
    let redacted = || Written::Text(Cow::Borrowed(REDACTED.as_bytes()));
    match source {
        Source::Attribute(Attribute::Decision) => match decisions(view) {
            none if none.is_empty() => Written::Nothing,
            made => Written::Decisions(made),
        },
        // A label says `_OTHER`, and leaves out the port; the log is where one looks for what it was.
        Source::Attribute(Attribute::Method) => as_written(view.method()),
        Source::Attribute(Attribute::Host) => hidden(as_written(view.authority()), redact::host),
        Source::Attribute(Attribute::Path) => {
            hidden(as_written(view.value(source)), |path| redaction.text(path))
        }
        Source::Attribute(Attribute::Query) => {
            hidden(as_written(view.value(source)), |query| redaction.query(query))
        }
        Source::Header(name) => match joined(&mut view.request().values(name.as_str())) {
            Written::Text(_) if redaction.hides_header(name.as_str()) => redacted(),
            shown => hidden(shown, |value| redaction.value(value)),
        },
        Source::ResponseHeader(name) => match joined(&mut view.response().values(name.as_str())) {
            Written::Text(_) if redaction.hides_header(name.as_str()) => redacted(),
            shown => hidden(shown, |value| redaction.value(value)),
        },
        Source::Cookie(name) => match joined(&mut cookie_values(view.request().values("cookie"), name)) {
            Written::Text(_) if redaction.hides_cookie(name) => redacted(),
            shown => hidden(shown, |value| redaction.value(value)),
        },
        other => as_written(view.value(other)),
    }
}

/// With what is to be written instead, if something is.
fn hidden<'v>(shown: Written<'v>, instead: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Written<'v> {
    match shown {
        Written::Text(text) => Written::Text(instead(&text).map_or(text, |text| shorter(Cow::Owned(text)))),
        other => other,
    }
}

fn shorter(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(mut text) => {
            text.truncate(LONGEST);
            Cow::Owned(text)
        }
    }
}

fn as_written(value: Value<'_>) -> Written<'_> {
    match value {
        Value::Nothing => Written::Nothing,
        Value::Number(number) => Written::Number(number),
        Value::Text(text) => Written::Text(shorter(text)),
        Value::Several => Written::Text(Cow::Borrowed(b"several")),
    }
}

/// All values, in order.
fn joined<'v>(values: &mut dyn Iterator<Item = &'v [u8]>) -> Written<'v> {
    let Some(first) = values.next() else { return Written::Nothing };
    let Some(second) = values.next() else { return Written::Text(Cow::Borrowed(cut(first))) };
    let mut all = cut(first).to_vec();
    for value in std::iter::once(second).chain(values) {
        if all.len() >= LONGEST {
            break;
        }
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }
    all.truncate(LONGEST);
    Written::Text(Cow::Owned(all))
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..LONGEST).unwrap_or(text)
}

fn write_decisions(decisions: &[(&'static str, Vec<u8>)], line: &mut Vec<u8>) {
    line.push(b'{');
    for (index, (name, value)) in decisions.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        write_string(name.as_bytes(), line);
        line.push(b':');
        write_string(value, line);
    }
    line.push(b'}');
}

/// Quotes and controls are escaped, and what is no UTF-8 is replaced: a client cannot begin a line of its own, nor in a
/// program that takes more than LF for the end of one.
fn write_string(text: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for char in String::from_utf8_lossy(text).chars() {
        match char {
            '"' | '\\' => line.extend([b'\\', char as u8]),
            '\n' => line.extend_from_slice(b"\\n"),
            '\r' => line.extend_from_slice(b"\\r"),
            '\t' => line.extend_from_slice(b"\\t"),
            _ if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                line.extend_from_slice(b"\\u");
                trace::write_hex(&(char as u16).to_be_bytes(), line);
            }
            _ => line.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_json_whatever_its_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        let mut line = Vec::new();
        write_string(&all, &mut line);
        let read: String = serde_json::from_slice(&line).unwrap();
        assert_eq!(read, String::from_utf8_lossy(&all));
        assert!(!line.iter().any(|byte| byte.is_ascii_control()));
        let ends = "a\u{85}b\u{2028}c\u{2029}d\u{9b}e";
        line.clear();
        write_string(ends.as_bytes(), &mut line);
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), ends);
        assert!(line.is_ascii(), "no program sees the end of a line in it");
    }
}
