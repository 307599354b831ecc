//! Workloads known by their certificate: SPIFFE from the connection, or as a proxy that is trusted to has seen it.

mod spiffe;
mod xfcc;

use std::rc::Rc;

use tidegate_config::{Cidr, Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Host, Property, is_spelling_of};
use tidegate_matchers::{ClientAddress, TextMatch};

use crate::identity::{Identity, Verdict};
use spiffe::SpiffeId;

/// Which workloads are known, and whose word counts for others.
#[derive(Debug)]
pub(crate) struct Peer {
    trust_domains: Vec<String>,
    /// `x-forwarded-client-cert` (Envoy's, also Istio's and Consul's).
    xfcc: Option<Trusted>,
    /// `l5d-client-id` (Linkerd's).
    l5d: Option<Trusted>,
}

/// Linkerd's proxy sets it to the caller's name, from the certificate.
pub(crate) const L5D_CLIENT_ID: &str = "l5d-client-id";

/// Peers that are believed what they write into a header.
#[derive(Debug)]
struct Trusted {
    header: HeaderName,
    cidrs: Vec<Cidr>,
    identities: Vec<TextMatch>,
    /// Only over connections that Envoy itself does not decrypt: what comes to Linkerd's proxy encrypted it passes on
    /// unread, also a header that a client wrote.
    unencrypted: bool,
}

impl Peer {
    /// Who the peer is; where it is trusted to speak for others, who it speaks for.
    pub(crate) fn identify(&self, exchange: &Exchange, host: &dyn Host) -> Verdict {
        let peer = peer_uri(host);
        for trusted in self.headers() {
            if trusted.trusts(peer.as_deref(), exchange, host) {
                let values: Vec<&[u8]> = exchange.request().values(trusted.header.as_str()).collect();
                // A proxy's own certificate says nothing of whom it forwards.
                return match values.as_slice() {
                    [] => Verdict::Missing,
                    values => self.forwarded(trusted, values, peer.as_deref()),
                };
            }
        }
        match peer {
            None => Verdict::Missing,
            Some(uri) => self.known(&uri),
        }
    }

    /// Headers that name workloads: from peers that are not trusted they are taken away.
    pub(crate) fn untrusted<'p>(
        &'p self,
        exchange: &'p Exchange,
        host: &'p dyn Host,
    ) -> impl Iterator<Item = &'p HeaderName> {
        let present = |trusted: &&Trusted| exchange.request().first(trusted.header.as_str()).is_some();
        self.headers()
            .filter(present)
            .filter(move |trusted| !trusted.trusts(peer_uri(host).as_deref(), exchange, host))
            .map(|trusted| &trusted.header)
    }

    /// Whether a header of this name is none that names a workload, or comes from a peer that is trusted to.
    pub(crate) fn believes(&self, name: &[u8], exchange: &Exchange, host: &dyn Host) -> bool {
        self.headers().filter(|trusted| is_spelling_of(name, &trusted.header)).all(|trusted| {
            name == trusted.header.as_str().as_bytes()
                && trusted.trusts(peer_uri(host).as_deref(), exchange, host)
        })
    }

    /// The headers that may name a workload.
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers().map(|trusted| &trusted.header)
    }

    fn headers(&self) -> impl Iterator<Item = &Trusted> {
        self.xfcc.iter().chain(&self.l5d)
    }

    fn forwarded(&self, trusted: &Trusted, values: &[&[u8]], peer: Option<&[u8]>) -> Verdict {
        let is_xfcc = self.xfcc.as_ref().is_some_and(|xfcc| xfcc.header == trusted.header);
        if is_xfcc {
            return match xfcc::forwarded_uri(values, peer) {
                Ok(Some(uri)) => self.known(&uri),
                Ok(None) => Verdict::Missing,
                Err(xfcc::Malformed) => Verdict::Refused("x-forwarded-client-cert is malformed"),
            };
        }
        match values {
            [only] => self.workload(only),
            _ => Verdict::Refused("l5d-client-id stands several times"),
        }
    }

    fn known(&self, uri: &[u8]) -> Verdict {
        match SpiffeId::parse(uri) {
            Some(id) if self.trusts_domain(id.trust_domain()) => named(id.as_str()),
            Some(_) => Verdict::Refused("the trust domain is another"),
            None => Verdict::Refused("the certificate's URI is no SPIFFE ID"),
        }
    }

    /// `web.shop.serviceaccount.identity.linkerd.cluster.local`
    fn workload(&self, name: &[u8]) -> Verdict {
        let usable = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(byte);
        let name = std::str::from_utf8(name).ok().filter(|name| {
            name.len() <= 253 && name.bytes().all(|byte| usable(&byte)) && !name.split('.').any(str::is_empty)
        });
        let below = |name: &str| {
            self.trust_domains.iter().any(|domain| {
                name.strip_suffix(domain.as_str())
                    .is_some_and(|workload| workload.ends_with('.') && workload.len() > 1)
            })
        };
        match name {
            Some(name) if below(name) => named(name),
            Some(_) => Verdict::Refused("the trust domain is another"),
            None => Verdict::Refused("l5d-client-id is malformed"),
        }
    }

    fn trusts_domain(&self, domain: &str) -> bool {
        self.trust_domains.iter().any(|trusted| trusted == domain)
    }
}

fn named(name: &str) -> Verdict {
    match HeaderValue::new(name.as_bytes()) {
        Ok(name) => Verdict::Known(Rc::new(Identity::named(name))),
        Err(_) => Verdict::Refused("the name holds controls"),
    }
}

/// The URI in the certificate that the peer presented. Envoy writes the boolean as one byte.
fn peer_uri(host: &dyn Host) -> Option<Vec<u8>> {
    let presented = host.property(Property::PEER_HAS_CERTIFICATE)?;
    if presented.first() != Some(&1) {
        return None;
    }
    host.property(Property::PEER_URI).filter(|uri| !uri.is_empty())
}

/// Whether Envoy decrypts the connection itself.
fn is_encrypted(host: &dyn Host) -> bool {
    host.property(Property::TLS_VERSION).is_some_and(|version| !version.is_empty())
}

impl Trusted {
    fn trusts(&self, peer: Option<&[u8]>, exchange: &Exchange, host: &dyn Host) -> bool {
        let by_identity = peer.is_some_and(|peer| self.identities.iter().any(|text| text.matches(peer)));
        by_identity || (self.holds(exchange, host) && !(self.unencrypted && is_encrypted(host)))
    }

    fn holds(&self, exchange: &Exchange, host: &dyn Host) -> bool {
        let address = || ClientAddress::default().of(exchange, host);
        !self.cidrs.is_empty()
            && address().is_some_and(|address| self.cidrs.iter().any(|cidr| cidr.contains(address)))
    }

    /// `{trusted: {cidrs: […], identities: [{exact: …}]}}`
    fn decode(cursor: Cursor<'_>, header: &str) -> Option<Self> {
        let mut object = cursor.object()?;
        let trusted = object.require("trusted").and_then(|cursor| {
            let mut object = cursor.object()?;
            let cidrs = object.get("cidrs").map_or(Some(Vec::new()), Cursor::non_empty_list);
            let identities = object.get("identities").map_or(Some(Vec::new()), Cursor::non_empty_list);
            object.finish();
            let (cidrs, identities): (Vec<Cidr>, Vec<TextMatch>) = (cidrs?, identities?);
            if cidrs.is_empty() && identities.is_empty() {
                return cursor.expected_found("the peers: \"cidrs\", \"identities\" or both", "neither");
            }
            Some((cidrs, identities))
        });
        object.finish();
        let (cidrs, identities) = trusted?;
        let unencrypted = header == L5D_CLIENT_ID;
        Some(Self { header: HeaderName::new(header).ok()?, cidrs, identities, unencrypted })
    }
}

impl Decode for Peer {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let domains = object.require("trust_domain").and_then(|cursor| {
            let domains: Vec<String> =
                if cursor.is_list() { cursor.non_empty_list()? } else { vec![cursor.decode()?] };
            if domains.iter().all(|domain| spiffe::is_trust_domain(domain)) {
                Some(domains)
            } else {
                cursor.expected("a trust domain such as \"cluster.local\", or a list of them")
            }
        });
        let xfcc = object
            .get("xfcc")
            .map_or(Some(None), |cursor| Trusted::decode(cursor, "x-forwarded-client-cert").map(Some));
        let l5d = object
            .get("l5d_client_id")
            .map_or(Some(None), |cursor| Trusted::decode(cursor, L5D_CLIENT_ID).map(Some));
        object.finish();
        Some(Self { trust_domains: domains?, xfcc: xfcc?, l5d: l5d? })
    }
}
