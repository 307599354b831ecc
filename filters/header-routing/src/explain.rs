//! Why a request goes where it goes.

use std::fmt;

use tidegate_filter_api::{Exchange, Host};
use tidegate_matchers::{Facts, RuleIndex, Unmet};

use crate::config::Config;

/// What became of each rule for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// In the order of the configuration.
    pub rules: Vec<RuleExplanation>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplanation {
    /// The rule's name.
    pub name: String,
    /// Whether the index found the rule: others cannot apply and cost nothing.
    pub candidate: bool,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the first that applies.
    Won,
    /// It applies, but an earlier one does too.
    TooLate,
    /// This condition does not hold.
    Failed(Unmet),
}

impl Explanation {
    /// The rule that won.
    #[must_use]
    pub fn winner(&self) -> Option<&str> {
        let won = self.rules.iter().find(|rule| rule.verdict == Verdict::Won);
        won.map(|rule| rule.name.as_str())
    }
}

/// Says what each rule makes of a request.
#[must_use]
pub fn explain(config: &Config, exchange: &Exchange, host: &dyn Host) -> Explanation {
    let index = RuleIndex::new(config.rules.iter().map(|rule| rule.conditions.clone()).collect());
    let facts = Facts::new(exchange, host, config.client_address);
    let candidates = index.candidates(&facts);
    let first = index.first_match(&facts);
    let rules = config.rules.iter().enumerate().map(|(number, rule)| RuleExplanation {
        name: rule.name.to_string(),
        candidate: candidates.binary_search(&number).is_ok(),
        verdict: match rule.conditions.unmet(&facts) {
            Some(unmet) => Verdict::Failed(unmet),
            None if first == Some(number) => Verdict::Won,
            None => Verdict::TooLate,
        },
    });
    Explanation { rules: rules.collect() }
}

/// A line per candidate and for the winner.
impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules.iter().filter(|rule| rule.candidate) {
            match rule.verdict {
                Verdict::Won => writeln!(formatter, "{}: won", rule.name)?,
                Verdict::TooLate => writeln!(formatter, "{}: applies, but an earlier rule won", rule.name)?,
                Verdict::Failed(unmet) => writeln!(formatter, "{}: {unmet} does not hold", rule.name)?,
            }
        }
        let others = self.rules.iter().filter(|rule| !rule.candidate).count();
        writeln!(formatter, "{others} rules were no candidates")?;
        match self.winner() {
            Some(name) => write!(formatter, "rule: {name}"),
            None => formatter.write_str("rule: none, the default applies"),
        }
    }
}
