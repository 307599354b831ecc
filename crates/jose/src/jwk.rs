//! A JSON Web Key as written (RFC 7517): in a key set that was fetched, or in a configuration.

use serde_json::{Map, Value};
use tidegate_config::{Cursor, Decode, Secret};

use crate::base64::base64url;
use crate::fault::KeyFault;
use crate::key::Key;

/// A key's members as they stand there. [`Key::new`] makes a key of them, if they are sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jwk {
    pub(crate) kty: String,
    pub(crate) kid: Option<String>,
    pub(crate) usage: Option<String>,
    pub(crate) key_ops: Option<Vec<String>>,
    pub(crate) alg: Option<String>,
    pub(crate) crv: Option<String>,
    pub(crate) n: Option<String>,
    pub(crate) e: Option<String>,
    pub(crate) x: Option<String>,
    pub(crate) y: Option<String>,
    pub(crate) k: Option<Secret>,
}

/// Members that hold a private part (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

impl Jwk {
    /// Reads a key of a fetched set. Members that are not known are ignored (RFC 7517 section 4); a certificate chain is
    /// one of them.
    ///
    /// # Errors
    /// If a member has a wrong type, or there is a private one.
    pub fn from_json(members: &Map<String, Value>) -> Result<Self, KeyFault> {
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return Err(KeyFault::Private);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(KeyFault::Member),
        };
        let key_ops = match members.get("key_ops") {
            None => None,
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
                Some(texts.collect::<Option<_>>().ok_or(KeyFault::Member)?)
            }
            Some(_) => return Err(KeyFault::Member),
        };
        let secret = text("k")?.map(|k| base64url(k.as_bytes()).ok_or(KeyFault::Encoding));
        Ok(Self {
            kty: text("kty")?.ok_or(KeyFault::Member)?,
            kid: text("kid")?,
            usage: text("use")?,
            key_ops,
            alg: text("alg")?,
            crv: text("crv")?,
            n: text("n")?,
            e: text("e")?,
            x: text("x")?,
            y: text("y")?,
            k: secret.transpose()?.map(Secret::new),
        })
    }
}

/// A key of a configuration: as in RFC 7517, but a secret (`kty: oct`) is named by `k_env`, the environment variable that
/// holds it in base64url.
impl Decode for Key {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let kty = object.required("kty");
        let kid = object.optional("kid");
        let usage = object.optional("use");
        let key_ops = object.optional("key_ops");
        let alg = object.optional("alg");
        let crv = object.optional("crv");
        let n = object.optional("n");
        let e = object.optional("e");
        let x = object.optional("x");
        let y = object.optional("y");
        let k = object.get("k_env").map_or(Some(None), |cursor| secret(cursor).map(Some));
        let mut bare = true;
        for name in PRIVATE.into_iter().chain(["k"]) {
            if let Some(cursor) = object.get(name) {
                bare = false;
                cursor.expected_secret::<()>("no secret here: public members only, or \"k_env\"");
            }
        }
        for ignored in ["x5c", "x5t", "x5t#S256", "x5u", "ext", "exp", "iat", "nbf"] {
            object.get(ignored);
        }
        object.finish();
        let jwk = Jwk {
            kty: kty?,
            kid: kid?,
            usage: usage?,
            key_ops: key_ops?,
            alg: alg?,
            crv: crv?,
            n: n?,
            e: e?,
            x: x?,
            y: y?,
            k: k?,
        };
        if !bare {
            return None;
        }
        match Self::new(&jwk) {
            Ok(key) => Some(key),
            Err(fault) => cursor.expected_found("a key to verify signatures with", fault),
        }
    }
}

fn secret(cursor: Cursor<'_>) -> Option<Secret> {
    let text = Secret::decode_of(cursor, 1)?;
    let bytes = base64url(text.as_bytes()).map(Secret::new);
    bytes.or_else(|| {
        cursor.expected_found("a variable that holds base64url without padding", "something else")
    })
}
