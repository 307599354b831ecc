//! API keys.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use tidegate_config::{Cursor, Decode, HeaderValue, Name, Sha256Digest};
use tidegate_filter_api::{Claims, Exchange, Host};

use crate::credential::Place;
use crate::digest_index::{DigestIndex, words};
use crate::identity::{Identity, Known, Verdict};

/// Who holds which key, and where it is presented.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    pub(crate) from: Vec<Place>,
    keys: Vec<Key>,
    /// Where each key stands, by its digest. There once the host is.
    index: Option<DigestIndex<4>>,
}

#[derive(Debug)]
struct Key {
    id: Name,
    sha256: Sha256Digest,
    holder: Rc<Identity>,
}

impl ApiKeys {
    /// Checks every key that the request presents: all must be good, and all the same caller's.
    pub(crate) fn identify(&self, exchange: &Exchange) -> Verdict {
        let presented = Place::credentials(&self.from, exchange);
        if presented.ambiguous {
            return Verdict::Refused("the header stands several times");
        }
        let mut holder: Option<&Key> = None;
        for value in &presented.values {
            holder = match (holder, self.holder(value)) {
                (None, Some(found)) => Some(found),
                (Some(earlier), Some(found)) if earlier.id == found.id => Some(found),
                (_, None) => return Verdict::Refused("the key is nobody's"),
                (Some(_), Some(_)) => return Verdict::Refused("the keys are several callers'"),
            };
        }
        holder.map_or(Verdict::Missing, |key| Verdict::Known(Rc::clone(&key.holder)))
    }

    /// Takes what only the host has.
    pub(crate) fn start(&mut self, host: &dyn Host) {
        let digests = self.keys.iter().map(|key| words(key.sha256.as_bytes()));
        self.index = Some(DigestIndex::new(digests, host));
    }

    /// Who holds `key`.
    fn holder(&self, key: &[u8]) -> Option<&Key> {
        let place = self.index.as_ref()?.find(&words(&Sha256::digest(key).into()))?;
        self.keys.get(place)
    }
}

impl Decode for ApiKeys {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let from = object.require("from").and_then(Cursor::non_empty_list);
        let keys = object.require("keys").and_then(|cursor| {
            let keys: Vec<Key> = cursor.non_empty_list()?;
            let mut seen = std::collections::BTreeSet::new();
            let shared = keys.iter().enumerate().find(|(_, key)| !seen.insert(*key.sha256.as_bytes()));
            match shared {
                // One key, two callers: which it is would depend on the order of the list.
                Some((index, key)) => cursor.expected_found(
                    "each digest once",
                    format_args!("that of keys[{index}] (\"{}\") earlier too", key.id),
                ),
                None => Some(keys),
            }
        });
        object.finish();
        Some(Self { from: from?, keys: keys?, index: None })
    }
}

impl Decode for Key {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let id: Option<Name> = object.required("id");
        let sha256 = object.require("sha256").and_then(digest);
        let claims: Option<Option<serde_json::Map<_, _>>> = object.optional("claims");
        object.finish();
        let id = id?;
        let claims = claims?.map(|members| Known::new(Claims::new(members)));
        let holder = Identity { claims, ..Identity::named(HeaderValue::from(&id)) };
        Some(Self { id, sha256: sha256?, holder: Rc::new(holder) })
    }
}

/// The digest of a key or password, but of an empty one: an empty credential would be somebody's.
pub(crate) fn digest(cursor: Cursor<'_>) -> Option<Sha256Digest> {
    const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    if cursor.as_str() == Some(OF_NOTHING) {
        return cursor.expected_found("the digest of a secret", "that of an empty text");
    }
    cursor.decode()
}
