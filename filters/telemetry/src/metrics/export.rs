//! Metrics to a collector: everything that was ever recorded, at intervals.
//!
//! Cumulative, as OpenTelemetry's own exporters do: a message that is lost is made good by the next. Each worker is an
//! instance of the service, with sums of its own.

use std::cell::Cell;
use std::time::Duration;

use tidegate_filter_api::{CallToken, CalloutResult, Host, MetricKind};

use super::series::{LabelSet, Series};
use crate::config::metric::{Metric, Unit, Value};
use crate::otlp::{Attribute, Counters, Ending, Message, Preamble, Sender, attribute, nested};

/// Metrics on their way to a collector.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) sender: Sender,
    pub(crate) every: Duration,
    pub(crate) preamble: Preamble,
    pub(crate) counters: Counters,
    /// When this worker began to count, in nanoseconds since 1970.
    pub(crate) began: u64,
    pub(crate) last: Cell<Duration>,
    /// Data points on their way.
    pub(crate) sent: Cell<u64>,
}

impl Export {
    /// Whether it is time.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.last.get()) >= self.every && self.sender.is_ready(now)
    }

    /// Sends the state of all series.
    pub(crate) fn send(
        &self,
        metrics: &[Metric],
        sets: &[LabelSet],
        series: &[Series],
        now: Duration,
        host: &dyn Host,
    ) {
        if series.is_empty() {
            return;
        }
        self.last.set(now);
        self.sent.set(series.len() as u64);
        let time = host.now().0;
        let messages: Vec<Vec<u8>> = metrics
            .iter()
            .enumerate()
            .filter_map(|(position, metric)| {
                let mut points = series.iter().filter(|series| series.metric == position).peekable();
                points.peek()?;
                Some(self.message(metric, sets, points, time))
            })
            .collect();
        let message = self.preamble.envelope(messages.iter().map(Vec::as_slice));
        self.sender.send(message, now, host);
    }

    /// Whether the call was this one's.
    pub(crate) fn ended(
        &self,
        token: CallToken,
        result: &CalloutResult,
        now: Duration,
        host: &dyn Host,
    ) -> bool {
        let Some(ending) = self.sender.ended(token, result, now, host) else { return false };
        let sent = self.sent.get();
        match ending {
            Ending::Taken { rejected } => {
                self.counters.exported(sent.saturating_sub(rejected), host);
                self.counters.dropped(rejected.min(sent), host);
            }
            // The next message says it all again.
            Ending::TryAgain => {}
            Ending::Refused => self.counters.dropped(sent, host),
        }
        true
    }

    fn message<'s>(
        &self,
        metric: &Metric,
        sets: &[LabelSet],
        points: impl Iterator<Item = &'s Series>,
        time: u64,
    ) -> Vec<u8> {
        let mut message = Message::new();
        message.bytes(1, metric.name.as_bytes());
        message.bytes(3, unit(&metric.value).as_bytes());
        let seconds = matches!(metric.value, Value::Duration(_) | Value::TimeToFirstByte(_));
        let number = |series: &Series| match (seconds, series.last) {
            (true, _) => Number::Double(in_unit(&metric.value, series.sum as f64)),
            (false, Some(last)) => Number::Whole(last),
            (false, None) => Number::Whole(series.sum.cast_unsigned()),
        };
        let (gauge, sum, histogram) = (5, 7, 9);
        match metric.kind {
            MetricKind::Gauge if metric.value != Value::InFlight => nested(&mut message, gauge, |data| {
                points.for_each(|series| self.number_point(data, sets, series, number(series), time));
            }),
            MetricKind::Counter | MetricKind::Gauge => nested(&mut message, sum, |data| {
                points.for_each(|series| self.number_point(data, sets, series, number(series), time));
                data.varint(2, CUMULATIVE);
                data.varint(3, u64::from(metric.kind == MetricKind::Counter));
            }),
            MetricKind::Histogram => nested(&mut message, histogram, |data| {
                points.for_each(|series| self.histogram_point(data, sets, series, &metric.buckets, time));
                data.varint(2, CUMULATIVE);
            }),
        }
        message.into_bytes()
    }

    fn number_point(
        &self,
        data: &mut Message,
        sets: &[LabelSet],
        series: &Series,
        number: Number,
        time: u64,
    ) {
        nested(data, 1, |point| {
            point.fixed64(2, self.began);
            point.fixed64(3, time);
            match number {
                Number::Double(value) => point.fixed64(4, value.to_bits()),
                Number::Whole(value) => point.fixed64(6, value),
            };
            labels(point, 7, sets, series);
        });
    }

    fn histogram_point(
        &self,
        data: &mut Message,
        sets: &[LabelSet],
        series: &Series,
        bounds: &[f64],
        time: u64,
    ) {
        let Some(distribution) = &series.distribution else { return };
        nested(data, 1, |point| {
            point.fixed64(2, self.began);
            point.fixed64(3, time);
            point.fixed64(4, distribution.count);
            point.fixed64(5, distribution.sum.to_bits());
            let packed = |numbers: &mut dyn Iterator<Item = u64>| {
                numbers.flat_map(u64::to_le_bytes).collect::<Vec<u8>>()
            };
            point.bytes(6, &packed(&mut distribution.buckets.iter().copied()));
            point.bytes(7, &packed(&mut bounds.iter().map(|bound| bound.to_bits())));
            labels(point, 9, sets, series);
            point.fixed64(11, distribution.least.to_bits());
            point.fixed64(12, distribution.most.to_bits());
        });
    }
}

const CUMULATIVE: u64 = 2;

enum Number {
    Double(f64),
    Whole(u64),
}

fn labels(point: &mut Message, field: u32, sets: &[LabelSet], series: &Series) {
    if let Some(set) = sets.get(series.set) {
        for (name, value) in set.pairs(&series.key) {
            attribute(point, field, name, Attribute::Text(value));
        }
    }
}

/// The unit, as UCUM writes it.
fn unit(value: &Value) -> &'static str {
    match value {
        Value::Duration(unit) | Value::TimeToFirstByte(unit) => match unit {
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
        },
        Value::RequestBytes | Value::ResponseBytes => "By",
        Value::InFlight | Value::Constant(_) => "{request}",
        Value::Number(_) => "1",
    }
}

/// A value as recorded, in its unit: times are recorded in nanoseconds.
pub(crate) fn in_unit(value: &Value, recorded: f64) -> f64 {
    match value {
        Value::Duration(unit) | Value::TimeToFirstByte(unit) => recorded / unit.nanos() as f64,
        _ => recorded,
    }
}
