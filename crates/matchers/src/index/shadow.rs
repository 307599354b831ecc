//! Rules that earlier rules leave nothing to, in whole or in part.

use tidegate_filter_api::Host;

use super::RuleIndex;
use super::clause::View;
use super::implies::implies;
use super::sample::sample;
use crate::facts::Facts;
use crate::source::ClientAddress;

/// A rule that an earlier one leaves nothing to, where the first match wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The number of the earlier rule.
    pub earlier: usize,
    /// The number of the later rule.
    pub later: usize,
    /// What of the later rule is never reached: one way of several to satisfy a condition, such as `match.paths[1]`.
    /// `None`: all of it.
    pub part: Option<String>,
}

/// So many earlier rules are compared with each rule at most: more than that come close to one request only in lists that
/// were made for it.
const MOST_COMPARED: usize = 64;

impl RuleIndex {
    /// The rules that can never be the first to match, as far as their conditions tell: an earlier rule applies whenever
    /// they do. For each rule the first such, or else for each of its ways the first. Conditions that only negate are not
    /// looked into, and of each rule at most 64 are compared that apply to a request like its own.
    #[must_use]
    pub fn shadows(&self, host: &dyn Host) -> Vec<Shadow> {
        let mut shadows = Vec::new();
        for (later, rule) in self.rules.iter().enumerate() {
            let view = View::of(rule);
            if let Some(earlier) = self.covering(later, &view, host) {
                shadows.push(Shadow { earlier, later, part: None });
                continue;
            }
            for (place, way) in ways(&view) {
                if let Some(earlier) = self.covering(later, &way, host) {
                    shadows.push(Shadow { earlier, later, part: Some(place) });
                }
            }
        }
        shadows
    }

    /// The first rule before `later` that applies whenever `view` does.
    fn covering(&self, later: usize, view: &View<'_>, host: &dyn Host) -> Option<usize> {
        let (exchange, source) = sample(view);
        let facts = Facts::with_source(&exchange, host, ClientAddress::default(), source);
        let mut covering = None;
        let mut compared = 0;
        self.each_candidate(&facts, &mut |earlier, conditions| {
            compared += 1;
            if earlier >= later || compared > MOST_COMPARED {
                return std::ops::ControlFlow::Break(());
            }
            if implies(view, &View::of(conditions)) {
                covering = Some(earlier);
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        });
        covering
    }
}

/// The rule once for each way to satisfy each of its conditions that has several, and the place of that way.
fn ways<'c>(view: &View<'c>) -> Vec<(String, View<'c>)> {
    let mut ways = Vec::new();
    for (index, clause) in view.clauses.iter().enumerate() {
        if clause.way > 0 || clause.atoms.len() < 2 {
            continue;
        }
        for (number, atom) in clause.atoms.iter().enumerate() {
            let mut narrowed = view.clone();
            if let Some(place) = narrowed.clauses.get_mut(index) {
                place.atoms = vec![atom.clone()];
            }
            let place = match clause.place {
                (list, Some(index)) => format!("match.{list}[{index}].in[{number}]"),
                (list, None) => format!("match.{list}[{number}]"),
            };
            ways.push((place, narrowed));
        }
    }
    if view.ways > 1 {
        for way in 1..=view.ways {
            let mut narrowed = view.clone();
            narrowed.clauses.retain(|clause| clause.way == 0 || clause.way == way);
            for clause in &mut narrowed.clauses {
                clause.way = clause.way.min(1);
            }
            narrowed.ways = 1;
            ways.push((format!("any[{}]", way - 1), narrowed));
        }
    }
    ways
}
