//! Who somebody is, and what a provider says of a request.

use std::rc::Rc;

use tidegate_config::HeaderValue;
use tidegate_filter_api::Claims;

/// A caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Identity {
    /// The name, if the credential has one.
    pub(crate) principal: Option<HeaderValue>,
    /// What else is known.
    pub(crate) claims: Option<Known>,
    /// What the decision service adds for the upstream.
    pub(crate) headers: Vec<(tidegate_config::HeaderName, HeaderValue)>,
}

/// Claims, and the JSON that they go on in as filter state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) claims: Rc<Claims>,
    pub(crate) json: Rc<[u8]>,
}

/// What a provider says of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It carries no credential of this kind.
    Missing,
    /// It carries a bad one, or several that are not all good and one caller's.
    Refused(Reason),
    /// The caller.
    Known(Rc<Identity>),
    /// A decision service says no, and how.
    Denied(Rc<Denial>),
    /// It cannot be found out: a server that is needed does not answer.
    Failed(Reason),
}

/// Why, for the debug log: a fixed text, so that nothing of a credential gets there.
pub(crate) type Reason = &'static str;

/// A decision service's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// From 300 to 499.
    pub(crate) status: u16,
    /// Those of its headers that the configuration lets through.
    pub(crate) headers: Vec<(tidegate_config::HeaderName, HeaderValue)>,
}

impl Identity {
    /// A caller with nothing but a name.
    pub(crate) fn named(principal: HeaderValue) -> Self {
        Self { principal: Some(principal), ..Self::default() }
    }
}

impl Known {
    /// Claims that stand in a configuration.
    pub(crate) fn new(claims: Claims) -> Self {
        let json = serde_json::to_vec(claims.members()).unwrap_or_default();
        Self { claims: Rc::new(claims), json: json.into() }
    }
}
