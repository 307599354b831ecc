//! One metric.

use tidegate_config::{Cursor, Object, fill};
use tidegate_filter_api::MetricKind;

use super::label::{Label, labels};
use super::when::{Moment, When};
use crate::source::Source;

/// One metric.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) value: Value,
    pub(crate) labels: Vec<Label>,
    pub(crate) when: Option<When>,
    /// Bounds of a histogram's buckets, where it goes out by OTLP.
    pub(crate) buckets: Vec<f64>,
}

/// What a metric gets of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Constant(u64),
    Duration(Unit),
    TimeToFirstByte(Unit),
    RequestBytes,
    ResponseBytes,
    InFlight,
    /// The number that stands in a header.
    Number(Source),
}

/// What a time is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// With fractions: where metrics go out by OTLP.
    Seconds,
    Milliseconds,
    Microseconds,
}

impl Unit {
    /// Nanoseconds in one.
    pub(crate) fn nanos(self) -> u64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
        }
    }

    /// What a name in this unit ends in.
    fn suffix(self) -> &'static str {
        match self {
            Self::Seconds => "_seconds",
            Self::Milliseconds => "_milliseconds",
            Self::Microseconds => "_microseconds",
        }
    }

    const ALL: [Self; 3] = [Self::Seconds, Self::Milliseconds, Self::Microseconds];
}

/// What metrics of a configuration have around them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Whether there are `path_templates`.
    pub(crate) templates: bool,
    /// Whether metrics go out by OTLP instead of by Envoy.
    pub(crate) otlp: bool,
}

impl Metric {
    pub(crate) fn decode(cursor: Cursor<'_>, around: Surroundings) -> Option<Self> {
        let is_name = if around.otlp { is_otlp_name } else { is_prometheus_name };
        let mut object = cursor.object()?;
        let mut metric = Self {
            name: String::new(),
            kind: MetricKind::Counter,
            value: Value::Constant(1),
            labels: Vec::new(),
            when: None,
            buckets: Vec::new(),
        };
        let name = object.require("name");
        let mut fine = name.is_some();
        fine &= fill(name, &mut metric.name, |cursor| match cursor.as_str().filter(|name| is_name(name)) {
            Some(name) => Some(name.to_owned()),
            None => cursor.expected("a metric name of letters, digits and \"_\""),
        });
        let kinds = [
            ("counter", MetricKind::Counter),
            ("gauge", MetricKind::Gauge),
            ("histogram", MetricKind::Histogram),
        ];
        let kind = object.require("type").and_then(|cursor| cursor.word(&kinds));
        let value = value(&mut object, kind, around);
        fine &= kind.is_some() && value.is_some();
        metric.kind = kind.unwrap_or(metric.kind);
        metric.value = value.unwrap_or(metric.value);
        let early = metric.value == Value::InFlight;
        fine &= object
            .fill("labels", &mut metric.labels, |cursor| labels(cursor, early, around.templates, is_name));
        let moment = if early { Moment::Arrival } else { Moment::End };
        fine &= object.fill("when", &mut metric.when, |cursor| When::decode(cursor, moment).map(Some));
        metric.buckets = default_buckets(&metric.value);
        fine &= object.fill("buckets", &mut metric.buckets, |cursor| {
            if !around.otlp {
                return cursor.expected("no such key: Envoy's histogram_bucket_settings has the buckets");
            }
            if kind != Some(MetricKind::Histogram) {
                return cursor.expected("no such key: only histograms have buckets");
            }
            bounds(cursor)
        });
        object.finish();
        if let (true, Some(better), Some(name)) = (fine, honest_name(&metric.name, &metric.value), name) {
            return name.expected(format_args!("a name in the unit of its values, such as \"{better}\""));
        }
        fine.then_some(metric)
    }
}

fn value(object: &mut Object<'_>, kind: Option<MetricKind>, around: Surroundings) -> Option<Value> {
    let (cursor, unit) = (object.get("value"), object.get("unit"));
    let found = match cursor {
        None if kind == Some(MetricKind::Counter) => Some(Value::Constant(1)),
        None => {
            // Without a usable type nothing says whether one is needed.
            return match kind {
                Some(_) => object.cursor().expected_found("the key \"value\"", "none"),
                None => None,
            };
        }
        Some(cursor) => decode_value(cursor),
    };
    let units: &[(&str, Unit)] =
        &[("ms", Unit::Milliseconds), ("us", Unit::Microseconds), ("s", Unit::Seconds)];
    let allowed = if around.otlp { units } else { units.get(..2).unwrap_or(units) };
    let default = if around.otlp { Unit::Seconds } else { Unit::Milliseconds };
    let value = match (found?, unit) {
        (Value::Duration(_), unit) => {
            Value::Duration(unit.map_or(Some(default), |cursor| cursor.word(allowed))?)
        }
        (Value::TimeToFirstByte(_), unit) => {
            Value::TimeToFirstByte(unit.map_or(Some(default), |cursor| cursor.word(allowed))?)
        }
        (_, Some(cursor)) => return cursor.expected("no such key: only times have a unit"),
        (value, None) => value,
    };
    let gauge = matches!(value, Value::InFlight | Value::Number(_) | Value::Constant(_));
    match kind? {
        MetricKind::Gauge if !gauge => {
            // What the last request took says nothing about the others.
            cursor?.expected("\"in_flight\", {header}, {response_header} or {constant} for a gauge")
        }
        MetricKind::Counter | MetricKind::Histogram if value == Value::InFlight => {
            cursor?.expected("\"in_flight\" on a gauge only")
        }
        _ => Some(value),
    }
}

fn decode_value(cursor: Cursor<'_>) -> Option<Value> {
    let words = [
        ("duration", Value::Duration(Unit::Milliseconds)),
        ("time_to_first_byte", Value::TimeToFirstByte(Unit::Milliseconds)),
        ("request_bytes", Value::RequestBytes),
        ("response_bytes", Value::ResponseBytes),
        ("in_flight", Value::InFlight),
    ];
    if let Some(text) = cursor.as_str() {
        let known = words.into_iter().find(|(word, _)| *word == text);
        return match known {
            Some((_, value)) => Some(value),
            None => cursor.expected(
                "one of \"duration\", \"time_to_first_byte\", \"request_bytes\", \"response_bytes\", \"in_flight\" or \
                 {header}, {response_header}, {constant}",
            ),
        };
    }
    let mut object = cursor.object()?;
    let value =
        object.one_of(&["header", "response_header", "constant"]).and_then(|variant| match variant.key {
            "header" => variant.cursor.decode().map(|name| Value::Number(Source::Header(name))),
            "response_header" => {
                variant.cursor.decode().map(|name| Value::Number(Source::ResponseHeader(name)))
            }
            _ => {
                let number = variant.cursor.integer(0, 1_000_000_000)?;
                u64::try_from(number).ok().map(Value::Constant)
            }
        });
    object.finish();
    value
}

/// Rising numbers.
fn bounds(cursor: Cursor<'_>) -> Option<Vec<f64>> {
    const MOST: usize = 100;
    let mut bounds: Vec<f64> = Vec::new();
    for element in cursor.elements()? {
        let rises = |number: &f64| number.is_finite() && bounds.last().is_none_or(|last| last < number);
        match element.as_number().filter(rises) {
            Some(number) => bounds.push(number),
            None => return element.expected("a number above the one before"),
        }
    }
    if bounds.is_empty() || bounds.len() > MOST {
        return cursor.expected_found(format_args!("from 1 to {MOST} numbers"), bounds.len());
    }
    Some(bounds)
}

/// What OpenTelemetry's conventions advise for times, in whatever unit; for sizes, powers of four.
pub(crate) fn default_buckets(value: &Value) -> Vec<f64> {
    const SECONDS: [f64; 14] =
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    match value {
        Value::Duration(unit) | Value::TimeToFirstByte(unit) => {
            let in_a_second = 1e9 / unit.nanos() as f64;
            SECONDS.into_iter().map(|seconds| seconds * in_a_second).collect()
        }
        _ => (0..12).map(|power| f64::from(4_u32.pow(power)) * 64.0).collect(),
    }
}

/// A better name, if this one says another unit than the values have. A histogram of Envoy's holds whole numbers: in
/// seconds it would be wrong by a thousand, or mostly zero.
fn honest_name(name: &str, value: &Value) -> Option<String> {
    let (Value::Duration(unit) | Value::TimeToFirstByte(unit)) = value else { return None };
    let (stem, total) = name.strip_suffix("_total").map_or((name, ""), |stem| (stem, "_total"));
    let named = Unit::ALL.into_iter().find_map(|unit| Some((unit, stem.strip_suffix(unit.suffix())?)));
    named.filter(|(named, _)| named != unit).map(|(_, stem)| format!("{stem}{}{total}", unit.suffix()))
}

/// Prometheus' data model, without the colon that is reserved for recording rules.
fn is_prometheus_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// OpenTelemetry's instrument names ("Metrics API", instrument name syntax).
fn is_otlp_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
}
