//! Counters per rule and per arm.

use tidegate_config::Name;
use tidegate_filter_api::{Host, MetricId, MetricKind};

use crate::actions::{Actions, Choice};

/// A rule's counters. One that the host could not define counts nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    matched: Option<MetricId>,
    arms: Vec<Option<MetricId>>,
    fallback: Option<MetricId>,
}

impl Counters {
    /// `tidegate.header_routing.<rule>.matched`, `….<rule>.<arm>.chosen`, `….<rule>.fallback`
    pub(crate) fn define(rule: &Name, actions: &Actions, host: &dyn Host) -> Self {
        Self {
            matched: counter(host, &format!("{rule}.matched")),
            ..Self::of_choice(rule.as_str(), actions, host)
        }
    }

    /// The same for requests that no rule matches: `tidegate.header_routing.unmatched`, `….default.<arm>.chosen`.
    pub(crate) fn of_default(actions: Option<&Actions>, host: &dyn Host) -> Self {
        let chosen = actions.map(|actions| Self::of_choice("default", actions, host));
        Self { matched: counter(host, "unmatched"), ..chosen.unwrap_or_default() }
    }

    fn of_choice(rule: &str, actions: &Actions, host: &dyn Host) -> Self {
        let Some(forward) = actions.forward() else { return Self::default() };
        let arms = match &forward.choice {
            Some(Choice::Split(split)) => {
                split.arms.iter().map(|arm| counter(host, &format!("{rule}.{}.chosen", arm.route))).collect()
            }
            _ => Vec::new(),
        };
        let fallback = forward.fallback.as_ref().and_then(|_| counter(host, &format!("{rule}.fallback")));
        Self { matched: None, arms, fallback }
    }

    pub(crate) fn count_match(&self, host: &dyn Host) {
        count(self.matched, host);
    }

    pub(crate) fn count_arm(&self, arm: usize, host: &dyn Host) {
        count(self.arms.get(arm).copied().flatten(), host);
    }

    pub(crate) fn count_fallback(&self, host: &dyn Host) {
        count(self.fallback, host);
    }
}

/// Defines a counter of this filter.
pub(crate) fn counter(host: &dyn Host, name: &str) -> Option<MetricId> {
    host.define_metric(MetricKind::Counter, &format!("tidegate.header_routing.{name}")).ok()
}

/// Counts one.
pub(crate) fn count(metric: Option<MetricId>, host: &dyn Host) {
    if let Some(metric) = metric {
        host.add(metric, 1);
    }
}
