//! The keys of an issuer (RFC 7517 section 5).

use crate::algorithm::Algorithm;
use crate::fault::KeyFault;
use crate::json::parse_object;
use crate::jwk::Jwk;
use crate::key::Key;
use crate::token::Header;

use serde_json::Value;

/// The keys of an issuer that can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// More keys than any issuer rotates through: the rest of a larger set would be a mistake or an attack.
const MOST_KEYS: usize = 100;

/// How many keys a token without `kid` is tried with: each costs a verification.
const MOST_TRIED: usize = 4;

impl KeySet {
    /// The keys of a configuration, each of which can be used.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// Reads a set as fetched. Keys that cannot be used are left out (RFC 7517 section 5), and so are all that share a
    /// `kid`: which of them a token means would be a guess. Shared secrets are left out too: a set that anybody can fetch
    /// holds none.
    ///
    /// `None` if it is no key set at all, or none of its keys can be used.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let document = parse_object(json)?;
        let Value::Array(list) = document.get("keys")? else { return None };
        if list.len() > MOST_KEYS {
            return None;
        }
        let keys = list.iter().map(|value| match value {
            Value::Object(members) => Jwk::from_json(members).and_then(|jwk| Key::new(&jwk)),
            _ => Err(KeyFault::Member),
        });
        let mut keys: Vec<Key> = keys.filter_map(Result::ok).filter(|key| !key.is_symmetric()).collect();
        // Also those that were left out count for the ambiguity.
        let kids: Vec<Option<&str>> = list.iter().map(|key| key.get("kid").and_then(Value::as_str)).collect();
        keys.retain(|key| {
            key.kid().is_none_or(|kid| kids.iter().filter(|it| **it == Some(kid)).count() == 1)
        });
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys that may have signed a token with this header: the one that it names, or, if it names none, the first few
    /// that fit its algorithm.
    pub fn candidates<'k>(&'k self, header: &Header) -> impl Iterator<Item = &'k Key> {
        let (kid, algorithm): (Option<String>, Algorithm) = (header.kid.clone(), header.algorithm);
        let named = kid.is_some();
        self.0
            .iter()
            .filter(move |key| kid.as_deref().is_none_or(|kid| key.kid() == Some(kid)))
            .filter(move |key| key.is_for(algorithm))
            .take(if named { 1 } else { MOST_TRIED })
    }

    /// Whether the set has a key of this name, whatever it is for.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid() == Some(kid))
    }

    /// Whether it has the key with this [`Key::identity`].
    #[must_use]
    pub fn holds(&self, identity: &[u8; 32]) -> bool {
        self.0.iter().any(|key| key.identity() == *identity)
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}
