//! Parsers of untrusted bytes end, never panic, and accept one form only.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::indexing_slicing, reason = "a slip here fails the test")]

use proptest::prelude::*;
use tidegate_jose::{KeySet, PureRust, Token, base64, base64url, parse_object, verify};

mod support;

use support::{jose, rfc};

/// Bytes near a good text: parts of it cut, doubled, or replaced.
fn near(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..good.len(), 0..4_u8, any::<u8>(), 0..40_usize);
    prop::collection::vec(edit, 0..4).prop_map(move |edits| {
        let mut bytes = good.as_bytes().to_vec();
        for (at, kind, byte, length) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            match kind {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.insert(at, byte),
                2 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(end),
            }
        }
        bytes
    })
}

const KEYS: &str = r#"{"keys": [{"kty": "EC", "kid": "a", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

proptest! {
    // About half a minute in all, as long again as the filter's own: what parses the bytes of strangers is worth it.
    #![proptest_config(ProptestConfig::with_cases(30_000))]

    #[test]
    fn a_changed_token_is_not_accepted(bytes in near(rfc::TOKENS[2].2)) {
        let (_, key, good, _) = rfc::TOKENS[2];
        let accepted = std::str::from_utf8(&bytes).is_ok_and(|token| jose::accepts(key, token, &PureRust));
        prop_assert_eq!(accepted, bytes == good.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_token_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(token) = Token::parse(&bytes) {
            let _ = token.claims();
        }
    }

    #[test]
    fn any_bytes_are_a_key_set_or_none(bytes in near(KEYS)) {
        if let Some(keys) = KeySet::parse(&bytes) {
            for key in keys.iter() {
                for algorithm in tidegate_jose::Algorithm::all() {
                    prop_assert!(!verify(key, algorithm, b"text", &bytes, &PureRust));
                }
            }
        }
    }

    #[test]
    fn json_of_any_bytes_ends(bytes in near(KEYS)) {
        let _ = parse_object(&bytes);
    }

    #[test]
    fn base64_has_one_form(text in "[A-Za-z0-9+/=_-]{0,12}") {
        use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
        if let Some(bytes) = base64url(text.as_bytes()) {
            prop_assert_eq!(Base64UrlUnpadded::encode_string(&bytes), text.clone());
        }
        if let Some(bytes) = base64(text.as_bytes()) {
            prop_assert_eq!(Base64::encode_string(&bytes), text);
        }
    }
}
