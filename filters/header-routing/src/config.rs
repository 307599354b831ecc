//! The filter's configuration.

use tidegate_config::{Cursor, Decode, HeaderName, Name, Object, unique_names};
use tidegate_matchers::{ClientAddress, Conditions, Scope};

use crate::actions::Actions;
use crate::edits;
use crate::value::Captures;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) rules: Vec<Rule>,
    /// What happens to requests that no rule matches; its route also takes those whose rule names none.
    pub(crate) default: Option<Actions>,
    pub(crate) route_header: HeaderName,
    /// Whose route header is believed.
    pub(crate) trusted: Option<Conditions>,
    /// Whether rule and arm go out as filter state.
    pub(crate) publish_decisions: bool,
    pub(crate) client_address: ClientAddress,
}

/// One rule; the first that matches wins.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) actions: Actions,
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let route_header = object.require("route_header").and_then(|cursor| match cursor.as_str() {
            Some(text) => edits::header_name(cursor, text, None),
            None => cursor.decode(),
        });
        let rules = object.require("rules").and_then(|cursor| {
            let mut rules = Vec::new();
            let mut complete = true;
            for element in cursor.elements()? {
                let rule = decode_rule(element, route_header.as_ref());
                complete &= rule.is_some();
                rules.extend(rule);
            }
            unique_names(&cursor, rules.iter().map(|rule| &rule.name));
            complete.then_some(rules)
        });
        let default = object.get("default").map_or(Some(None), |cursor| {
            let mut default = cursor.object()?;
            let actions = Actions::decode(&mut default, "default", &Captures::none(), route_header.as_ref());
            default.finish();
            actions.map(Some)
        });
        let trusted = object.get("trust_route_header").map_or(Some(None), |cursor| trusted(cursor).map(Some));
        let publish_decisions = object.or("publish_decisions", false);
        let client_address = object.or("client_address", ClientAddress::default());
        object.finish();
        Some(Self {
            rules: rules?,
            default: default?,
            route_header: route_header?,
            trusted: trusted?,
            publish_decisions: publish_decisions?,
            client_address: client_address?,
        })
    }
}

fn decode_rule(cursor: Cursor<'_>, route_header: Option<&HeaderName>) -> Option<Rule> {
    let mut object: Object<'_> = cursor.object()?;
    let name = object.require("name").and_then(|cursor| match cursor.decode::<Name>()? {
        name if name.as_str() == "default" => {
            cursor.expected("another name than that of the default in metrics")
        }
        name => Some(name),
    });
    let conditions = Conditions::from_rule(&mut object, Scope::Request);
    let captures = Captures::of(conditions.as_ref());
    let seed = name.as_ref().map_or("", Name::as_str);
    let actions = Actions::decode(&mut object, seed, &captures, route_header);
    object.finish();
    Some(Rule { name: name?, conditions: conditions?, actions: actions? })
}

/// A `match` with at least one condition: an empty one would trust everybody.
fn trusted(cursor: Cursor<'_>) -> Option<Conditions> {
    if cursor.is_object() && cursor.keys().is_empty() {
        return cursor.expected_found("at least one condition on whose route header is believed", "none");
    }
    Conditions::from_match(cursor, Scope::Request)
}
