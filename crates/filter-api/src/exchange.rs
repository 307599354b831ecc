//! One request and its response, as the filters see them.

use std::rc::Rc;

use tidegate_config::HeaderValue;

use crate::claims::Claims;
use crate::headers::Headers;
use crate::host::{Host, Property};

/// One request and its response. Lives as long as Envoy's stream: what the host no longer gives in later phases is
/// still here.
#[derive(Debug, Default)]
pub struct Exchange {
    request: Headers,
    response: Headers,
    principal: Option<HeaderValue>,
    claims: Option<Rc<Claims>>,
    route_changed: bool,
}

impl Exchange {
    /// An exchange whose request headers have arrived.
    #[must_use]
    pub fn new(request: Headers) -> Self {
        Self { request, ..Self::default() }
    }

    /// The request's headers.
    #[must_use]
    pub fn request(&self) -> &Headers {
        &self.request
    }

    /// The same exchange with other request headers: those that the host gives at its end.
    #[must_use]
    pub fn with_request(&self, request: Headers) -> Self {
        Self { request, principal: self.principal.clone(), claims: self.claims.clone(), ..Self::default() }
    }

    /// The request's headers, to edit.
    pub fn request_mut(&mut self) -> &mut Headers {
        &mut self.request
    }

    /// The response's headers, to edit. They look empty unless the filter asked to read them.
    pub fn response_mut(&mut self) -> &mut Headers {
        &mut self.response
    }

    /// The response's headers.
    #[must_use]
    pub fn response(&self) -> &Headers {
        &self.response
    }

    /// Takes the response's headers when they arrive.
    pub fn set_response(&mut self, response: Headers) {
        self.response = response;
    }

    /// `:method`, as sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.request.first(":method").unwrap_or_default()
    }

    /// `:path` with its query, as sent; empty for CONNECT.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.request.first(":path").unwrap_or_default()
    }

    /// `:authority`, as sent.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.request.first(":authority").unwrap_or_default()
    }

    /// Who the caller is: as set here by `auth`, or else as an `auth` in a module of its own left it in filter state.
    pub fn principal(&self, host: &dyn Host) -> Option<Vec<u8>> {
        match &self.principal {
            Some(principal) => Some(principal.as_bytes().to_vec()),
            None => host.property(Property::PRINCIPAL).filter(|name| !name.is_empty()),
        }
    }

    /// Tells later filters who the caller is.
    pub fn set_principal(&mut self, principal: HeaderValue) {
        self.principal = Some(principal);
    }

    /// What is known of the caller beside the name: as set here by `auth`, or else as an `auth` in a module of its own
    /// left it in filter state.
    pub fn claims(&self, host: &dyn Host) -> Option<Rc<Claims>> {
        match &self.claims {
            Some(claims) => Some(Rc::clone(claims)),
            None => Claims::parse(&host.property(Property::CLAIMS)?).map(Rc::new),
        }
    }

    /// Tells later filters what is known of the caller.
    pub fn set_claims(&mut self, claims: Rc<Claims>) {
        self.claims = Some(claims);
    }

    /// Makes Envoy choose the route again, with the edits and the filter state of this exchange.
    pub fn reroute(&mut self) {
        self.route_changed = true;
    }

    /// Whether the route is to be chosen again; asking takes the wish.
    pub fn take_reroute(&mut self) -> bool {
        std::mem::take(&mut self.route_changed)
    }
}
