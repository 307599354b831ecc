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

/// Names that end like this speak of credentials: by their letters and digits, without case, and without a number at the
/// end (`token_2`).
const ENDINGS: [&str; 28] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "subscriptionkey",
    "authkey",
    "signature",
    "credential",
    "credentials",
    "session",
    "sessionid",
    "sessid",
    "jwt",
    "auth",
    "authorization",
    "authorizationcode",
    "assertion",
    "codeverifier",
    "idtokenhint",
    "samlresponse",
    "signature256",
];

/// And so do these.
const NAMES: [&str; 10] =
    ["key", "sig", "code", "sid", "pwd", "pin", "otp", "cookie", "setcookie", "connectsid"];

/// Whether a name speaks of credentials.
pub(crate) fn names_credential(name: &[u8]) -> bool {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let all: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    let numbered = all.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    let plain = all.get(..numbered).unwrap_or_default();
    let ends = |ending: &&str| plain.ends_with(ending.as_bytes()) || all.ends_with(ending.as_bytes());
    NAMES.iter().any(|known| known.as_bytes() == plain) || ENDINGS.iter().any(ends)
}

/// What stands between two parameters of a query: `;` too, as some servers have it.
const IN_QUERY: &[u8] = b"&;";
/// And in any other text that may hold parameters: a URL, a path with parameters of its own, a list.
const IN_TEXT: &[u8] = b"?&;#/, \"'<>";
/// So often a value is decoded in search of a URL within a URL.
const LEVELS: u32 = 3;

impl Redaction {
    /// Of what a configuration says nothing about.
    pub(crate) const STANDARD: &'static Self =
        &Self { query: Vec::new(), headers: Vec::new(), cookies: Vec::new(), keep: Vec::new() };

    /// Whether a header is not to be written.
    pub(crate) fn hides_header(&self, name: &str) -> bool {
        self.hides(&self.headers, name.as_bytes())
    }

    /// Whether a cookie is not to be written.
    pub(crate) fn hides_cookie(&self, name: &str) -> bool {
        self.hides(&self.cookies, name.as_bytes())
    }

    /// A query without the values of the parameters that are not to be written; `None`, as everywhere here, if it may be
    /// written as it is.
    pub(crate) fn query(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.parameters(query, IN_QUERY, LEVELS)
    }

    /// A path, or a URL, without the values of such parameters in it, and without what stands before the `@` of an
    /// authority.
    pub(crate) fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let bare = without_userinfo(text);
        self.parameters(bare.as_deref().unwrap_or(text), IN_TEXT, LEVELS).or(bare)
    }

    /// The value of a header or a cookie whose name speaks of no credential, without those that stand in it all the same:
    /// `Referer` and `Location` are URLs, and proxies hand on an `Authorization` under names of their own.
    pub(crate) fn value(&self, value: &[u8]) -> Option<Vec<u8>> {
        const SCHEMES: [&[u8]; 4] = [b"basic ", b"bearer ", b"digest ", b"negotiate "];
        let begins = |scheme: &&[u8]| {
            value
                .trim_ascii_start()
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if SCHEMES.iter().any(begins) {
            return Some(REDACTED.as_bytes().to_vec());
        }
        self.text(value)
    }

    fn parameters(&self, text: &[u8], between: &[u8], levels: u32) -> Option<Vec<u8>> {
        if !text.iter().any(|byte| matches!(byte, b'=' | b'%')) {
            return None;
        }
        let mut written = Vec::new();
        let mut hid = false;
        for part in text.split_inclusive(|byte| between.contains(byte)) {
            let (pair, end) = match part.split_last() {
                Some((last, pair)) if between.contains(last) => (pair, Some(*last)),
                _ => (part, None),
            };
            let shown = self.shown(pair, levels);
            written.extend_from_slice(shown);
            if shown.len() < pair.len() {
                hid = true;
                written.extend_from_slice(REDACTED.as_bytes());
            }
            written.extend(end);
        }
        hid.then_some(written)
    }

    /// As much of `name=value` as may be written: all of it, or what stands before the value.
    fn shown<'p>(&self, pair: &'p [u8], levels: u32) -> &'p [u8] {
        let start = pair.iter().position(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
        let Some((name, value)) = pair.split_at_checked(start) else { return pair };
        let named = name.strip_suffix(b"=").is_some_and(|name| self.hides(&self.query, &decoded(name)));
        // `next=https%3A%2F%2Fshop%2F%3Ftoken%3Dabc`: a URL in a parameter of another.
        let within = || match (levels.checked_sub(1), decoded(value)) {
            (Some(levels), Cow::Owned(plain)) => self.parameters(&plain, IN_TEXT, levels).is_some(),
            _ => false,
        };
        if !value.is_empty() && (named || within()) { name } else { pair }
    }

    fn hides(&self, named: &[String], name: &[u8]) -> bool {
        let is = |listed: &String| listed.as_bytes().eq_ignore_ascii_case(name);
        named.iter().any(is) || (names_credential(name) && !self.keep.iter().any(is))
    }
}

/// An authority without user and password.
pub(crate) fn host(authority: &[u8]) -> Option<Vec<u8>> {
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let mut bare = REDACTED.as_bytes().to_vec();
    bare.extend_from_slice(authority.get(at..)?);
    Some(bare)
}

/// A text with URLs in it, each without user and password.
fn without_userinfo(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'@') {
        return None;
    }
    let mut written = Vec::new();
    // Of a URL the part behind two slashes.
    let mut slashes = 0;
    for part in text.split_inclusive(|byte| b"/?# \"<>".contains(byte)) {
        match host(part).filter(|_| slashes == 2) {
            Some(bare) => written.extend_from_slice(&bare),
            None => written.extend_from_slice(part),
        }
        slashes = match part {
            b"/" => slashes + 1,
            _ => i32::from(part.ends_with(b"/")),
        };
    }
    Some(written)
}

/// The name as a server reads it: `%74oken` is `token`.
pub(crate) fn decoded(name: &[u8]) -> Cow<'_, [u8]> {
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
            "user[password]",
            "token[0]",
            "token_2",
            "Ocp-Apim-Subscription-Key",
            "x-hub-signature-256",
            "client_assertion",
            "code_verifier",
        ] {
            assert!(names_credential(name.as_bytes()), "{name}");
        }
        for name in ["x-tokens-used", "user-agent", "keyboard", "q", "barcode", "signal", "", "7"] {
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
            ("a=1;token=s3cret;b=2", "a=1;token=[redacted];b=2"),
            (
                "user[password]=s3cret&user%5Bpassword%5D=s3cret",
                "user[password]=[redacted]&user%5Bpassword%5D=[redacted]",
            ),
            ("next=https%3A%2F%2Fa%2F%3Ftoken%3Ds3cret&b=2", "next=[redacted]&b=2"),
            ("next=%2Fa%253Ftoken%253Ds3cret", "next=[redacted]"),
            ("next=%2Fa%3Fpage%3D2", "next=%2Fa%3Fpage%3D2"),
            ("token=", "token="),
            ("", ""),
        ] {
            let written = redaction.query(query.as_bytes());
            assert_eq!(written.as_deref().unwrap_or(query.as_bytes()), expected.as_bytes(), "{query}");
        }
    }

    #[test]
    fn credentials_within_a_value_are_not_written() {
        let redaction = Redaction { query: vec!["tel".to_owned()], ..Redaction::default() };
        for (value, expected) in [
            ("https://a/b?page=2&token=s3cret#x", "https://a/b?page=2&token=[redacted]#x"),
            ("https://a/cb#access_token=s3cret&state=1", "https://a/cb#access_token=[redacted]&state=1"),
            ("https://ann:s3;cr,et@a.example/b", "https://[redacted]@a.example/b"),
            ("/b;jsessionid=s3cret/c?tel=1", "/b;jsessionid=[redacted]/c?tel=[redacted]"),
            ("<https://a/?sig=s3cret>; rel=\"next\"", "<https://a/?sig=[redacted]>; rel=\"next\""),
            ("a=1, token=s3cret", "a=1, token=[redacted]"),
            ("/login/https%3A%2F%2Fa%3Fcode%3Ds3cret", "/login/[redacted]"),
            ("bEaReR s3cret", "[redacted]"),
            ("Bearer", "Bearer"),
            ("ann@example.com", "ann@example.com"),
            ("text/html; charset=utf-8", "text/html; charset=utf-8"),
        ] {
            let written = redaction.value(value.as_bytes());
            assert_eq!(written.as_deref().unwrap_or(value.as_bytes()), expected.as_bytes(), "{value}");
        }
        assert_eq!(host(b"ann:s3cret@a:80").unwrap(), b"[redacted]@a:80");
        assert_eq!(host(b"a:80"), None);
    }

    #[test]
    fn what_is_kept_is_written_unless_it_is_named() {
        let redaction = Redaction {
            headers: vec!["x-key".to_owned()],
            keep: vec!["Code".to_owned(), "x-key".to_owned()],
            ..Redaction::default()
        };
        assert_eq!(redaction.query(b"code=7"), None);
        assert!(redaction.hides_header("x-key"));
        assert!(redaction.hides_cookie("session"));
        assert!(!redaction.hides_cookie("theme"));
    }
}
