//! What a limit counts by.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_config::{Cursor, Decode, HeaderName};
use tidegate_filter_api::{Host, Property};
use tidegate_matchers::{ClientAddress, Facts, cookie_values, query_values};

use crate::table::KeyDigest;

/// One part of a key.
#[derive(Debug, Clone)]
pub(crate) enum KeyPart {
    Header(HeaderName),
    Cookie(String),
    Query(String),
    Host,
    Method,
    Route,
    Source,
    Principal,
}

impl Decode for KeyPart {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if cursor.as_str().is_some() {
            let words = [
                ("host", Self::Host),
                ("method", Self::Method),
                ("route", Self::Route),
                ("source", Self::Source),
                ("principal", Self::Principal),
            ];
            let found = words.iter().find(|(word, _)| cursor.as_str() == Some(word));
            return match found {
                Some((_, part)) => Some(part.clone()),
                None => cursor.expected(
                    "one of \"host\", \"method\", \"route\", \"source\", \"principal\", {header}, {cookie}, {query}",
                ),
            };
        }
        let mut object = cursor.object()?;
        let part = object.one_of(&["header", "cookie", "query"]).and_then(|variant| match variant.key {
            "header" => variant.cursor.decode().map(Self::Header),
            "cookie" => variant.cursor.decode().map(Self::Cookie),
            _ => variant.cursor.decode().map(Self::Query),
        });
        object.finish();
        part
    }
}

/// Makes digests that nobody outside can aim: with a known seed, a client could fill one bucket of the table and lock
/// others out.
#[derive(Clone, Copy)]
pub(crate) struct Digester {
    seed: [u8; 16],
    client_address: ClientAddress,
}

impl Digester {
    pub(crate) fn new(seed: [u8; 16], client_address: ClientAddress) -> Self {
        Self { seed, client_address }
    }

    /// The digest of a request's key; `None` if a part is missing. No parts: one key for all requests.
    pub(crate) fn digest(&self, parts: &[KeyPart], facts: &Facts<'_>, host: &dyn Host) -> Option<KeyDigest> {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        parts
            .iter()
            .all(|part| self.feed(part, facts, host, &mut hasher))
            .then(|| hasher.finish128().as_u128())
    }

    /// Feeds a part's value; whether it has one.
    fn feed(&self, part: &KeyPart, facts: &Facts<'_>, host: &dyn Host, hasher: &mut SipHasher13) -> bool {
        let exchange = facts.exchange();
        match part {
            KeyPart::Header(name) => feed_all(exchange.request().values(name.as_str()), hasher),
            KeyPart::Cookie(name) => {
                feed_all(cookie_values(exchange.request().values("cookie"), name), hasher)
            }
            KeyPart::Query(name) => feed_all(query_values(exchange.path(), name), hasher),
            KeyPart::Host => feed_all(Some(facts.authority()).into_iter(), hasher),
            KeyPart::Method => feed_all(Some(exchange.method()).into_iter(), hasher),
            KeyPart::Route => feed_all(host.property(Property::ROUTE_NAME).into_iter(), hasher),
            KeyPart::Principal => feed_all(facts.principal().into_iter(), hasher),
            KeyPart::Source => {
                let address =
                    facts.source().map(|address| self.client_address.significant(address).to_string());
                feed_all(address.into_iter(), hasher)
            }
        }
    }
}

/// All values in order, each with its length: `a`,`bc` and `ab`,`c` are two keys.
fn feed_all<V: AsRef<[u8]>>(values: impl Iterator<Item = V>, hasher: &mut SipHasher13) -> bool {
    let mut count = 0_u64;
    for value in values {
        count += 1;
        hasher.write_u64(value.as_ref().len() as u64);
        hasher.write(value.as_ref());
    }
    hasher.write_u64(count);
    count > 0
}
