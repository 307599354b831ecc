//! The filter's configuration.

use tidegate_config::{Cursor, Decode, HeaderName, Name, unique_names};
use tidegate_matchers::{ClientAddress, Conditions, Scope};

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) rules: Vec<Rule>,
    /// The route of requests that no rule matches.
    pub(crate) default: Option<Name>,
    pub(crate) route_header: HeaderName,
    pub(crate) client_address: ClientAddress,
}

/// One rule; the first that matches wins.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) route: Name,
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let rules = object.require("rules").and_then(|cursor| {
            let rules: Vec<Rule> = cursor.decode()?;
            unique_names(&cursor, rules.iter().map(|rule| &rule.name));
            Some(rules)
        });
        let default = object.get("default").map_or(Some(None), |cursor| {
            let mut default = cursor.object()?;
            let route = default.required("route");
            default.finish();
            route.map(Some)
        });
        let route_header = object.required("route_header");
        let client_address = object.or("client_address", ClientAddress::default());
        object.finish();
        Some(Self {
            rules: rules?,
            default: default?,
            route_header: route_header?,
            client_address: client_address?,
        })
    }
}

impl Decode for Rule {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let conditions = Conditions::from_rule(&mut object, Scope::Request);
        let route = object.required("route");
        object.finish();
        Some(Self { name: name?, conditions: conditions?, route: route? })
    }
}
