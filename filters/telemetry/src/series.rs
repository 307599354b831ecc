//! The series of all metrics: which exist, and the bound on their number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use tidegate_filter_api::{Host, MetricId, MetricKind};

use crate::attribute::{Ended, UNKNOWN};
use crate::config::{Kind, Label, Metric, Source};

/// What each label of an overflow series shows.
const OVERFLOW: &str = "__overflow__";
/// A longer label value is cut.
const LONGEST_VALUE: usize = 64;

/// The series of this worker. An id, once defined, is kept: the host never frees one, and defines a second one for the
/// same name.
pub(crate) struct SeriesTable {
    most: usize,
    series: RefCell<BTreeMap<String, Option<MetricId>>>,
    overflow: RefCell<BTreeMap<String, Option<MetricId>>>,
    dropped: Option<MetricId>,
}

impl SeriesTable {
    pub(crate) fn new(most: usize, host: &dyn Host) -> Self {
        let dropped = host.define_metric(MetricKind::Counter, "tidegate.telemetry.dropped_label_sets").ok();
        Self { most, series: RefCell::default(), overflow: RefCell::default(), dropped }
    }

    /// Records an exchange in `metric`.
    pub(crate) fn record(&self, metric: &Metric, ended: &Ended<'_>) {
        let host = ended.host;
        let name = series_name(metric, |label, name| write_value(label, ended, name));
        let Some(id) = self.find(metric, name, host) else { return };
        match metric.kind {
            Kind::Counter => host.add(id, 1),
            Kind::Duration(unit) => {
                if let Some(duration) = ended.duration() {
                    host.record(id, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) / unit.max(1));
                }
            }
        }
    }

    fn find(&self, metric: &Metric, name: String, host: &dyn Host) -> Option<MetricId> {
        let mut series = self.series.borrow_mut();
        if let Some(known) = series.get(&name) {
            return *known;
        }
        if series.len() < self.most {
            let id = define(metric.kind, &name, host);
            series.insert(name, id);
            return id;
        }
        if let Some(dropped) = self.dropped {
            host.add(dropped, 1);
        }
        let name = series_name(metric, |_, name| name.push_str(OVERFLOW));
        let mut overflow = self.overflow.borrow_mut();
        *overflow.entry(name).or_insert_with_key(|name| define(metric.kind, name, host))
    }
}

fn define(kind: Kind, name: &str, host: &dyn Host) -> Option<MetricId> {
    let kind = match kind {
        Kind::Counter => MetricKind::Counter,
        Kind::Duration(_) => MetricKind::Histogram,
    };
    host.define_metric(kind, name).ok()
}

/// `method=.=GET;.;route=.=stable;.;shop_requests_total`: Envoy's `stats_tags` (in Istio, `extraStatTags`) make labels
/// of it and leave the metric's name.
fn series_name(metric: &Metric, write_value: impl Fn(&Label, &mut String)) -> String {
    let mut name = String::with_capacity(128);
    for label in &metric.labels {
        name.push_str(&label.name);
        name.push_str("=.=");
        write_value(label, &mut name);
        name.push_str(";.;");
    }
    name.push_str(&metric.name);
    name
}

fn write_value(label: &Label, ended: &Ended<'_>, name: &mut String) {
    match &label.source {
        Source::Attribute(attribute) => {
            let value = ended.text(*attribute);
            write_clean(value.as_deref().unwrap_or(UNKNOWN).as_bytes(), name);
        }
        Source::Header { name: header, allow } => {
            let mut values = ended.exchange.request().values(header.as_str());
            match (values.next(), values.next()) {
                (None, _) => name.push_str(UNKNOWN),
                // Two values are nobody's: which of them the upstream took is not known here.
                (Some(value), None)
                    if allow.is_empty() || allow.iter().any(|allowed| allowed.as_bytes() == value) =>
                {
                    write_clean(value, name);
                }
                _ => name.push_str("other"),
            }
        }
    }
}

/// Writes a value without the bytes that mark labels, controls, or what is not ASCII.
fn write_clean(value: &[u8], name: &mut String) {
    let start = name.len();
    for byte in value.iter().take(LONGEST_VALUE) {
        let clean = byte.is_ascii_alphanumeric() || b"-_./: @+".contains(byte);
        name.push(if clean { char::from(*byte) } else { '_' });
    }
    if name.len() == start {
        let _ = name.write_str(UNKNOWN);
    }
}
