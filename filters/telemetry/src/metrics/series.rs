//! Series: which this worker knows, and what was recorded in them since the last flush.

use tidegate_filter_api::{Host, MetricId};

use super::clean::{self, OTHER, OVERFLOW, UNKNOWN};
use super::table::Table;
use crate::config::label::Label;
use crate::view::{Value, View};

/// A series of this worker, by its number.
pub(crate) type Place = u32;

/// Metrics with the same labels: their values are looked up once for all of them.
#[derive(Debug)]
pub(crate) struct LabelSet {
    pub(crate) labels: Vec<Label>,
    /// Positions of the metrics.
    pub(crate) metrics: Vec<usize>,
    /// Values of the labels that were seen.
    known: Table,
    /// For each of them the series of each metric, as far as they exist.
    places: Vec<Option<Place>>,
}

/// Between two values in a key. No clean value holds it.
const NEXT: u8 = 0;
/// A label that is left out.
const LEFT_OUT: u8 = 1;

impl LabelSet {
    pub(crate) fn new(labels: Vec<Label>, metric: usize, hashing: [u8; 16]) -> Self {
        Self { labels, metrics: vec![metric], known: Table::new(hashing), places: Vec::new() }
    }

    /// Where the series under these values stand, if any of them exists.
    pub(crate) fn row(&self, key: &[u8]) -> Option<u32> {
        self.known.get(key)
    }

    /// The series of the metric at `member` in a row, if it has one.
    pub(crate) fn place(&self, row: u32, member: usize) -> Option<Place> {
        *self.places.get(row as usize * self.metrics.len() + member)?
    }

    /// Notes the series of the metric at `member`.
    pub(crate) fn note(&mut self, key: &[u8], member: usize, place: Place) {
        let Some(number) = self.known.get(key).or_else(|| self.known.insert(key)) else { return };
        let start = number as usize * self.metrics.len();
        if self.places.len() < start + self.metrics.len() {
            self.places.resize(start + self.metrics.len(), None);
        }
        if let Some(known) = self.places.get_mut(start + member) {
            *known = Some(place);
        }
    }

    /// Writes the values of all labels, cleaned, into `key`.
    pub(crate) fn write_key(&self, view: &View<'_>, key: &mut Vec<u8>) {
        key.clear();
        for label in &self.labels {
            write_value(label, view, key);
            key.push(NEXT);
        }
    }

    /// The key of the series for everything that has no series of its own.
    pub(crate) fn overflow_key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        for _ in &self.labels {
            key.extend_from_slice(OVERFLOW);
            key.push(NEXT);
        }
        key
    }

    /// Names and values of the labels that a key stands for.
    pub(crate) fn pairs<'k>(&'k self, key: &'k [u8]) -> impl Iterator<Item = (&'k str, &'k [u8])> {
        let values = key.split(|byte| *byte == NEXT);
        self.labels
            .iter()
            .map(|label| label.name.as_str())
            .zip(values)
            .filter(|(_, value)| *value != [LEFT_OUT])
    }

    /// `method=.=GET;.;route=.=stable;.;shop_requests_total`: Envoy's `stats_tags` (in Istio, `extraStatTags`) make labels
    /// of it and leave the metric's name.
    pub(crate) fn series_name(&self, metric: &str, key: &[u8]) -> String {
        let mut name = String::with_capacity(128);
        for (label, value) in self.pairs(key) {
            name.push_str(label);
            name.push_str("=.=");
            // Clean values are ASCII.
            name.push_str(std::str::from_utf8(value).unwrap_or_default());
            name.push_str(";.;");
        }
        name.push_str(metric);
        name
    }
}

fn write_value(label: &Label, view: &View<'_>, key: &mut Vec<u8>) {
    match view.value(&label.source) {
        Value::Nothing if label.optional => key.push(LEFT_OUT),
        Value::Nothing => key.extend_from_slice(UNKNOWN),
        Value::Several => key.extend_from_slice(OTHER),
        Value::Number(number) => write_number(number, key),
        Value::Text(text) => {
            if label.allow.is_empty() || label.allow.iter().any(|one| one.as_bytes() == &*text) {
                clean::write(&text, key);
            } else {
                key.extend_from_slice(OTHER);
            }
        }
    }
}

fn write_number(number: u64, key: &mut Vec<u8>) {
    key.extend_from_slice(number.to_string().as_bytes());
}

/// One series: whose it is, and what was recorded in it.
#[derive(Debug)]
pub(crate) struct Series {
    /// Position of the metric.
    pub(crate) metric: usize,
    /// Position of the set of labels, and their values.
    pub(crate) set: usize,
    pub(crate) key: Box<[u8]>,
    /// What Envoy calls it; `None` where it keeps none.
    pub(crate) id: Option<MetricId>,
    /// Towards Envoy what is to be added at the next flush, towards a collector everything.
    pub(crate) sum: i64,
    /// What a gauge is to show instead.
    pub(crate) last: Option<u64>,
    /// Whether it stands in the list of those that have something to flush.
    pub(crate) waits: bool,
    /// The distribution of a histogram that goes to a collector.
    pub(crate) distribution: Option<Box<Distribution>>,
}

impl Series {
    pub(crate) fn new(metric: usize, set: usize, key: &[u8], id: Option<MetricId>) -> Self {
        Self { metric, set, key: key.into(), id, sum: 0, last: None, waits: false, distribution: None }
    }

    /// Tells Envoy; returns what was added.
    pub(crate) fn flush(&mut self, host: &dyn Host) -> i64 {
        self.waits = false;
        let (sum, last) = (std::mem::take(&mut self.sum), self.last.take());
        if let Some(id) = self.id {
            match last {
                Some(last) => host.record(id, last),
                None => host.add(id, sum),
            }
        }
        sum
    }
}

/// How often which values came, for a collector.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// One more than there are bounds; each bound belongs to the bucket below it.
    pub(crate) buckets: Vec<u64>,
}

impl Distribution {
    pub(crate) fn record(&mut self, value: f64, bounds: &[f64]) {
        if self.buckets.is_empty() {
            self.buckets.resize(bounds.len() + 1, 0);
        }
        self.least = if self.count == 0 { value } else { self.least.min(value) };
        self.most = if self.count == 0 { value } else { self.most.max(value) };
        self.count += 1;
        self.sum += value;
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below() {
        let mut distribution = Distribution::default();
        [0.5, 1.0, 1.5, 2.0, 9.0].into_iter().for_each(|value| distribution.record(value, &[1.0, 2.0]));
        assert_eq!(distribution.buckets, [2, 2, 1]);
        assert_eq!((distribution.least, distribution.most, distribution.sum), (0.5, 9.0, 14.0));
    }
}
