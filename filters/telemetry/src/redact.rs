//! What must not be written down: credentials, wherever they may stand.

use std::borrow::Cow;

use tidegate_config::{Cursor, Decode};

/// What stands in a credential's place.
pub(crate) const REDACTED: &str = "[redacted]";

/// Which headers, cookies and query parameters are not to be written: those whose names speak of credentials, and those
/// that are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redaction {
    query: Vec<String>,
    headers: Vec<String>,
    cookies: Vec<String>,
    keep: Vec<String>,
}

/// Names that end like this, without case, `-`, `_` and `.`, speak of credentials.
const ENDINGS: [&str; 16] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "accesskeyid",
    "signature",
    "credential",
    "credentials",
    "session",
    "sessionid",
    "sessid",
    "jwt",
    "authorization",
];

/// And so do these.
const NAMES: [&str; 12] = [
    "key",
    "sig",
    "code",
    "auth",
    "sid",
    "pwd",
    "pin",
    "otp",
    "cookie",
    "setcookie",
    "connectsid",
    "assertion",
];

/// Whether a name speaks of credentials.
pub(crate) fn names_credential(name: &[u8]) -> bool {
    let plain: Vec<u8> =
        name.iter().filter(|byte| !matches!(byte, b'-' | b'_' | b'.')).map(u8::to_ascii_lowercase).collect();
    NAMES.iter().any(|known| known.as_bytes() == plain)
        || ENDINGS.iter().any(|ending| plain.ends_with(ending.as_bytes()))
}

impl Redaction {
    /// Whether a header is not to be written.
    pub(crate) fn hides_header(&self, name: &str) -> bool {
        self.hides(&self.headers, name.as_bytes())
    }

    /// Whether a cookie is not to be written.
    pub(crate) fn hides_cookie(&self, name: &str) -> bool {
        self.hides(&self.cookies, name.as_bytes())
    }

    /// A query without the values of the parameters that are not to be written.
    pub(crate) fn query<'q>(&self, query: &'q [u8]) -> Cow<'q, [u8]> {
        let hidden = |pair: &[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            name.len() < pair.len() && self.hides(&self.query, &decoded(name))
        };
        let pairs = || query.split(|byte| *byte == b'&');
        if !pairs().any(hidden) {
            return Cow::Borrowed(query);
        }
        let mut written = Vec::with_capacity(query.len());
        for pair in pairs() {
            if !written.is_empty() {
                written.push(b'&');
            }
            if hidden(pair) {
                let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
                written.extend_from_slice(name);
                written.push(b'=');
                written.extend_from_slice(REDACTED.as_bytes());
            } else {
                written.extend_from_slice(pair);
            }
        }
        Cow::Owned(written)
    }

    fn hides(&self, named: &[String], name: &[u8]) -> bool {
        let is = |listed: &String| listed.as_bytes().eq_ignore_ascii_case(name);
        named.iter().any(is) || (names_credential(name) && !self.keep.iter().any(is))
    }
}

/// The name as a server reads it: `%74oken` is `token`.
fn decoded(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') {
        return Cow::Borrowed(name);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        let escape = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let value = escape.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        plain.push(value.unwrap_or(*byte));
        rest = if value.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    Cow::Owned(plain)
}

impl Decode for Redaction {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let mut redaction = Self::default();
        let mut fine = true;
        for (key, list) in [
            ("query", &mut redaction.query),
            ("headers", &mut redaction.headers),
            ("cookies", &mut redaction.cookies),
            ("keep", &mut redaction.keep),
        ] {
            fine &= object.fill(key, list, |cursor| cursor.non_empty_list());
        }
        object.finish();
        fine.then_some(redaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set-cookie",
            "x-api-key",
            "X-Auth-Token",
            "access_token",
            "client_secret",
            "AWSAccessKeyId",
            "X-Amz-Signature",
            "sig",
            "PHPSESSID",
            "connect.sid",
        ] {
            assert!(names_credential(name.as_bytes()), "{name}");
        }
        for name in ["x-tokens-used", "user-agent", "keyboard", "q", "barcode", "signal"] {
            assert!(!names_credential(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn parameters_lose_their_values_whatever_way_they_are_written() {
        let redaction = Redaction { query: vec!["tel".to_owned()], ..Redaction::default() };
        for (query, expected) in [
            ("a=1&b=2", "a=1&b=2"),
            ("a=1&token=s3cret&b=2", "a=1&token=[redacted]&b=2"),
            ("TOKEN=x", "TOKEN=[redacted]"),
            ("%74ok%65n=x", "%74ok%65n=[redacted]"),
            ("tel=1&tel=2", "tel=[redacted]&tel=[redacted]"),
            ("token=a=b", "token=[redacted]"),
            ("token", "token"),
            ("%zz=1&%", "%zz=1&%"),
            ("", ""),
        ] {
            assert_eq!(redaction.query(query.as_bytes()), expected.as_bytes(), "{query}");
        }
    }

    #[test]
    fn what_is_kept_is_written_unless_it_is_named() {
        let redaction = Redaction {
            headers: vec!["x-key".to_owned()],
            keep: vec!["Code".to_owned(), "x-key".to_owned()],
            ..Redaction::default()
        };
        assert_eq!(redaction.query(b"code=7"), b"code=7".as_slice());
        assert!(redaction.hides_header("x-key"));
        assert!(redaction.hides_cookie("session"));
        assert!(!redaction.hides_cookie("theme"));
    }
}
