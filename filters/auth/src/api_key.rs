//! API keys.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tidegate_config::{Cursor, Decode, HeaderName, Name, Sha256Digest};
use tidegate_filter_api::Headers;

/// Who holds which key, and where it is presented.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    pub(crate) from: Vec<HeaderName>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Name,
    sha256: Sha256Digest,
}

/// What the credentials of a request say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Identity<'a> {
    /// There is none.
    Missing,
    /// There is one, and it is bad; or several, not all of them good or not all of one caller.
    Bad,
    /// The caller.
    Known(&'a Name),
}

impl ApiKeys {
    /// Checks every key that the request presents: all must be good, and all the same caller's.
    pub(crate) fn identify(&self, headers: &Headers) -> Identity<'_> {
        let mut identity = Identity::Missing;
        for value in self.from.iter().flat_map(|name| headers.values(name.as_str())) {
            identity = match (identity, self.holder(value)) {
                (Identity::Missing, Some(holder)) => Identity::Known(holder),
                (Identity::Known(earlier), Some(holder)) if earlier == holder => Identity::Known(holder),
                _ => return Identity::Bad,
            };
        }
        identity
    }

    /// Who holds `key`. Every digest is compared, each in constant time: how long it takes says nothing about which
    /// matched, or how nearly.
    fn holder(&self, key: &[u8]) -> Option<&Name> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut found = u32::MAX;
        for (index, candidate) in (0_u32..).zip(&self.keys) {
            let equal: Choice = candidate.sha256.as_bytes().ct_eq(&digest);
            found.conditional_assign(&index, equal);
        }
        self.keys.get(found as usize).map(|key| &key.id)
    }
}

impl Decode for ApiKeys {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let from = object.require("from").and_then(|cursor| {
            let places: Vec<Place> = cursor.non_empty_list()?;
            Some(places.into_iter().map(|place| place.0).collect())
        });
        let keys = object.require("keys").and_then(|cursor| {
            let keys: Vec<Key> = cursor.non_empty_list()?;
            let shared = keys.iter().enumerate().find(|(index, key)| {
                keys.iter().take(*index).any(|earlier| earlier.sha256 == key.sha256 && earlier.id != key.id)
            });
            match shared {
                // One key, two callers: which it is would depend on the order of the list.
                Some((index, key)) => cursor.expected_found(
                    "each digest under one id",
                    format_args!("that of keys[{index}] (\"{}\") under an earlier one too", key.id),
                ),
                None => Some(keys),
            }
        });
        object.finish();
        Some(Self { from: from?, keys: keys? })
    }
}

/// `{header: x-api-key}`
struct Place(HeaderName);

impl Decode for Place {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let header = object.required("header");
        object.finish();
        header.map(Self)
    }
}

impl Decode for Key {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        // SHA-256 of nothing: an empty credential would be somebody's.
        const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let mut object = cursor.object()?;
        let id = object.required("id");
        let sha256 = object.require("sha256").and_then(|cursor| {
            if cursor.as_str() == Some(OF_NOTHING) {
                return cursor.expected_found("the digest of a key", "that of an empty text");
            }
            cursor.decode()
        });
        object.finish();
        Some(Self { id: id?, sha256: sha256? })
    }
}
