//! A filter for tests only: the question whether a signature is a key's, asked of the host's cryptography and of pure Rust.
//!
//! | header | what |
//! |---|---|
//! | `x-vector-algorithm` | the algorithm's name |
//! | `x-vector-key` | the key as a JWK |
//! | `x-vector-text`, `x-vector-signature` | what was signed, and the signature, in base64url |
//!
//! The answer goes upstream as `x-vector-result`: `true false` if the host takes it and pure Rust does not; `-` in the first
//! place if the host was not asked, or does not offer it.

use std::cell::Cell;

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Callbacks, Exchange, Filter, Flow, Host};
use tidegate_jose::{
    Algorithm, Crypto, EnvoyCrypto, Hash, Jwk, Key, PureRust, base64url, parse_object, verify,
};

/// `{}`
#[derive(Debug)]
pub struct Config;

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.object()?.finish();
        Some(Self)
    }
}

/// The filter.
pub struct Vectors {
    offered: Cell<bool>,
}

/// Notes whether the host gave an answer.
struct Noting<'h> {
    host: EnvoyCrypto<'h>,
    answered: Cell<bool>,
}

impl Crypto for Noting<'_> {
    fn verify(&self, hash: Hash, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let answer = self.host.verify(hash, key, signature, text);
        self.answered.set(answer.is_some());
        answer
    }
}

impl Filter for Vectors {
    const NAME: &'static str = "vectors";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Config = Config;
    type Stream = ();

    fn new(_: Config, _: &dyn Host) -> Self {
        Self { offered: Cell::new(true) }
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let answer = self.answer(exchange, host).unwrap_or_else(|| "malformed".to_owned());
        if let (Ok(name), Ok(value)) =
            (HeaderName::new("x-vector-result"), HeaderValue::new(answer.into_bytes()))
        {
            exchange.request_mut().set(&name, &value);
        }
        for name in ["algorithm", "key", "text", "signature"] {
            if let Ok(name) = HeaderName::new(&format!("x-vector-{name}")) {
                exchange.request_mut().remove(&name);
            }
        }
        Flow::Continue
    }
}

impl Vectors {
    fn answer(&self, exchange: &Exchange, host: &dyn Host) -> Option<String> {
        let header = |name: &str| exchange.request().first(name);
        let algorithm = std::str::from_utf8(header("x-vector-algorithm")?).ok()?;
        let algorithm = Algorithm::from_name(algorithm)?;
        let text = base64url(header("x-vector-text")?)?;
        let signature = base64url(header("x-vector-signature")?)?;
        let jwk = Jwk::from_json(&parse_object(header("x-vector-key")?)?).and_then(|jwk| Key::new(&jwk));
        let Ok(key) = jwk else { return Some("refused".to_owned()) };
        let crypto = Noting { host: EnvoyCrypto::new(host, &self.offered), answered: Cell::new(false) };
        let by_host = verify(&key, algorithm, &text, &signature, &crypto);
        let by_us = verify(&key, algorithm, &text, &signature, &PureRust);
        let by_host = if crypto.answered.get() { by_host.to_string() } else { "-".to_owned() };
        Some(format!("{by_host} {by_us}"))
    }
}

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Vectors);
