//! The filter's configuration.

use tidegate_config::{Cursor, Decode, HeaderName, Object};

use crate::attribute::Attribute;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) metrics: Vec<Metric>,
    pub(crate) max_series: usize,
    pub(crate) access_log: Vec<AccessLog>,
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) labels: Vec<Label>,
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How many exchanges.
    Counter,
    /// How long they took, in whole units of this many nanoseconds.
    Duration(u64),
}

#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// Where a label's value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Attribute(Attribute),
    /// All values of a header; one that is not allowed, if there is such a list, becomes `other`.
    Header {
        name: HeaderName,
        allow: Vec<String>,
    },
}

/// One access log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) fields: Vec<(&'static str, Attribute)>,
}

const ATTRIBUTES: [(&str, Attribute); 8] = [
    ("route_name", Attribute::RouteName),
    ("method", Attribute::Method),
    ("host", Attribute::Host),
    ("path", Attribute::Path),
    ("status", Attribute::Status),
    ("status_class", Attribute::StatusClass),
    ("duration", Attribute::Duration),
    ("principal", Attribute::Principal),
];

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let metrics = object.get("metrics").map_or(Some(Vec::new()), |cursor| {
            let metrics: Vec<Metric> = cursor.decode()?;
            for (index, metric) in metrics.iter().enumerate() {
                if metrics.iter().take(index).any(|earlier| earlier.name == metric.name) {
                    return cursor
                        .expected_found("each metric name once", format_args!("\"{}\" twice", metric.name));
                }
            }
            Some(metrics)
        });
        let max_series = object.get("max_series").map_or(Some(2_000), |cursor| cursor.integer(1, 100_000));
        let access_log = object.or("access_log", Vec::new());
        object.finish();
        Some(Self {
            metrics: metrics?,
            max_series: usize::try_from(max_series?).ok()?,
            access_log: access_log?,
        })
    }
}

impl Decode for Metric {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name_cursor = object.require("name");
        let name =
            name_cursor.and_then(|cursor| metric_name(cursor, "a metric name of letters, digits and \"_\""));
        let kind = kind(&mut object);
        let labels = object.get("labels").map_or(Some(Vec::new()), |cursor| {
            let labels: Vec<Option<Label>> =
                cursor.entries()?.map(|(name, cursor)| label(name, cursor)).collect();
            labels.into_iter().collect::<Option<Vec<Label>>>().map(|mut labels| {
                // A Struct's members arrive in any order: sorted, a series has one name whoever wrote it.
                labels.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                labels
            })
        });
        object.finish();
        let (name, kind) = (name?, kind?);
        if let (Kind::Duration(_), Some(stem)) = (kind, name.strip_suffix("_seconds")) {
            // A histogram here holds whole numbers: in seconds it would be wrong by a thousand, or mostly zero.
            return name_cursor?
                .expected(format_args!("a name for whole units, such as \"{stem}_milliseconds\""));
        }
        Some(Self { name, kind, labels: labels? })
    }
}

fn kind(object: &mut Object<'_>) -> Option<Kind> {
    let kind =
        object.require("type").and_then(|cursor| cursor.word(&[("counter", false), ("histogram", true)]));
    let value = object.get("value");
    let unit = object.get("unit");
    if !kind? {
        for (cursor, key) in [(value, "value"), (unit, "unit")] {
            if let Some(cursor) = cursor {
                return cursor.expected_found(format_args!("\"{key}\" on a histogram only"), "a counter");
            }
        }
        return Some(Kind::Counter);
    }
    let Some(value) = value else {
        return object.cursor().expected_found("the key \"value\"", "none");
    };
    value.word(&[("duration", ())])?;
    let units = [("ms", 1_000_000), ("us", 1_000)];
    unit.map_or(Some(1_000_000), |cursor| cursor.word(&units)).map(Kind::Duration)
}

fn label(name: &str, cursor: Cursor<'_>) -> Option<Label> {
    if !is_metric_name(name) {
        return cursor
            .expected_found("a label named in letters, digits and \"_\"", format_args!("\"{name}\""));
    }
    let source = match cursor.as_str() {
        Some("path") => {
            // Every path is a series of its own: the bound would be full within minutes.
            cursor.expected("an attribute with few values (\"path\" has one per request)")
        }
        Some(_) => cursor.word(&ATTRIBUTES).map(Source::Attribute),
        None => {
            let mut object = cursor.object()?;
            let name = object.required("header");
            let allow = object.get("allow").map_or(Some(Vec::new()), Cursor::non_empty_list);
            object.finish();
            Some(Source::Header { name: name?, allow: allow? })
        }
    };
    Some(Label { name: name.to_owned(), source: source? })
}

impl Decode for AccessLog {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let to = object.require("to").and_then(|cursor| cursor.word(&[("log", ())]));
        let fields = object.require("fields").and_then(Cursor::non_empty_list);
        object.finish();
        to?;
        Some(Self { fields: fields?.into_iter().map(|Field(name, attribute)| (name, attribute)).collect() })
    }
}

struct Field(&'static str, Attribute);

impl Decode for Field {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let words = ATTRIBUTES.map(|(name, attribute)| (name, (name, attribute)));
        cursor.word(&words).map(|(name, attribute)| Self(name, attribute))
    }
}

fn metric_name(cursor: Cursor<'_>, expected: &str) -> Option<String> {
    match cursor.as_str().filter(|name| is_metric_name(name)) {
        Some(name) => Some(name.to_owned()),
        None => cursor.expected(expected),
    }
}

/// Prometheus' data model, without the colon that is reserved for recording rules.
fn is_metric_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
