//! What goes on to later filters and to the upstream: the identity as established here, exactly once.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value;
use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Flow, Headers, Host, HostError, Property};

use crate::config::Forward;
use crate::identity::Identity;
use crate::provider::Provider;
use crate::reply;

/// What this filter writes into a request that passes, and what it takes out.
#[derive(Debug)]
pub(crate) struct Forwarding {
    forward: Forward,
    /// Headers that clients must not write: the identity's, and the decision services'.
    reserved: Vec<HeaderName>,
}

impl Forwarding {
    pub(crate) fn new(forward: Forward, providers: &[Provider]) -> Self {
        let of_services = providers.iter().flat_map(Provider::identity_headers);
        let of_claims = forward.claims.iter().map(|(_, header)| header);
        let mut reserved: Vec<HeaderName> = Vec::new();
        for header in forward.principal_header.iter().chain(of_claims).chain(of_services) {
            if !reserved.contains(header) {
                reserved.push(header.clone());
            }
        }
        // Linkerd's proxy names callers in it. Where no provider says whose word counts, it is anybody's.
        let names_callers = HeaderName::new(crate::peer::L5D_CLIENT_ID).ok();
        let believed = |header: &HeaderName| providers.iter().any(|provider| provider.may_believe(header));
        reserved.extend(names_callers.filter(|header| !believed(header) && !reserved.contains(header)));
        Self { forward, reserved }
    }

    /// Headers that say something only where this filter wrote them.
    pub(crate) fn reserved(&self) -> &[HeaderName] {
        &self.reserved
    }

    /// Lets a request pass with its identity, whatever the client wrote in those places.
    pub(crate) fn pass(
        &self,
        identity: Option<&Rc<Identity>>,
        providers: &[Provider],
        exchange: &mut Exchange,
        host: &dyn Host,
    ) -> Flow {
        for provider in providers {
            provider.remove_untrusted(exchange, host);
        }
        if self.forward.strip_credentials {
            for place in providers.iter().flat_map(Provider::places) {
                place.strip(exchange.request_mut());
            }
        }
        self.write_headers(identity.map(Rc::as_ref), exchange.request_mut());
        let Some(identity) = identity else { return Flow::Continue };
        // Later filters decide by it: without it they would take the caller for nobody.
        if let Err(error) = publish(identity, exchange, host) {
            log::error!("auth: setting filter state: {error}");
            return Flow::Reply(reply::broken(exchange));
        }
        Flow::Continue
    }

    /// Every reserved header has our value or none.
    fn write_headers(&self, identity: Option<&Identity>, request: &mut Headers) {
        // A client that writes `x_auth_subject` would name itself.
        self.reserved.iter().for_each(|header| request.remove_twins(header));
        for header in &self.reserved {
            let Some(identity) = identity else {
                request.remove(header);
                continue;
            };
            if let Some(value) = self.value(header, identity) {
                request.set(header, &value);
                continue;
            }
            let mut of_service = identity.headers.iter().filter(|(name, _)| name == header);
            match of_service.next() {
                Some((_, first)) => request.set(header, first),
                None => request.remove(header),
            }
            of_service.for_each(|(_, value)| request.append(header, value));
        }
    }

    /// The value of a header that is the caller's name or a claim.
    fn value<'i>(&self, header: &HeaderName, identity: &'i Identity) -> Option<Cow<'i, HeaderValue>> {
        if self.forward.principal_header.as_ref() == Some(header) {
            let principal = identity.principal.as_ref()?;
            return if is_plain(principal.as_bytes()) {
                Some(Cow::Borrowed(principal))
            } else {
                encoded(principal.as_bytes()).map(Cow::Owned)
            };
        }
        let (claim, _) = self.forward.claims.iter().find(|(_, other)| other == header)?;
        let text = text(identity.claims.as_ref()?.claims.get(claim)?)?;
        encoded(text.as_bytes()).map(Cow::Owned)
    }
}

fn publish(identity: &Identity, exchange: &mut Exchange, host: &dyn Host) -> Result<(), HostError> {
    if let Some(principal) = &identity.principal {
        host.set_property(Property::PRINCIPAL, principal.as_bytes())?;
        exchange.set_principal(principal.clone());
    }
    if let Some(known) = &identity.claims {
        host.set_property(Property::CLAIMS, &known.json)?;
        exchange.set_claims(Rc::clone(&known.claims));
    }
    Ok(())
}

/// A claim as text: a string is itself, anything else its JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn is_printable(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~') && *byte != b'%'
}

/// Whether a text stands for itself in a header.
fn is_plain(text: &[u8]) -> bool {
    let at_an_end = |byte: Option<&u8>| byte == Some(&b' ');
    text.iter().all(is_printable) && !at_an_end(text.first()) && !at_an_end(text.last())
}

/// Printable ASCII as it is, any other byte, `%`, and blanks at either end as `%XX` (RFC 3986 section 2.1): nothing can end a
/// header, what was meant can be told, and of `admin` and `admin ` no server on the way makes one name (RFC 9110 section 5.5
/// has blanks around a value removed).
fn encoded(bytes: &[u8]) -> Option<HeaderValue> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    let mut text = Vec::with_capacity(bytes.len());
    let last = bytes.len().saturating_sub(1);
    for (index, byte) in bytes.iter().enumerate() {
        let outermost = index == 0 || index == last;
        if is_printable(byte) && !(outermost && *byte == b' ') {
            text.push(*byte);
        } else {
            text.extend([b'%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    HeaderValue::new(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_header() {
        for (text, expected) in [
            ("ann", "ann"),
            ("a b,c;d=\"e\"", "a b,c;d=\"e\""),
            ("a\r\nx-admin: 1", "a%0D%0Ax-admin: 1"),
            ("\u{e4}%", "%C3%A4%25"),
            ("\0", "%00"),
            (" ann ", "%20ann%20"),
            ("   ", "%20 %20"),
            ("", ""),
        ] {
            assert_eq!(encoded(text.as_bytes()).unwrap().as_bytes(), expected.as_bytes(), "{text:?}");
        }
    }
}
