//! A JSON document as a tree that keeps what `serde_json::Value` loses: the order of members and their duplicates.

use crate::error::{Error, excerpt};

/// One JSON value.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// An integer, however it was written: `100`, `100.0` and `1e2` are one number.
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// Parses a whole document: JSON, or a `google.protobuf.Struct` in binary. Depth is bounded (128 levels).
pub(crate) fn parse(document: &[u8]) -> Result<Value, Error> {
    if document.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new("configuration", "an object", "nothing"));
    }
    // No text is both: a Struct's first byte is a line feed, its second a length, and no JSON follows those.
    crate::json::parse(document).or_else(|fault| {
        let no_json = Error::new("configuration", "a JSON document", &fault.describe(document));
        crate::structure::parse(document).ok_or(no_json)
    })
}

/// The value of a JSON text, for use outside of configurations; `None` for what is no JSON. Of members of one name the
/// last counts, and `3.0` is 3.
#[must_use]
pub fn parse_json(text: &[u8]) -> Option<serde_json::Value> {
    crate::json::parse(text).ok().map(|value| (&value).into())
}

impl Value {
    /// A number that arrived as a double. Above 2^53 one no longer tells its neighbours apart, so it is not taken for
    /// an integer.
    pub(crate) fn number(number: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.trunc() == number && number.abs() <= EXACT {
            Self::Integer(number as i64)
        } else {
            Self::Float(number)
        }
    }

    /// The value as an error message shows it: short, on one line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::String(text) => format!("\"{}\"", excerpt(text)),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => decimal(*value),
            _ => self.kind().to_owned(),
        }
    }

    /// Appends the value in one form: members by key, texts with their lengths, so that no two values look alike.
    pub(crate) fn write_canonical(&self, text: &mut String) {
        match self {
            Self::Null | Self::Bool(_) | Self::Integer(_) => {
                text.push_str(&self.describe());
                text.push(',');
            }
            // Its bits, since a message shows some floats alike.
            Self::Float(number) => {
                text.push('~');
                text.push_str(&number.to_bits().to_string());
                text.push(',');
            }
            Self::String(content) => write_text(content, text),
            Self::List(elements) => {
                text.push('[');
                elements.iter().for_each(|element| element.write_canonical(text));
                text.push(']');
            }
            Self::Object(members) => {
                // Put where they belong one by one: a few members, and the library's sorting is 4 KiB of code.
                let mut sorted: Vec<&(String, Self)> = Vec::with_capacity(members.len());
                for member in members {
                    let behind = sorted.iter().filter(|(key, _)| *key <= member.0).count();
                    sorted.insert(behind, member);
                }
                text.push('{');
                for (key, value) in sorted {
                    write_text(key, text);
                    value.write_canonical(text);
                }
                text.push('}');
            }
        }
    }

    /// The value's kind alone, for values that may hold a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(list) if list.is_empty() => "an empty list",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

fn write_text(content: &str, text: &mut String) {
    text.push_str(&content.len().to_string());
    text.push('"');
    text.push_str(content);
}

/// A number that is no integer, to six places. Exact printing, the standard library's or serde_json's, would be 10 to 20
/// KiB of each module.
fn decimal(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() || size >= 1e15 {
        return "a number of more than 15 digits".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let millionths = (size.fract() * 1e6) as u64;
    let text = format!("{sign}{}.{millionths:06}", size.trunc() as u64);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Integer(value) => Self::from(*value),
            Value::Float(value) => Self::from(*value),
            Value::String(text) => Self::String(text.clone()),
            Value::List(list) => Self::Array(list.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}
