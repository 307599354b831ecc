//! One exchange as conditions see it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use tidegate_filter_api::{Claims, Exchange, Host};

use crate::field::{cookie_pairs, cookie_values, form_decoded, query_pairs, query_values};
use crate::source::ClientAddress;

/// Fields of a request that have names and can stand several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Header,
    Query,
    Cookie,
}

/// One exchange as conditions see it. What costs something is found out when first asked for, and once.
pub struct Facts<'a> {
    exchange: &'a Exchange,
    host: &'a dyn Host,
    client_address: ClientAddress,
    path: OnceCell<Cow<'a, [u8]>>,
    authority: OnceCell<Vec<u8>>,
    source: OnceCell<Option<IpAddr>>,
    principal: OnceCell<Option<Vec<u8>>>,
    claims: OnceCell<Option<Rc<Claims>>>,
}

impl<'a> Facts<'a> {
    /// The facts of `exchange`, with the client's address read as `client_address` says.
    #[must_use]
    pub fn new(exchange: &'a Exchange, host: &'a dyn Host, client_address: ClientAddress) -> Self {
        Self {
            exchange,
            host,
            client_address,
            path: OnceCell::new(),
            authority: OnceCell::new(),
            source: OnceCell::new(),
            principal: OnceCell::new(),
            claims: OnceCell::new(),
        }
    }

    /// The same facts with another reading of the path.
    #[must_use]
    pub fn with_path(
        exchange: &'a Exchange,
        host: &'a dyn Host,
        client_address: ClientAddress,
        path: Vec<u8>,
    ) -> Self {
        Self { path: OnceCell::from(Cow::Owned(path)), ..Self::new(exchange, host, client_address) }
    }

    /// The facts of an exchange whose client's address is known.
    pub(crate) fn with_source(
        exchange: &'a Exchange,
        host: &'a dyn Host,
        client_address: ClientAddress,
        source: Option<IpAddr>,
    ) -> Self {
        Self { source: OnceCell::from(source), ..Self::new(exchange, host, client_address) }
    }

    /// The exchange itself.
    #[must_use]
    pub fn exchange(&self) -> &'a Exchange {
        self.exchange
    }

    /// The normalised path.
    pub fn path(&self) -> &[u8] {
        self.path.get_or_init(|| crate::normalise(self.exchange.path()))
    }

    /// The canonical host.
    pub fn authority(&self) -> &[u8] {
        self.authority.get_or_init(|| crate::host::canonical(self.exchange.authority()))
    }

    /// The client's address, if it can be told.
    pub fn source(&self) -> Option<IpAddr> {
        *self.source.get_or_init(|| self.client_address.of(self.exchange, self.host))
    }

    /// The principal, if there is one.
    pub fn principal(&self) -> Option<&[u8]> {
        self.principal.get_or_init(|| self.exchange.principal(self.host)).as_deref()
    }

    /// What is known of the principal beside the name, if anything is.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.get_or_init(|| self.exchange.claims(self.host)).as_deref()
    }

    /// Hands on names and values of all fields of a kind.
    pub(crate) fn each_field(&self, kind: FieldKind, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let request = self.exchange.request();
        match kind {
            FieldKind::Header => request.each(visit),
            FieldKind::Cookie => {
                cookie_pairs(request.values("cookie")).for_each(|(name, value)| visit(name, value));
            }
            FieldKind::Query => query_pairs(self.exchange.path())
                .for_each(|(name, value)| visit(&form_decoded(name), &form_decoded(value))),
        }
    }

    /// Whether there is any field of a kind under `name`.
    pub(crate) fn has_field(&self, kind: FieldKind, name: &str) -> bool {
        let request = self.exchange.request();
        match kind {
            FieldKind::Header => request.values(name).next().is_some(),
            FieldKind::Cookie => cookie_values(request.values("cookie"), name).next().is_some(),
            FieldKind::Query => query_values(self.exchange.path(), name).next().is_some(),
        }
    }
}
