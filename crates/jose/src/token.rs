//! A token taken apart: three parts of base64url and a header that asks for nothing unknown (RFC 7515 section 5.2).

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::base64::base64url;
use crate::fault::Fault;
use crate::json::parse_object;

/// A signed token in compact form, not yet verified.
#[derive(Debug)]
pub struct Token<'t> {
    /// What was signed: header and payload as they stand.
    signed: &'t [u8],
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What a header says, of what may be believed before the signature is verified: which key, and nothing about the key
/// itself. `jwk`, `jku`, `x5u` and `x5c` are never looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm that the token claims. The key decides whether that is so.
    pub algorithm: Algorithm,
    /// The name of the key.
    pub kid: Option<String>,
    /// What kind of token it is, in lower case and without `application/`.
    pub kind: Option<String>,
}

/// Longer than what fits in the headers of most servers.
const LONGEST: usize = 16 * 1024;

impl<'t> Token<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// Everything that is wrong with it as far as that can be told without a key.
    pub fn parse(text: &'t [u8]) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Encoding);
        };
        let decoded = |part: &[u8]| base64url(part).ok_or(Fault::Encoding);
        let header = Header::parse(&decoded(header)?)?;
        let end = text.len() - signature.len();
        let signed = end.checked_sub(1).and_then(|end| text.get(..end)).ok_or(Fault::Encoding)?;
        Ok(Self { signed, header, payload: decoded(payload)?, signature: decoded(signature)? })
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was signed.
    #[must_use]
    pub fn signed(&self) -> &'t [u8] {
        self.signed
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The payload, which nobody should believe before the signature was verified.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as claims.
    ///
    /// # Errors
    /// If it is no JSON object without duplicate members.
    pub fn claims(&self) -> Result<Map<String, Value>, Fault> {
        parse_object(&self.payload).ok_or(Fault::Payload)
    }
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, Fault> {
        let members = parse_object(json).ok_or(Fault::Header)?;
        // `crit` names extensions that must be understood, and none is; `b64` changes what was signed (RFC 7797); the
        // others belong to encrypted tokens.
        if ["crit", "b64", "enc", "zip"].iter().any(|name| members.contains_key(*name)) {
            return Err(Fault::Extension);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Fault::Header),
        };
        // A token within a token would be read by nobody here (RFC 7519 section 5.2).
        if text("cty")?.is_some_and(|kind| media_type(kind) == "jwt") {
            return Err(Fault::Extension);
        }
        Ok(Self {
            algorithm: text("alg")?.and_then(Algorithm::from_name).ok_or(Fault::Algorithm)?,
            kid: text("kid")?.map(str::to_owned),
            kind: text("typ")?.map(media_type),
        })
    }
}

/// RFC 7515 section 4.1.9: without case, `application/` may be left out.
fn media_type(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    text.strip_prefix("application/").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> Result<Header, Fault> {
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        let text = format!("{}.e30.AA", Base64UrlUnpadded::encode_string(header.as_bytes()));
        Token::parse(text.as_bytes()).map(|token| token.header().clone())
    }

    #[test]
    fn a_header_names_key_and_algorithm() {
        let header =
            token(r#"{"alg": "ES256", "kid": "a", "typ": "Application/AT+jwt", "jku": "https://evil"}"#);
        let header = header.unwrap();
        assert_eq!((header.algorithm.name(), header.kid.as_deref()), ("ES256", Some("a")));
        assert_eq!(header.kind.as_deref(), Some("at+jwt"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (header, fault) in [
            (r#"{"alg": "none"}"#, Fault::Algorithm),
            (r#"{"alg": "None"}"#, Fault::Algorithm),
            (r#"{"alg": "nOnE"}"#, Fault::Algorithm),
            (r#"{"alg": ""}"#, Fault::Algorithm),
            (r#"{"alg": "rs256"}"#, Fault::Algorithm),
            (r#"{"alg": null}"#, Fault::Header),
            (r#"{"alg": ["RS256"]}"#, Fault::Header),
            (r#"{}"#, Fault::Algorithm),
            (r#"{"alg": "RS256", "alg": "RS256"}"#, Fault::Header),
            (r#"{"alg": "RS256", "crit": ["x"], "x": 1}"#, Fault::Extension),
            (r#"{"alg": "RS256", "crit": []}"#, Fault::Extension),
            (r#"{"alg": "RS256", "b64": false}"#, Fault::Extension),
            (r#"{"alg": "RS256", "b64": true}"#, Fault::Extension),
            (r#"{"alg": "RS256", "zip": "DEF"}"#, Fault::Extension),
            (r#"{"alg": "RS256", "cty": "JWT"}"#, Fault::Extension),
            (r#"{"alg": "RS256", "kid": 1}"#, Fault::Header),
            (r#"{"alg": "RS256", "typ": 1}"#, Fault::Header),
            (r#"["RS256"]"#, Fault::Header),
        ] {
            assert_eq!(token(header), Err(fault), "{header}");
        }
    }

    #[test]
    fn there_are_three_parts() {
        for text in ["", ".", "..", "a.b", "e30.e30.e30.e30", "e30..", "e30 .e30.e30", "e30.e30.e30\n"] {
            assert!(Token::parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = "a".repeat(LONGEST + 1);
        assert_eq!(Token::parse(long.as_bytes()).err(), Some(Fault::TooLong));
    }
}
