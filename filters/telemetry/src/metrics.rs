//! Metrics: what is recorded of each exchange, and when others are told.
//!
//! An exchange costs no host call here but those for the values that are asked for: sums are kept in the worker and told
//! to Envoy at ticks, about a second later. Nothing grows with what clients send: the number of series is bounded for
//! all workers together, and what has no series of its own is counted in one overflow series per metric.

mod clean;
mod export;
mod in_flight;
mod registry;
mod series;
mod table;

use std::cell::RefCell;
use std::time::Duration;

use tidegate_filter_api::{CallToken, CalloutResult, Host, MetricId, MetricKind, Property};

use crate::config::metric::{Metric, Value};
use crate::view::{self, View};
pub(crate) use export::Export;
use in_flight::{Contributions, Orphan};
use registry::Registry;
use series::{LabelSet, Place, Series};

/// So many values of histograms wait for a tick; more are told at once.
const MOST_VALUES: usize = 1_024;

/// All metrics of this worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    metrics: Vec<Metric>,
    sets: RefCell<Vec<LabelSet>>,
    /// Positions of the sets that are recorded when a request arrives, and when an exchange has ended.
    at_arrival: Vec<usize>,
    at_end: Vec<usize>,
    state: RefCell<State>,
    registry: Registry,
    contributions: Contributions,
    /// `None`: Envoy keeps the metrics.
    export: Option<Export>,
    overflowed: Option<MetricId>,
    unusable: Option<MetricId>,
}

/// What changes with every exchange.
#[derive(Debug, Default)]
struct State {
    series: Vec<Series>,
    /// Those that have something to flush.
    waiting: Vec<Place>,
    /// Values of histograms.
    values: Vec<(Place, u64)>,
    /// Gauges of other workers that are no more, by name: defined once, like all.
    adopted: Vec<(String, Option<MetricId>)>,
    /// Where keys are put together, so that a known series costs no allocation.
    key: Vec<u8>,
}

impl Metrics {
    pub(crate) fn new(
        metrics: Vec<Metric>,
        max_series: usize,
        export: Option<Export>,
        hashing: [u8; 16],
        host: &dyn Host,
    ) -> Self {
        let plugin = host.property(Property::PLUGIN_NAME).unwrap_or_default();
        let counter = |name| host.define_metric(MetricKind::Counter, name).ok();
        let (overflowed, unusable) = match metrics.is_empty() {
            true => (None, None),
            false => (
                counter("tidegate.telemetry.dropped_label_sets"),
                counter("tidegate.telemetry.unusable_values"),
            ),
        };
        let (sets, at_arrival, at_end) = grouped(&metrics, hashing);
        Self {
            registry: Registry::new(&plugin, &identity(&metrics), max_series),
            contributions: Contributions::new(&plugin),
            metrics,
            sets: RefCell::new(sets),
            at_arrival,
            at_end,
            state: RefCell::default(),
            export,
            overflowed,
            unusable,
        }
    }

    /// A request arrives. The series that show it until it ends are to be given to [`Metrics::leave`].
    pub(crate) fn arrive(&self, view: &View<'_>) -> Vec<Place> {
        let mut shown = Vec::new();
        for set in &self.at_arrival {
            let show = |state: &mut State, _, _, place| {
                state.add(place, 1);
                shown.push(place);
            };
            self.each(*set, view, |_| Some(1), show);
        }
        shown
    }

    /// A request that arrived is over.
    pub(crate) fn leave(&self, shown: &[Place]) {
        let mut state = self.state.borrow_mut();
        shown.iter().for_each(|place| state.add(*place, -1));
    }

    /// An exchange has ended.
    pub(crate) fn end(&self, view: &View<'_>) {
        for set in &self.at_end {
            self.each(*set, view, |metric| self.value(metric, view), State::record);
        }
        let mut state = self.state.borrow_mut();
        if state.values.len() >= MOST_VALUES {
            self.flush_values(&mut state, view.host);
        }
    }

    /// Tells Envoy, or a collector, what was recorded since the last tick.
    pub(crate) fn tick(&self, now: Duration, host: &dyn Host) {
        let mut state = self.state.borrow_mut();
        self.flush_values(&mut state, host);
        match &self.export {
            Some(export) => {
                if export.is_due(now) {
                    export.send(&self.metrics, &self.sets.borrow(), &state.series, now, host);
                }
            }
            None => {
                self.flush_sums(&mut state, host);
                if !self.at_arrival.is_empty() {
                    let mut orphans = self.contributions.sign(now, host);
                    orphans.append(&mut self.contributions.look(now, host));
                    self.adopt(&mut state, orphans, host);
                }
            }
        }
    }

    /// The worker goes: what is told now is told for the last time.
    pub(crate) fn finish(&self, now: Duration, host: &dyn Host) {
        if self.export.is_some() {
            // A call would be cancelled.
            return;
        }
        let mut state = self.state.borrow_mut();
        self.flush_values(&mut state, host);
        self.flush_sums(&mut state, host);
        drop(self.contributions.sign(now, host));
    }

    /// Whether the call was made here.
    pub(crate) fn ended(
        &self,
        token: CallToken,
        result: &CalloutResult,
        now: Duration,
        host: &dyn Host,
    ) -> bool {
        self.export.as_ref().is_some_and(|export| export.ended(token, result, now, host))
    }

    /// How often it wants to be ticked; `None` if there is nothing to tell.
    pub(crate) fn period(&self) -> Option<Duration> {
        (!self.metrics.is_empty()).then_some(Duration::from_secs(1))
    }

    /// Finds the series of each metric of a set that has something to record.
    fn each(
        &self,
        set: usize,
        view: &View<'_>,
        value: impl Fn(&Metric) -> Option<u64>,
        mut record: impl FnMut(&mut State, MetricKind, u64, Place),
    ) {
        let mut state = self.state.borrow_mut();
        let mut sets = self.sets.borrow_mut();
        let mut key = std::mem::take(&mut state.key);
        let mut row = None;
        if let Some(labels) = sets.get_mut(set) {
            for member in 0..labels.metrics.len() {
                let Some(&position) = labels.metrics.get(member) else { continue };
                let Some(metric) = self.metrics.get(position) else { continue };
                if metric.when.as_ref().is_some_and(|when| !view.satisfies(when)) {
                    continue;
                }
                let Some(value) = value(metric) else { continue };
                // Not before somebody needs it, and once for all metrics with these labels.
                let row = *row.get_or_insert_with(|| {
                    labels.write_key(view, &mut key);
                    labels.row(&key)
                });
                let place = row.and_then(|row| labels.place(row, member)).or_else(|| {
                    self.new_series(labels, (set, member, position), &key, &mut state, view.host)
                });
                if let Some(place) = place {
                    record(&mut state, metric.kind, value, place);
                }
            }
        }
        state.key = key;
    }

    /// A series under values of labels that are new to this worker, or the one for what has none.
    fn new_series(
        &self,
        labels: &mut LabelSet,
        (set, member, position): (usize, usize, usize),
        key: &[u8],
        state: &mut State,
        host: &dyn Host,
    ) -> Option<Place> {
        let metric = self.metrics.get(position)?;
        let overflow;
        let key = if self.registry.admits(&metric.name, key, host) {
            key
        } else {
            if let Some(overflowed) = self.overflowed {
                host.add(overflowed, 1);
            }
            overflow = labels.overflow_key();
            if let Some(known) = labels.row(&overflow).and_then(|row| labels.place(row, member)) {
                return Some(known);
            }
            overflow.as_slice()
        };
        let id = match self.export {
            Some(_) => None,
            None => state.define(metric.kind, &labels.series_name(&metric.name, key), host),
        };
        let place = Place::try_from(state.series.len()).ok()?;
        state.series.push(Series::new(position, set, key, id));
        labels.note(key, member, place);
        Some(place)
    }

    fn value(&self, metric: &Metric, view: &View<'_>) -> Option<u64> {
        // Towards a collector times are kept exact, and put into their unit when it is told.
        let in_unit = |duration: Duration, nanos: u64| {
            let whole = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            if self.export.is_some() { whole } else { whole / nanos.max(1) }
        };
        let number = |source| {
            let usable = match view.value(source) {
                view::Value::Nothing => return None,
                view::Value::Number(number) => Some(number),
                view::Value::Text(text) => {
                    std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok())
                }
                view::Value::Several => None,
            };
            // More than this no sum can hold.
            let usable = usable.filter(|number: &u64| *number <= u64::from(u32::MAX));
            if let (None, Some(unusable)) = (usable, self.unusable) {
                view.host.add(unusable, 1);
            }
            usable
        };
        match &metric.value {
            Value::Constant(number) => Some(*number),
            Value::Duration(unit) => Some(in_unit(view.duration()?, unit.nanos())),
            Value::TimeToFirstByte(unit) => Some(in_unit(view.time_to_first_byte()?, unit.nanos())),
            Value::RequestBytes => view.request_bytes(),
            Value::ResponseBytes => view.response_bytes(),
            Value::InFlight => None,
            Value::Number(source) => number(source),
        }
    }

    fn flush_values(&self, state: &mut State, host: &dyn Host) {
        for (place, value) in std::mem::take(&mut state.values) {
            let Some(series) = state.series.get_mut(place as usize) else { continue };
            if self.export.is_none() {
                if let Some(id) = series.id {
                    host.record(id, value);
                }
            } else if let Some(metric) = self.metrics.get(series.metric) {
                let value = export::in_unit(&metric.value, value as f64);
                series.distribution.get_or_insert_default().record(value, &metric.buckets);
            }
        }
    }

    fn flush_sums(&self, state: &mut State, host: &dyn Host) {
        for place in std::mem::take(&mut state.waiting) {
            let Some(series) = state.series.get_mut(place as usize) else { continue };
            let added = series.flush(host);
            let Some(metric) = self.metrics.get(series.metric) else { continue };
            if metric.value == Value::InFlight
                && let Some(labels) = self.sets.borrow().get(series.set)
            {
                self.contributions.add(&labels.series_name(&metric.name, &series.key), added);
            }
        }
    }

    /// Puts right what workers that are no more, or were taken for such, left in gauges.
    fn adopt(&self, state: &mut State, orphans: Vec<Orphan>, host: &dyn Host) {
        for Orphan { name, amount } in orphans {
            let sets = self.sets.borrow();
            let own = state.series.iter().find(|series| {
                let (Some(metric), Some(labels)) = (self.metrics.get(series.metric), sets.get(series.set))
                else {
                    return false;
                };
                metric.value == Value::InFlight && labels.series_name(&metric.name, &series.key) == name
            });
            let id = match own {
                Some(series) => series.id,
                None => match state.adopted.iter().find(|(known, _)| *known == name) {
                    Some((_, id)) => *id,
                    None => {
                        let id = host.define_metric(MetricKind::Gauge, &name).ok();
                        state.adopted.push((name, id));
                        id
                    }
                },
            };
            if let Some(id) = id {
                host.add(id, amount);
            }
        }
    }
}

impl State {
    /// A metric, unless it was defined already for what another worker left in it: Envoy would keep it twice.
    fn define(&self, kind: MetricKind, name: &str, host: &dyn Host) -> Option<MetricId> {
        match self.adopted.iter().find(|(known, _)| known == name) {
            Some((_, id)) => *id,
            None => host.define_metric(kind, name).ok(),
        }
    }

    fn record(&mut self, kind: MetricKind, value: u64, place: Place) {
        match kind {
            MetricKind::Counter => self.add(place, i64::try_from(value).unwrap_or(i64::MAX)),
            MetricKind::Histogram => self.values.push((place, value)),
            MetricKind::Gauge => {
                self.wait(place);
                if let Some(series) = self.series.get_mut(place as usize) {
                    series.last = Some(value);
                }
            }
        }
    }

    fn add(&mut self, place: Place, amount: i64) {
        self.wait(place);
        if let Some(series) = self.series.get_mut(place as usize) {
            series.sum = series.sum.saturating_add(amount);
        }
    }

    fn wait(&mut self, place: Place) {
        if let Some(series) = self.series.get_mut(place as usize)
            && !std::mem::replace(&mut series.waits, true)
        {
            self.waiting.push(place);
        }
    }
}

/// Metrics with the same labels belong together, but what is recorded at arrival is told from what is at the end.
fn grouped(metrics: &[Metric], hashing: [u8; 16]) -> (Vec<LabelSet>, Vec<usize>, Vec<usize>) {
    let mut sets: Vec<LabelSet> = Vec::new();
    let (mut at_arrival, mut at_end) = (Vec::new(), Vec::new());
    for (position, metric) in metrics.iter().enumerate() {
        let places = if metric.value == Value::InFlight { &mut at_arrival } else { &mut at_end };
        let alike = |place: &&usize| sets.get(**place).is_some_and(|set| set.labels == metric.labels);
        match places.iter().find(alike).and_then(|place| sets.get_mut(*place)) {
            Some(set) => set.metrics.push(position),
            None => {
                places.push(sets.len());
                sets.push(LabelSet::new(metric.labels.clone(), position, hashing));
            }
        }
    }
    (sets, at_arrival, at_end)
}

/// What tells one set of metrics from another.
fn identity(metrics: &[Metric]) -> Vec<u8> {
    let mut identity = Vec::new();
    for metric in metrics {
        identity.extend_from_slice(metric.name.as_bytes());
        for label in &metric.labels {
            identity.push(b',');
            identity.extend_from_slice(label.name.as_bytes());
        }
        identity.push(b';');
    }
    identity
}
