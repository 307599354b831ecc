//! Which rules concern a request.

use std::collections::BTreeSet;

use tidegate_filter_api::{Exchange, Host};
use tidegate_matchers::{ClientAddress, Facts, readings};

use crate::config::{Action, Rule};

/// The rules that concern a request, by their index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The one that denies it, whoever asks.
    pub(crate) denying: Option<usize>,
    /// Those that deny it to some.
    pub(crate) denying_some: Vec<usize>,
    /// The first that matches of those that do not deny.
    pub(crate) deciding: Option<usize>,
    /// Those in shadow mode that would decide, or deny.
    pub(crate) shadows: Vec<usize>,
}

/// A request as rules see it: once, or in each way that its path can be read.
pub(crate) enum View<'a> {
    Plain(Facts<'a>),
    Ambiguous(Vec<Facts<'a>>),
}

impl<'a> View<'a> {
    pub(crate) fn plain(exchange: &'a Exchange, host: &'a dyn Host, addresses: ClientAddress) -> Self {
        Self::Plain(Facts::new(exchange, host, addresses))
    }

    /// `None` if the path is too long to be read in every way.
    pub(crate) fn ambiguous(
        exchange: &'a Exchange,
        host: &'a dyn Host,
        addresses: ClientAddress,
    ) -> Option<Self> {
        let paths: BTreeSet<Vec<u8>> = readings(exchange.path())?;
        let facts = paths.into_iter().map(|path| Facts::with_path(exchange, host, addresses, path));
        Some(Self::Ambiguous(facts.collect()))
    }

    /// Whether a rule applies: one that protects when any reading fits, one that opens only when all do.
    fn fits(&self, rule: &Rule) -> bool {
        match self {
            Self::Plain(facts) => rule.conditions.match_facts(facts),
            Self::Ambiguous(readings) => {
                let mut fit = readings.iter().map(|facts| rule.conditions.match_facts(facts));
                match rule.action {
                    Action::AllowAnyone => fit.all(|fits| fits),
                    Action::Deny | Action::Require(_) => fit.any(|fits| fits),
                }
            }
        }
    }

    /// Facts to hold an identity against.
    pub(crate) fn all(&self) -> &[Facts<'a>] {
        match self {
            Self::Plain(facts) => std::slice::from_ref(facts),
            Self::Ambiguous(readings) => readings,
        }
    }
}

impl Selection {
    /// Goes through the rules.
    pub(crate) fn of(rules: &[Rule], view: &View<'_>) -> Self {
        let mut selection = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            let denies = matches!(rule.action, Action::Deny);
            // Of those that do not deny, what stands below the one that decides is never reached.
            if (!denies && selection.deciding.is_some()) || !view.fits(rule) {
                continue;
            }
            match (denies, rule.shadow) {
                (_, true) => selection.shadows.push(index),
                (false, false) => selection.deciding = Some(index),
                (true, false) if rule.entitlement.is_empty() => {
                    selection.denying = Some(index);
                    return selection;
                }
                (true, false) => selection.denying_some.push(index),
            }
        }
        selection
    }
}
