//! Callers known by their address.

use std::rc::Rc;

use tidegate_config::{Cidr, Cursor, HeaderValue, Name};
use tidegate_filter_api::{Exchange, Host};
use tidegate_matchers::ClientAddress;

use crate::identity::{Identity, Verdict};

/// Addresses that stand for a caller.
#[derive(Debug)]
pub(crate) struct Source {
    cidrs: Vec<Cidr>,
    identity: Rc<Identity>,
}

impl Source {
    pub(crate) fn identify(&self, exchange: &Exchange, host: &dyn Host, addresses: ClientAddress) -> Verdict {
        let address = addresses.of(exchange, host);
        let within = address.is_some_and(|address| self.cidrs.iter().any(|cidr| cidr.contains(address)));
        if within { Verdict::Known(Rc::clone(&self.identity)) } else { Verdict::Missing }
    }

    /// `{cidrs: […], id: NAME}`; without `id` the provider's name is the caller's.
    pub(crate) fn decode(cursor: Cursor<'_>, name: Option<&Name>) -> Option<Self> {
        let mut object = cursor.object()?;
        let cidrs = object.require("cidrs").and_then(Cursor::non_empty_list);
        let id: Option<Option<Name>> = object.optional("id");
        object.finish();
        let (cidrs, id) = (cidrs?, id?);
        let identity = Identity::named(HeaderValue::from(id.as_ref().or(name)?));
        Some(Self { cidrs, identity: Rc::new(identity) })
    }
}
