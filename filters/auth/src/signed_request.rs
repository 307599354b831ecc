//! Requests signed with a shared secret: HMAC-SHA-256 over chosen parts, each signature good once and for a while only.

mod date;
mod seen;

use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use tidegate_config::{Cursor, Decode, Duration, HeaderName, HeaderValue, Name, Secret};
use tidegate_filter_api::{Exchange, Host, Property, Timestamp};
use tidegate_jose::{Hash, base64, hmac_is};

use crate::credential::Place;
use crate::identity::{Identity, Verdict};
use seen::{Seeing, Seen};

/// What must be signed, how, and with which secret.
#[derive(Debug)]
pub(crate) struct SignedRequests {
    pub(crate) from: Place,
    secret: Secret,
    signed: Vec<Part>,
    encoding: Encoding,
    /// The header, among those signed, that says when.
    timestamp: HeaderName,
    window: std::time::Duration,
    seen: Seen,
    allow_on_full: bool,
    identity: Rc<Identity>,
}

/// A part of a request that a signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Method,
    /// As sent, with the query.
    Path,
    Host,
    Header(HeaderName),
    /// In lower-case hexadecimal.
    BodySha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Hex,
    Base64,
}

/// A body's digest as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(crate) enum Body {
    /// Nothing of it has been read.
    #[default]
    Unread,
    /// A part has.
    Reading(Sha256),
    /// All of it.
    Read([u8; 32]),
}

impl SignedRequests {
    /// Whether a signature covers the body.
    pub(crate) fn covers_body(&self) -> bool {
        self.signed.contains(&Part::BodySha256)
    }

    /// Whether the request carries one signature that is worth reading a body for.
    pub(crate) fn is_presented(&self, exchange: &Exchange) -> bool {
        let presented = Place::credentials(std::slice::from_ref(&self.from), exchange);
        matches!(presented.values.as_slice(), [only] if self.decode_signature(only).is_some())
    }

    /// Checks the signature, then its time, then that it was not seen before: what is not signed leaves no trace.
    pub(crate) fn identify(
        &self,
        exchange: &Exchange,
        body: &Body,
        host: &dyn Host,
        now: Timestamp,
        provider: &Name,
    ) -> Verdict {
        let presented = Place::credentials(std::slice::from_ref(&self.from), exchange);
        let signature = match presented.values.as_slice() {
            [] => return Verdict::Missing,
            [only] if !presented.ambiguous => self.decode_signature(only),
            _ => return Verdict::Refused("there are several signatures"),
        };
        let Some(signature) = signature else { return Verdict::Refused("the signature is malformed") };
        let Some(text) = self.signed_text(exchange, body) else {
            return Verdict::Refused("a signed part is missing or stands several times");
        };
        if !hmac_is(Hash::Sha256, self.secret.as_bytes(), &text, &signature) {
            return Verdict::Refused("the signature is wrong");
        }
        let header = exchange.request().first(self.timestamp.as_str());
        let Some(signed_at) = header.and_then(date::parse) else {
            return Verdict::Refused("the time of signing is malformed");
        };
        let (now, window) = (now.0 / 1_000_000_000, self.window.as_secs());
        if now.abs_diff(signed_at) > window {
            return Verdict::Refused("the signature is too old or too new");
        }
        let plugin = host.property(Property::PLUGIN_NAME).unwrap_or_default();
        let prefix = [b"tg.auth.seen.", plugin.as_slice(), b".", provider.as_str().as_bytes(), b"."].concat();
        match self.seen.see(&prefix, &signature, signed_at + window, now, host) {
            Ok(Seeing::First) => Verdict::Known(Rc::clone(&self.identity)),
            Ok(Seeing::Again) => Verdict::Refused("the signature was used before"),
            Ok(Seeing::Full) if self.allow_on_full => Verdict::Known(Rc::clone(&self.identity)),
            Ok(Seeing::Full) => Verdict::Failed("there is no room to remember the signature"),
            Err(error) => {
                log::error!("auth: remembering a signature: {error}");
                Verdict::Failed("the signature cannot be remembered")
            }
        }
    }

    fn decode_signature(&self, text: &[u8]) -> Option<[u8; 32]> {
        let bytes = match self.encoding {
            Encoding::Hex => unhex(text)?,
            Encoding::Base64 => base64(text)?,
        };
        bytes.try_into().ok()
    }

    /// The parts, each on a line. A part that holds a line feed could pass for two: header values and paths hold none.
    fn signed_text(&self, exchange: &Exchange, body: &Body) -> Option<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = Vec::with_capacity(self.signed.len());
        for part in &self.signed {
            let line = match part {
                Part::Method => exchange.method().to_vec(),
                Part::Path => exchange.path().to_vec(),
                Part::Host => exchange.authority().to_vec(),
                Part::Header(name) => {
                    let mut values = exchange.request().values(name.as_str());
                    let value = values.next()?.to_vec();
                    if values.next().is_some() {
                        return None;
                    }
                    value
                }
                Part::BodySha256 => match body {
                    Body::Read(digest) => hex(digest),
                    _ => return None,
                },
            };
            if line.contains(&b'\n') {
                return None;
            }
            lines.push(line);
        }
        Some(lines.join(&b'\n'))
    }
}

impl Body {
    /// Takes a piece; with `end`, the last.
    pub(crate) fn take(&mut self, bytes: &[u8], end: bool) {
        let mut hash = match std::mem::take(self) {
            Self::Reading(hash) => hash,
            _ => Sha256::new(),
        };
        hash.update(bytes);
        *self = if end { Self::Read(hash.finalize().into()) } else { Self::Reading(hash) };
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let value =
        |digit: &u8| DIGITS.iter().position(|known| known == digit).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(value(high)? << 4 | value(low)?)).collect()
}

impl SignedRequests {
    /// Decodes it for the provider `name`, which names the caller if `id` does not.
    pub(crate) fn decode(cursor: Cursor<'_>, name: Option<&Name>) -> Option<Self> {
        /// RFC 2104 section 3 discourages secrets shorter than the hash; many webhooks hand out 20 bytes.
        const LEAST_SECRET: usize = 16;
        const MOST_SEEN: i64 = 1 << 24;
        let mut object = cursor.object()?;
        let from: Option<Place> = object.required("from");
        let secret = object.require("secret_env").and_then(|cursor| Secret::decode_of(cursor, LEAST_SECRET));
        let signed_at = object.require("signed");
        let signed = signed_at.and_then(Cursor::non_empty_list::<Part>);
        let encoding = object.get("encoding").map_or(Some(Encoding::Hex), |cursor| {
            cursor.word(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)])
        });
        let prefix: Option<Option<String>> = object.optional("prefix");
        let timestamp = object.get("timestamp").map_or_else(
            || HeaderName::new("date").ok(),
            |cursor| {
                let mut timestamp = cursor.object()?;
                let header = timestamp.required("header");
                timestamp.finish();
                header
            },
        );
        let window = object.or("window", Duration::from_secs(300));
        let max = object.get("max").map_or(Some(1 << 16), |cursor| cursor.integer(1, MOST_SEEN));
        let allow_on_full = object
            .get("on_full")
            .map_or(Some(false), |cursor| cursor.word(&[("deny", false), ("allow", true)]));
        let id: Option<Option<Name>> = object.optional("id");
        object.finish();
        let (signed, timestamp, id) = (signed?, timestamp?, id?);
        if !signed.contains(&Part::Header(timestamp.clone())) {
            return signed_at?.expected_found(
                format_args!(
                    "\"header:{timestamp}\" among the parts: a time that is not signed proves nothing"
                ),
                "none",
            );
        }
        let mut from = from?;
        if let (Place::Header { prefix: slot, .. }, Some(prefix)) = (&mut from, prefix?) {
            *slot = Some(prefix);
        }
        let identity = Identity::named(HeaderValue::from(id.as_ref().or(name)?));
        Some(Self {
            from,
            secret: secret?,
            signed,
            encoding: encoding?,
            timestamp,
            window: window?.get(),
            seen: Seen::new(u64::try_from(max?).unwrap_or(1)),
            allow_on_full: allow_on_full?,
            identity: Rc::new(identity),
        })
    }
}

/// `method`, `path`, `host`, `header:NAME` or `body_sha256`.
impl Decode for Part {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if let Some(name) = cursor.as_str().and_then(|text| text.strip_prefix("header:")) {
            let name = HeaderName::new(name).ok().map(Self::Header);
            return name.or_else(|| cursor.expected("\"header:\" and a header's name"));
        }
        match cursor.as_str() {
            Some("method") => Some(Self::Method),
            Some("path") => Some(Self::Path),
            Some("host") => Some(Self::Host),
            Some("body_sha256") => Some(Self::BodySha256),
            _ => cursor.expected("\"method\", \"path\", \"host\", \"header:NAME\" or \"body_sha256\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_has_one_form() {
        assert_eq!(unhex(b"00ff"), Some(vec![0, 255]));
        for bad in ["0", "0F", "0g", " 00", "00 "] {
            assert_eq!(unhex(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(hex(&[0, 0xab]), b"00ab");
    }

    #[test]
    fn a_body_in_pieces_is_one_body() {
        let mut pieces = Body::default();
        pieces.take(b"ab", false);
        assert!(matches!(pieces, Body::Reading(_)));
        pieces.take(b"c", true);
        let mut whole = Body::default();
        whole.take(b"abc", true);
        assert!(matches!((pieces, whole), (Body::Read(a), Body::Read(b)) if a == b));
    }
}
