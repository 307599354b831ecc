//! The filter's configuration.

use tidegate_config::{Cursor, Decode, HeaderName, Name, Object, unique_names};
use tidegate_matchers::{ClientAddress, Conditions, Scope, TextMatch};

use crate::api_key::ApiKeys;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) providers: Vec<Provider>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) default_allow: bool,
    pub(crate) principal_header: Option<HeaderName>,
    pub(crate) strip_credentials: bool,
    pub(crate) client_address: ClientAddress,
}

/// A way to prove an identity; its name is a key of the configuration, which rules refer to.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) keys: ApiKeys,
}

/// One rule. A rule that denies beats all others; of the others the first that matches decides.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) action: Action,
}

/// What a rule asks of the requests it matches.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing.
    AllowAnyone,
    /// To go away.
    Deny,
    /// An identity by the provider of this index, and one of these principals if any are named.
    Require { provider: usize, principals: Vec<TextMatch> },
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let providers = object.get("providers").map_or(Some(Vec::new()), providers);
        // Rules are checked against the providers' names even where a provider itself is wrong.
        let names = object.get("providers").map_or(Vec::new(), |cursor| cursor.keys());
        let rules = object.require("rules").and_then(|cursor| {
            let decoded: Vec<Option<Rule>> =
                cursor.elements()?.map(|rule| Rule::decode(rule, &names)).collect();
            let rules: Vec<Rule> = decoded.into_iter().collect::<Option<_>>()?;
            unique_names(&cursor, rules.iter().map(|rule| &rule.name));
            Some(rules)
        });
        let default_allow = object
            .get("default")
            .map_or(Some(false), |cursor| cursor.word(&[("deny", false), ("allow", true)]));
        let forward = object.get("forward").map_or(Some((None, false)), forward);
        let client_address = object.or("client_address", ClientAddress::default());
        object.finish();
        let (principal_header, strip_credentials) = forward?;
        Some(Self {
            providers: providers?,
            rules: rules?,
            default_allow: default_allow?,
            principal_header,
            strip_credentials,
            client_address: client_address?,
        })
    }
}

fn providers(cursor: Cursor<'_>) -> Option<Vec<Provider>> {
    let decoded: Vec<Option<Provider>> = cursor
        .entries()?
        .map(|(_, cursor)| {
            let mut object = cursor.object()?;
            let keys = object.required("api_key");
            object.finish();
            Some(Provider { keys: keys? })
        })
        .collect();
    decoded.into_iter().collect()
}

fn forward(cursor: Cursor<'_>) -> Option<(Option<HeaderName>, bool)> {
    let mut object = cursor.object()?;
    let principal_header = object.optional("principal_header");
    let strip_credentials = object.or("strip_credentials", false);
    object.finish();
    Some((principal_header?, strip_credentials?))
}

impl Rule {
    fn decode(cursor: Cursor<'_>, providers: &[&str]) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let conditions = Conditions::from_rule(&mut object, Scope::Unauthenticated);
        let action = Action::from_rule(&mut object, providers);
        object.finish();
        Some(Self { name: name?, conditions: conditions?, action: action? })
    }
}

impl Action {
    fn from_rule(rule: &mut Object<'_>, providers: &[&str]) -> Option<Self> {
        let principals = rule
            .get("principals")
            .map_or(Some(None), |cursor| Some(Some((cursor, cursor.non_empty_list()?))));
        let variant = rule.one_of(&["allow", "deny", "require"])?;
        let principals = principals?;
        if let (Some((cursor, _)), "allow" | "deny") = (&principals, variant.key) {
            return cursor.expected_found(
                "\"principals\" beside \"require\" only",
                format_args!("\"{}\"", variant.key),
            );
        }
        match variant.key {
            "allow" => variant.cursor.word(&[("anyone", ())]).map(|()| Self::AllowAnyone),
            "deny" => match variant.cursor.decode()? {
                true => Some(Self::Deny),
                false => variant.cursor.expected("true (leave \"deny\" out otherwise)"),
            },
            _ => {
                let provider = providers.iter().position(|name| variant.cursor.as_str() == Some(*name));
                let principals = principals.map(|(_, principals)| principals).unwrap_or_default();
                match provider {
                    Some(provider) => Some(Self::Require { provider, principals }),
                    None => variant
                        .cursor
                        .expected(format_args!("the name of a provider: {}", providers.join(", "))),
                }
            }
        }
    }
}
