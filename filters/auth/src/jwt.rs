//! Tokens: which are good, and what of them is remembered.

mod keys;
mod remote;

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;
use tidegate_config::{Cursor, Decode, Duration, HeaderValue};
use tidegate_filter_api::{Claims, Exchange, Flow, Host, Timestamp};
use tidegate_jose::{Algorithm, EnvoyCrypto, Fault, Key, KeySet, Lifetime, Token, Validation, verify};

use crate::bounded::{Bounded, Digester};
use crate::credential::Place;
use crate::identity::{Identity, Known, Verdict};
use keys::Keys;
pub(crate) use remote::Fetched;

/// An issuer whose tokens are taken.
#[derive(Debug)]
pub(crate) struct Jwt {
    pub(crate) from: Vec<Place>,
    algorithms: Vec<Algorithm>,
    validation: Validation,
    /// The claim that names the caller.
    principal_claim: String,
    keys: Keys,
    /// Tokens that were verified.
    verified: Bounded<Verified>,
    /// Whether any are to be remembered.
    remembers: bool,
    digester: Option<Digester>,
    /// Whether the host offers its cryptography, as far as is known.
    host_verifies: Cell<bool>,
}

/// What is remembered of a token: who it makes its bearer, when, and by which key.
#[derive(Debug, Clone)]
struct Verified {
    identity: Rc<Identity>,
    lifetime: Lifetime,
    key: [u8; 32],
}

/// What a provider that may have to wait says.
pub(crate) enum Answer {
    /// It knows.
    Done(Verdict),
    /// It has to wait for this.
    Wait(Flow),
}

/// One token's fate.
enum Outcome {
    Good(Rc<Identity>),
    Bad(Fault),
    /// No key to verify it with could be got.
    NoKeys,
    Wait(Flow),
}

impl Jwt {
    /// Takes what only the host has.
    pub(crate) fn start(&mut self, host: &dyn Host) {
        self.digester = if self.remembers { Digester::new(host) } else { None };
    }

    /// The keys that are fetched, if they are.
    pub(crate) fn remote(&self) -> Option<&remote::Remote> {
        match &self.keys {
            Keys::Remote(remote) => Some(remote),
            Keys::Inline(_) => None,
        }
    }

    /// Takes the answer of a fetch. Tokens that were verified by a key that is there no longer are forgotten.
    pub(crate) fn fetched(&self, result: tidegate_filter_api::CalloutResult, now: Timestamp) -> Fetched {
        let Some(remote) = self.remote() else { return Fetched::Nothing };
        let fetched = remote.take(result, now);
        if let (Fetched::Keys, Some(keys)) = (&fetched, remote.keys()) {
            self.verified.retain(|verified| keys.holds(&verified.key));
        }
        fetched
    }

    /// Checks every token that the request presents: all must be good, and all the same caller's.
    pub(crate) fn identify(&self, exchange: &Exchange, host: &dyn Host, now: Timestamp) -> Answer {
        let presented = Place::credentials(&self.from, exchange);
        if presented.ambiguous {
            return Answer::Done(Verdict::Refused("the header stands several times"));
        }
        let mut caller: Option<Rc<Identity>> = None;
        let mut failed = false;
        for token in &presented.values {
            let found = match self.check(token, host, now) {
                Outcome::Good(identity) => identity,
                Outcome::Bad(fault) => return Answer::Done(Verdict::Refused(fault.text())),
                Outcome::Wait(flow) => return Answer::Wait(flow),
                Outcome::NoKeys => {
                    failed = true;
                    continue;
                }
            };
            if caller.as_ref().is_some_and(|earlier| earlier.principal != found.principal) {
                return Answer::Done(Verdict::Refused("the tokens are several callers'"));
            }
            caller = Some(found);
        }
        Answer::Done(match caller {
            _ if failed => Verdict::Failed("there are no keys"),
            Some(identity) => Verdict::Known(identity),
            None => Verdict::Missing,
        })
    }

    fn check(&self, text: &[u8], host: &dyn Host, now: Timestamp) -> Outcome {
        let seconds = now.0 / 1_000_000_000;
        let digest = self.digester.as_ref().map(|digester| digester.digest([text]));
        if let Some(verified) = digest.and_then(|digest| self.verified.get(&digest)) {
            return match verified.lifetime.check(seconds) {
                Ok(()) => Outcome::Good(verified.identity),
                Err(fault) => Outcome::Bad(fault),
            };
        }
        let token = match self.parse(text) {
            Ok(token) => token,
            Err(fault) => return Outcome::Bad(fault),
        };
        let keys = match self.keys.for_token(token.header(), host, now) {
            keys::Found::Keys(keys) => keys,
            keys::Found::Unknown => return Outcome::Bad(Fault::UnknownKey),
            keys::Found::Unavailable => return Outcome::NoKeys,
            keys::Found::Wait(token) => return Outcome::Wait(Flow::Await(token)),
        };
        match self.verify(&token, &keys, host) {
            Ok(verified) => {
                let checked = verified.lifetime.check(seconds);
                let identity = Rc::clone(&verified.identity);
                if let (Some(digest), Ok(())) = (digest, checked) {
                    self.verified.insert(digest, verified);
                }
                checked.map_or_else(Outcome::Bad, |()| Outcome::Good(identity))
            }
            Err(fault) => Outcome::Bad(fault),
        }
    }

    /// What can be told without a key.
    fn parse<'t>(&self, text: &'t [u8]) -> Result<Token<'t>, Fault> {
        let token = Token::parse(text)?;
        if !self.algorithms.contains(&token.header().algorithm) {
            return Err(Fault::AlgorithmNotAllowed);
        }
        self.validation.check_kind(token.header())?;
        Ok(token)
    }

    /// Signature first: nothing of a payload is looked at before that is known to be the issuer's.
    fn verify(&self, token: &Token<'_>, keys: &KeySet, host: &dyn Host) -> Result<Verified, Fault> {
        let crypto = EnvoyCrypto::new(host, &self.host_verifies);
        let algorithm = token.header().algorithm;
        let mut candidates = keys.candidates(token.header()).peekable();
        if candidates.peek().is_none() {
            return Err(Fault::UnknownKey);
        }
        let signs = |key: &&Key| verify(key, algorithm, token.signed(), token.signature(), &crypto);
        let key = candidates.find(signs).ok_or(Fault::Signature)?;
        let claims = token.claims()?;
        let lifetime = self.validation.check(&claims)?;
        let principal = match claims.get(&self.principal_claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name_of(name).ok_or(Fault::ClaimType)?),
            Some(_) => return Err(Fault::ClaimType),
        };
        let known = Known { claims: Rc::new(Claims::new(claims)), json: token.payload().into() };
        let identity = Identity { principal, claims: Some(known), ..Identity::default() };
        Ok(Verified { identity: Rc::new(identity), lifetime, key: key.identity() })
    }
}

/// A name that can stand in a header and in logs: without controls, and not endless.
fn name_of(text: &str) -> Option<HeaderValue> {
    const LONGEST: usize = 1024;
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return None;
    }
    HeaderValue::new(text.as_bytes()).ok()
}

impl Decode for Jwt {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        /// How many verified tokens are remembered, if the configuration does not say.
        const REMEMBERED: i64 = 1_000;
        let mut object = cursor.object()?;
        let issuer = object.require("issuer").and_then(text);
        let audiences = object.get("audiences").map_or(Some(Vec::new()), texts);
        let algorithms_at = object.get("algorithms");
        let algorithms = algorithms_at.map_or(
            Some(Algorithm::all().filter(|algorithm| !algorithm.is_symmetric()).collect()),
            Cursor::non_empty_list::<Algorithm>,
        );
        let keys = object.required::<Keys>("jwks");
        let from = object.get("from").map_or_else(
            || Some(Place::authorization("Bearer").into_iter().collect()),
            Cursor::non_empty_list,
        );
        let skew = object.get("clock_skew").map_or(Some(30), skew);
        let require = object.get("require").map_or(Some(vec!["exp".to_owned()]), texts);
        let kinds = object.get("types").map_or(Some(Vec::new()), texts);
        let principal_claim = object.get("principal_claim").map_or(Some("sub".to_owned()), text);
        let remembered = object.get("cache").map_or(Some(REMEMBERED), |cursor| {
            let mut cache = cursor.object()?;
            let max = cache.require("max").and_then(|cursor| cursor.integer(0, 1_000_000));
            cache.finish();
            max
        });
        object.finish();
        let (algorithms, keys) = (algorithms?, keys?);
        if let (Some(cursor), Keys::Remote(_)) = (algorithms_at, &keys)
            && algorithms.iter().any(|algorithm| algorithm.is_symmetric())
        {
            return cursor.expected_found(
                "algorithms with public keys, as the key set is fetched",
                "one with a shared secret",
            );
        }
        if let Keys::Inline(set) = &keys
            && let Some(useless) = set.iter().position(|key| !algorithms.iter().any(|it| key.is_for(*it)))
        {
            return cursor.expected_found(
                "keys that an algorithm of \"algorithms\" goes with (HS256 and its like must be named)",
                format_args!("jwks.inline.keys[{useless}], which none does"),
            );
        }
        let kinds = kinds?;
        let kinds = kinds.iter().map(|kind| {
            let kind = kind.to_ascii_lowercase();
            kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind)
        });
        Some(Self {
            from: from?,
            validation: Validation {
                issuer: issuer?,
                audiences: audiences?,
                kinds: kinds.collect(),
                require: require?,
                skew: skew?,
            },
            algorithms,
            principal_claim: principal_claim?,
            keys,
            remembers: remembered? > 0,
            verified: Bounded::new(usize::try_from(remembered?).unwrap_or(1)),
            digester: None,
            host_verifies: Cell::new(true),
        })
    }
}

fn text(cursor: Cursor<'_>) -> Option<String> {
    let text = cursor.decode::<String>()?;
    if text.is_empty() { cursor.expected("a text of at least one character") } else { Some(text) }
}

fn texts(cursor: Cursor<'_>) -> Option<Vec<String>> {
    let decoded: Vec<Option<String>> = cursor.elements()?.map(text).collect();
    if decoded.is_empty() { cursor.expected("a list of at least one") } else { decoded.into_iter().collect() }
}

/// More than minutes between clocks is no skew but a longer life for stolen tokens.
fn skew(cursor: Cursor<'_>) -> Option<u64> {
    const MOST: u64 = 600;
    if cursor.as_str() == Some("0s") {
        return Some(0);
    }
    let skew = cursor.decode::<Duration>()?.get().as_secs();
    if skew > MOST { cursor.expected("at most \"10m\"") } else { Some(skew) }
}
