//! The Basic scheme (RFC 7617).

use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use tidegate_config::{Cursor, Decode, HeaderValue, Sha256Digest};
use tidegate_filter_api::{Claims, Exchange, Host};
use tidegate_jose::base64;

use crate::api_key::digest;
use crate::credential::Place;
use crate::digest_index::{DigestIndex, words};
use crate::identity::{Identity, Known, Verdict};

/// Users and the digests of their passwords.
#[derive(Debug)]
pub(crate) struct Basic {
    pub(crate) from: Vec<Place>,
    users: Vec<User>,
    /// Where each user stands, by the digests of name and password. There once the host is.
    index: Option<DigestIndex<8>>,
}

#[derive(Debug)]
struct User {
    name: String,
    sha256: Sha256Digest,
    identity: Rc<Identity>,
}

impl Basic {
    /// Takes what only the host has.
    pub(crate) fn start(&mut self, host: &dyn Host) {
        let digests = self.users.iter().map(|user| filed(user.name.as_bytes(), user.sha256.as_bytes()));
        self.index = Some(DigestIndex::new(digests, host));
    }

    /// Checks what `authorization` says under the scheme.
    pub(crate) fn identify(&self, exchange: &Exchange) -> Verdict {
        let presented = Place::credentials(&self.from, exchange);
        match presented.values.as_slice() {
            [] => Verdict::Missing,
            [only] if !presented.ambiguous => {
                self.user(only).map_or(Verdict::Refused("user or password are wrong"), |user| {
                    Verdict::Known(Rc::clone(&user.identity))
                })
            }
            _ => Verdict::Refused("the header stands several times"),
        }
    }

    /// Whose credentials these are: `user:password` in base64.
    fn user(&self, credentials: &[u8]) -> Option<&User> {
        let decoded = base64(credentials)?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (name, password) = (decoded.get(..colon)?, decoded.get(colon + 1..)?);
        let place = self.index.as_ref()?.find(&filed(name, &Sha256::digest(password).into()))?;
        self.users.get(place)
    }
}

/// What a user is found by: name and password together, so that time does not tell which names exist.
fn filed(name: &[u8], password: &[u8; 32]) -> [u64; 8] {
    let mut both = [0; 8];
    let digests = [words(&Sha256::digest(name).into()), words(password)];
    for (word, of_digest) in both.iter_mut().zip(digests.as_flattened()) {
        *word = *of_digest;
    }
    both
}

impl Decode for Basic {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let users = object.require("users").and_then(|cursor| {
            let users: Vec<User> = cursor.non_empty_list()?;
            let twice = users
                .iter()
                .enumerate()
                .find(|(index, user)| users.iter().take(*index).any(|earlier| earlier.name == user.name));
            match twice {
                Some((index, user)) => cursor.expected_found(
                    "each name once",
                    format_args!("that of users[{index}] (\"{}\") earlier too", user.name),
                ),
                None => Some(users),
            }
        });
        object.finish();
        Some(Self { from: Place::authorization("Basic").into_iter().collect(), users: users?, index: None })
    }
}

impl Decode for User {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.require("name").and_then(|cursor| {
            // RFC 7617 section 2: no colon, which ends a name, and no control.
            let usable = cursor.as_str().filter(|name| {
                !name.is_empty() && !name.contains(':') && !name.chars().any(char::is_control)
            });
            usable.map(str::to_owned).or_else(|| cursor.expected("a name without colon and controls"))
        });
        let sha256 = object.require("sha256").and_then(digest);
        let claims: Option<Option<serde_json::Map<_, _>>> = object.optional("claims");
        object.finish();
        let (name, sha256, claims) = (name?, sha256?, claims?);
        let principal = HeaderValue::new(name.as_bytes()).ok()?;
        let claims = claims.map(|members| Known::new(Claims::new(members)));
        let identity = Rc::new(Identity { claims, ..Identity::named(principal) });
        Some(Self { name, sha256, identity })
    }
}
