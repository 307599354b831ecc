//! Base64, strictly: no blanks, no other alphabet, padding exactly where it belongs, unused bits zero (RFC 4648
//! sections 3.2 to 3.5). A text has one encoding only, so nobody can vary a token without breaking it.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

/// Decodes base64url without padding (RFC 7515 section 2).
#[must_use]
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(std::str::from_utf8(text).ok()?).ok()
}

/// Decodes base64 with padding, as HTTP's Basic scheme uses it.
#[must_use]
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    Base64::decode_vec(std::str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_encoding_only() {
        assert_eq!(base64url(b"Zm8").as_deref(), Some(b"fo".as_slice()));
        assert_eq!(base64url(b"-_8").as_deref(), Some(b"\xfb\xff".as_slice()));
        for bad in ["Zm8=", "Zm8 ", " Zm8", "Zm\n8", "Z", "+/8", "Zm8.", "\u{e4}"] {
            assert_eq!(base64url(bad.as_bytes()), None, "{bad}");
        }
        // Unused bits that are not zero.
        assert_eq!(base64url(b"Zm9"), None);
        assert_eq!(base64url(b""), Some(Vec::new()));
        assert_eq!(base64(b"Zm8=").as_deref(), Some(b"fo".as_slice()));
        for bad in ["Zm8", "Zm9=", "Zm8==", "Zm8=\n", "-_8="] {
            assert_eq!(base64(bad.as_bytes()), None, "{bad}");
        }
    }
}
