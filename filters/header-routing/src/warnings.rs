//! What is probably wrong with a configuration that can be used all the same. Configuring depends on nothing but the
//! configuration, so these never refuse one: they are logged.

use tidegate_config::Name;
use tidegate_filter_api::Host;
use tidegate_matchers::{RuleIndex, Shadow};

use crate::config::Config;

/// Rules that are never reached, because an earlier one applies whenever they would.
#[must_use]
pub fn warnings(config: &Config, host: &dyn Host) -> Vec<String> {
    let names: Vec<Name> = config.rules.iter().map(|rule| rule.name.clone()).collect();
    let index = RuleIndex::new(config.rules.iter().map(|rule| rule.conditions.clone()).collect());
    index.shadows(host).iter().map(|shadow| text(shadow, &names)).collect()
}

/// Logs the warnings, the first of many.
pub(crate) fn log(index: &RuleIndex, names: &[Name], host: &dyn Host) {
    const SHOWN: usize = 20;
    let shadows = index.shadows(host);
    for shadow in shadows.iter().take(SHOWN) {
        log::warn!("header_routing: {}", text(shadow, names));
    }
    if let Some(more) = shadows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        log::warn!("header_routing: and {more} more rules are never reached");
    }
}

fn text(shadow: &Shadow, names: &[Name]) -> String {
    let name = |number: usize| names.get(number).map_or("", Name::as_str);
    let (later, earlier) = (name(shadow.later), name(shadow.earlier));
    match &shadow.part {
        None => format!("rule \"{later}\" is never reached: rule \"{earlier}\" takes all of its requests"),
        Some(part) => {
            format!("rule \"{later}\" overlaps rule \"{earlier}\", which takes all requests of its {part}")
        }
    }
}
