//! Access-log lines: one JSON object each.

use serde_json::{Map, Value};

use crate::attribute::{Attribute, Ended};
use crate::config::AccessLog;

/// The line for an exchange. Attributes that it does not have are `null`.
pub(crate) fn line(log: &AccessLog, ended: &Ended<'_>) -> String {
    let fields = log.fields.iter().map(|(name, attribute)| ((*name).to_owned(), value(*attribute, ended)));
    // serde_json escapes quotes and controls: a client cannot begin a line of its own.
    Value::Object(fields.collect::<Map<_, _>>()).to_string()
}

fn value(attribute: Attribute, ended: &Ended<'_>) -> Value {
    match attribute {
        Attribute::Status => ended.status().map_or(Value::Null, Value::from),
        Attribute::Duration => {
            let milliseconds = ended.duration().and_then(|duration| u64::try_from(duration.as_millis()).ok());
            milliseconds.map_or(Value::Null, Value::from)
        }
        // A label says `_OTHER`; the log is where one looks for what it was.
        Attribute::Method => match ended.exchange.method() {
            b"" => Value::Null,
            method => Value::from(String::from_utf8_lossy(method)),
        },
        other => ended.text(other).map_or(Value::Null, Value::from),
    }
}
