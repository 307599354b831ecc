//! What is counted per limit.

use tidegate_filter_api::{Host, MetricId, MetricKind};

/// The metrics of one limit. One that the host would not define is not counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    allowed: Option<MetricId>,
    denied: Option<MetricId>,
    shadow_denied: Option<MetricId>,
    errors: Option<MetricId>,
    table_full: Option<MetricId>,
    /// A gauge.
    pub(crate) keys: Option<MetricId>,
}

/// What can happen to a request at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Allowed,
    Denied,
    ShadowDenied,
    Error,
    TableFull,
}

impl Metrics {
    pub(crate) fn define(limit: &str, host: &dyn Host) -> Self {
        let define = |kind: MetricKind, what: &str| {
            host.define_metric(kind, &format!("tidegate.rate_limit.{limit}.{what}")).ok()
        };
        let counter = |what: &str| define(MetricKind::Counter, what);
        Self {
            allowed: counter("allowed"),
            denied: counter("denied"),
            shadow_denied: counter("shadow_denied"),
            errors: counter("errors"),
            table_full: counter("table_full"),
            keys: define(MetricKind::Gauge, "keys"),
        }
    }

    pub(crate) fn count(&self, event: Event, host: &dyn Host) {
        let metric = match event {
            Event::Allowed => self.allowed,
            Event::Denied => self.denied,
            Event::ShadowDenied => self.shadow_denied,
            Event::Error => self.errors,
            Event::TableFull => self.table_full,
        };
        if let Some(metric) = metric {
            host.add(metric, 1);
        }
    }
}
