//! The filter's configuration.

use tidegate_config::{Cursor, Decode, HeaderName, Name, Object, unique_names};
use tidegate_matchers::{ClientAddress, Conditions, Scope};

use crate::entitlement::Entitlement;
use crate::provider::Provider;
use crate::requirement::Requirement;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) providers: Vec<Provider>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) default_allow: bool,
    pub(crate) forward: Forward,
    pub(crate) client_address: ClientAddress,
    pub(crate) ambiguous_paths: AmbiguousPaths,
    pub(crate) publish_decisions: bool,
}

/// One rule. A rule that denies beats all others; of the others the first that matches decides.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) action: Action,
    /// Whom it is for; beside `deny`, whom it is against.
    pub(crate) entitlement: Entitlement,
    /// Only counted: what happens is as if the rule were not there.
    pub(crate) shadow: bool,
}

/// What a rule asks of the requests it matches.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing.
    AllowAnyone,
    /// To go away.
    Deny,
    /// An identity.
    Require(Requirement),
}

/// What goes on to the upstream.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    pub(crate) principal_header: Option<HeaderName>,
    /// Claim and header.
    pub(crate) claims: Vec<(String, HeaderName)>,
    pub(crate) strip_credentials: bool,
}

/// What is done with paths that servers read in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmbiguousPaths {
    Refuse,
    /// Rules that protect match when any reading does, rules that open only when all do.
    Worst,
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let providers = object.get("providers").map_or(Some(Vec::new()), |cursor| {
            let decoded: Vec<Option<Provider>> =
                cursor.entries()?.map(|(name, cursor)| Provider::decode(name, cursor)).collect();
            decoded.into_iter().collect()
        });
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
        let forward = object.or("forward", Forward::default());
        let client_address = object.or("client_address", ClientAddress::default());
        let ambiguous_paths = object.get("ambiguous_paths").map_or(Some(AmbiguousPaths::Refuse), |cursor| {
            cursor.word(&[("refuse", AmbiguousPaths::Refuse), ("worst", AmbiguousPaths::Worst)])
        });
        let publish_decisions = object.or("publish_decisions", false);
        object.finish();
        Some(Self {
            providers: providers?,
            rules: rules?,
            default_allow: default_allow?,
            forward: forward?,
            client_address: client_address?,
            ambiguous_paths: ambiguous_paths?,
            publish_decisions: publish_decisions?,
        })
    }
}

impl Decode for Forward {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let principal_header: Option<Option<HeaderName>> = object.optional("principal_header");
        let claims: Option<Vec<ForwardedClaim>> = object.or("claims", Vec::new());
        let strip_credentials = object.or("strip_credentials", false);
        object.finish();
        let (principal_header, claims) = (principal_header?, claims?);
        let claims: Vec<(String, HeaderName)> =
            claims.into_iter().map(|ForwardedClaim(claim, header)| (claim, header)).collect();
        let headers: Vec<&HeaderName> =
            principal_header.iter().chain(claims.iter().map(|(_, header)| header)).collect();
        let twice = headers
            .iter()
            .enumerate()
            .find(|(index, header)| headers.iter().take(*index).any(|it| it == *header));
        if let Some((_, header)) = twice {
            return cursor.expected_found("each header once", format_args!("\"{header}\" twice"));
        }
        Some(Self { principal_header, claims, strip_credentials: strip_credentials? })
    }
}

/// `{claim: email, header: x-auth-email}`
struct ForwardedClaim(String, HeaderName);

impl Decode for ForwardedClaim {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let (claim, header) = (object.required("claim"), object.required("header"));
        object.finish();
        Some(Self(claim?, header?))
    }
}

impl Rule {
    fn decode(cursor: Cursor<'_>, providers: &[&str]) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let conditions = Conditions::from_rule(&mut object, Scope::Unauthenticated);
        let entitlement = Entitlement::from_rule(&mut object);
        let entitled = cursor.keys().iter().any(|key| matches!(*key, "principals" | "claims"));
        let action = Action::from_rule(&mut object, providers, entitled);
        let shadow = object
            .get("mode")
            .map_or(Some(false), |cursor| cursor.word(&[("enforce", false), ("shadow", true)]));
        object.finish();
        Some(Self {
            name: name?,
            conditions: conditions?,
            action: action?,
            entitlement: entitlement?,
            shadow: shadow?,
        })
    }
}

impl Action {
    fn from_rule(rule: &mut Object<'_>, providers: &[&str], entitled: bool) -> Option<Self> {
        let variant = rule.one_of(&["allow", "deny", "require"])?;
        match variant.key {
            "allow" if entitled => variant.cursor.expected_found(
                "\"require\" beside \"principals\" or \"claims\": nobody has them who is not known",
                "\"allow\"",
            ),
            "allow" => variant.cursor.word(&[("anyone", ())]).map(|()| Self::AllowAnyone),
            "deny" => match variant.cursor.decode()? {
                true => Some(Self::Deny),
                false => variant.cursor.expected("true (leave \"deny\" out otherwise)"),
            },
            _ => Requirement::decode(variant.cursor, providers).map(Self::Require),
        }
    }
}
