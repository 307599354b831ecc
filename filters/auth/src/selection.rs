//! Which rules concern a request.
//!
//! Rules are filed in indexes by what they do, so that a list of ten thousand costs what ten cost.

use tidegate_filter_api::{Exchange, Host};
use tidegate_matchers::{ClientAddress, Facts, RuleIndex, readings};

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
        let facts = readings(exchange.path())?
            .into_iter()
            .map(|path| Facts::with_path(exchange, host, addresses, path));
        Some(Self::Ambiguous(facts.collect()))
    }

    /// Facts to hold an identity against.
    pub(crate) fn all(&self) -> &[Facts<'a>] {
        match self {
            Self::Plain(facts) => std::slice::from_ref(facts),
            Self::Ambiguous(readings) => readings,
        }
    }
}

/// Rules of one kind, filed.
#[derive(Debug, Default)]
struct Filed {
    index: RuleIndex,
    /// The rules' places in the configuration, by their numbers in the index.
    places: Vec<usize>,
}

impl Filed {
    fn new(rules: &[Rule], belongs: impl Fn(&Rule) -> bool) -> Self {
        let (places, conditions) = rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| belongs(rule))
            .map(|(place, rule)| (place, rule.conditions.clone()))
            .unzip();
        Self { index: RuleIndex::new(conditions), places }
    }

    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn place(&self, number: usize) -> Option<usize> {
        self.places.get(number).copied()
    }

    /// The first that any reading fits.
    fn first(&self, view: &View<'_>) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let numbers = view.all().iter().filter_map(|facts| self.index.first_match(facts));
        numbers.min().and_then(|number| self.place(number))
    }

    /// All that any reading fits, in order, each with the number of readings.
    fn all(&self, view: &View<'_>) -> Vec<(usize, usize)> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<usize> =
            view.all().iter().flat_map(|facts| self.index.all_matches(facts)).collect();
        found.sort_unstable();
        let mut counted: Vec<(usize, usize)> = Vec::new();
        for number in found {
            let Some(place) = self.place(number) else { continue };
            match counted.last_mut() {
                Some((last, count)) if *last == place => *count += 1,
                _ => counted.push((place, 1)),
            }
        }
        counted
    }
}

/// The rules of a configuration, filed by what they do.
#[derive(Debug)]
pub(crate) struct Selector {
    denying: Filed,
    denying_some: Filed,
    deciding: Filed,
    shadows: Filed,
}

impl Selector {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let denies = |rule: &Rule| matches!(rule.action, Action::Deny);
        Self {
            denying: Filed::new(rules, |it| !it.shadow && denies(it) && it.entitlement.is_empty()),
            denying_some: Filed::new(rules, |it| !it.shadow && denies(it) && !it.entitlement.is_empty()),
            deciding: Filed::new(rules, |it| !it.shadow && !denies(it)),
            shadows: Filed::new(rules, |it| it.shadow),
        }
    }

    /// Finds the rules that concern a request. One that protects does when any reading fits, one that opens only when all
    /// do.
    pub(crate) fn select(&self, rules: &[Rule], view: &View<'_>) -> Selection {
        if let Some(denying) = self.denying.first(view) {
            return Selection { denying: Some(denying), ..Selection::default() };
        }
        let applies = |(place, readings): &(usize, usize)| match rules.get(*place).map(|rule| &rule.action) {
            Some(Action::AllowAnyone) => *readings == view.all().len(),
            Some(Action::Deny | Action::Require(_)) => true,
            None => false,
        };
        let deciding = match view {
            View::Plain(_) => self.deciding.first(view),
            View::Ambiguous(_) => self.deciding.all(view).into_iter().find(&applies).map(|(place, _)| place),
        };
        let place = |(place, _): (usize, usize)| place;
        let denies = |place: usize| rules.get(place).is_some_and(|rule| matches!(rule.action, Action::Deny));
        // What stands below the one that decides would never be reached, unless it denies.
        let reached = |place: &usize| denies(*place) || deciding.is_none_or(|deciding| *place < deciding);
        Selection {
            denying: None,
            denying_some: self.denying_some.all(view).into_iter().map(place).collect(),
            deciding,
            shadows: self.shadows.all(view).into_iter().filter(applies).map(place).filter(reached).collect(),
        }
    }
}
