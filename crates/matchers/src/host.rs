//! Conditions on the host a request is for.

use tidegate_config::{Cursor, Decode};

/// `"shop.example.com"`, or `"*.example.com"` for every depth below, not the apex itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HostMatch {
    Exact(String),
    /// With its leading dot.
    Below(String),
}

impl HostMatch {
    /// Whether the canonical `host` is meant.
    pub(crate) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => host == exact.as_bytes(),
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }
}

impl Decode for HostMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let expected = "a host such as \"shop.example.com\" or \"*.example.com\", without port";
        let Some(text) = cursor.as_str() else { return cursor.expected(expected) };
        let (below, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
        let usable = !rest.is_empty()
            && !rest.contains(['*', '/', ' '])
            && (!below || (rest.starts_with('.') && rest.len() > 1))
            && (below || !rest.starts_with('.'))
            && canonical(rest.as_bytes()).len() == rest.strip_suffix('.').unwrap_or(rest).len();
        if !usable {
            return cursor.expected(expected);
        }
        let host = String::from_utf8_lossy(&canonical(rest.as_bytes())).into_owned();
        Some(if below { Self::Below(host) } else { Self::Exact(host) })
    }
}

/// An authority without case, port and final dot: `Admin.Foo.:443` is `admin.foo`.
#[must_use]
pub fn canonical(authority: &[u8]) -> Vec<u8> {
    // Userinfo has no place in :authority (RFC 9113 section 8.3.1); what stands before an @ is not the host.
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    // Brackets hold an IPv6 address, whose colons are no ports.
    let end = match host.iter().position(|byte| *byte == b']') {
        Some(bracket) => bracket + 1,
        None => host.iter().position(|byte| *byte == b':').unwrap_or(host.len()),
    };
    let host = host.get(..end).unwrap_or(host);
    host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase()
}

/// Whether an authority names one host in the form that all servers read alike: labels of letters, digits, `-` and `_`, or an
/// address in brackets, and perhaps a port. Userinfo, an empty label, a list (Envoy joins two Host headers with a comma) or
/// an escape are read by each server in its own way.
#[must_use]
pub fn is_plain_host(authority: &[u8]) -> bool {
    let (host, port) = match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !authority.ends_with(b"]") => authority.split_at(colon),
        _ => (authority, b"".as_slice()),
    };
    if !port.iter().skip(1).all(u8::is_ascii_digit) {
        return false;
    }
    if let Some(address) = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
        return address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let usable = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    host.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(usable))
}

#[cfg(test)]
mod plain_tests {
    use super::is_plain_host;

    #[test]
    fn a_host_has_one_form() {
        for good in [
            "a",
            "a.example",
            "A-b_c.example.",
            "a.example:80",
            "a.example:",
            "a.example.:80",
            "192.0.2.1:80",
            "[::1]",
            "[::ffff:192.0.2.1]:80",
        ] {
            assert!(is_plain_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ".",
            ":80",
            "a..example",
            ".a",
            "a.example..",
            "a,b",
            "a@b",
            "a:b@c:80",
            "a:x",
            "a:80:80",
            "[::1",
            "::1]",
            "[a/b]",
            "a b",
            "a/b",
            "a%2eb",
            "\u{e4}",
            "a\0",
            "a?b",
            "a#b",
            "*",
        ] {
            assert!(!is_plain_host(bad.as_bytes()), "{bad}");
        }
    }
}
