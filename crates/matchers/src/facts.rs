//! One exchange as conditions see it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use tidegate_filter_api::{Claims, Exchange, Host};

use crate::source::ClientAddress;

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
}
