//! Keys that must not be used.

use super::*;
use crate::json::parse_object;
use crate::key_set::KeySet;
use base64ct::{Base64UrlUnpadded, Encoding as _};

fn key(json: &str) -> Result<Key, KeyFault> {
    Jwk::from_json(&parse_object(json.as_bytes()).unwrap()).and_then(|jwk| Key::new(&jwk))
}

fn rsa(bits: usize, exponent: &[u8], more: &str) -> String {
    let mut modulus = vec![0xff; bits / 8];
    modulus[0] = 0x80;
    let [n, e] = [modulus.as_slice(), exponent].map(Base64UrlUnpadded::encode_string);
    format!(r#"{{"kty": "RSA", "n": "{n}", "e": "{e}"{more}}}"#)
}

/// RFC 7517 appendix A.1.
const EC: &str = r#""kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;

#[test]
fn weak_keys_are_refused() {
    const E: &[u8] = &[1, 0, 1];
    assert!(key(&rsa(2048, E, "")).is_ok());
    assert!(key(&rsa(8192, &[3], "")).is_ok());
    for (bits, exponent) in
        [(1024, E), (2040, E), (8200, E), (2048, &[1]), (2048, &[4]), (2048, &[]), (2048, &[1, 0, 0, 0, 1])]
    {
        assert_eq!(key(&rsa(bits, exponent, "")), Err(KeyFault::Weak), "{bits} {exponent:?}");
    }
    let oct = |bytes: usize| {
        format!(r#"{{"kty": "oct", "k": "{}"}}"#, Base64UrlUnpadded::encode_string(&vec![7; bytes]))
    };
    assert!(key(&oct(32)).is_ok());
    assert_eq!(key(&oct(31)), Err(KeyFault::Weak));
    assert_eq!(key(&oct(0)), Err(KeyFault::Weak));
}

#[test]
fn the_algorithm_is_bound_to_the_key() {
    let usable = |json: &str| -> Vec<&'static str> {
        let key = key(json).unwrap();
        Algorithm::all().filter(|algorithm| key.is_for(*algorithm)).map(Algorithm::name).collect()
    };
    assert_eq!(usable(&rsa(2048, &[3], "")), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
    assert_eq!(usable(&rsa(2048, &[3], r#", "alg": "PS384""#)), ["PS384"]);
    assert_eq!(usable(&format!("{{{EC}}}")), ["ES256"]);
    let secret = Base64UrlUnpadded::encode_string(&[7; 48]);
    assert_eq!(usable(&format!(r#"{{"kty": "oct", "k": "{secret}"}}"#)), ["HS256", "HS384"]);
    for alg in ["HS256", "ES384", "RSA-OAEP", "none", ""] {
        assert_eq!(key(&format!(r#"{{{EC}, "alg": "{alg}"}}"#)), Err(KeyFault::Algorithm), "{alg}");
    }
}

#[test]
fn a_key_says_what_it_is_for() {
    for (more, fault) in [
        (r#""use": "enc""#, KeyFault::Use),
        (r#""use": 1"#, KeyFault::Member),
        (r#""key_ops": ["sign"]"#, KeyFault::Use),
        (r#""key_ops": []"#, KeyFault::Use),
        (r#""key_ops": ["verify", "verify"]"#, KeyFault::Use),
        (r#""key_ops": "verify""#, KeyFault::Member),
        (r#""d": "AA""#, KeyFault::Private),
        (r#""kid": 1"#, KeyFault::Member),
    ] {
        assert_eq!(key(&format!("{{{EC}, {more}}}")), Err(fault), "{more}");
    }
    assert!(key(&format!(r#"{{{EC}, "use": "sig", "key_ops": ["verify", "sign"], "x5c": ["?"]}}"#)).is_ok());
}

#[test]
fn points_are_on_their_curve() {
    let moved = EC.replace("4Etl", "4Etm");
    assert_eq!(key(&format!("{{{moved}}}")), Err(KeyFault::Point));
    let short = EC.replace("MKBCTNIc", "");
    assert_eq!(key(&format!("{{{short}}}")), Err(KeyFault::Encoding));
    let other = EC.replace("P-256", "secp256k1");
    assert_eq!(key(&format!("{{{other}}}")), Err(KeyFault::Type));
}

#[test]
fn a_set_leaves_out_what_cannot_be_used() {
    let set = |keys: &str| KeySet::parse(format!(r#"{{"keys": [{keys}]}}"#).as_bytes());
    let kids = |keys: &str| -> Vec<String> {
        set(keys)
            .map_or(Vec::new(), |set| set.iter().filter_map(|key| key.kid().map(str::to_owned)).collect())
    };
    let (a, b) = (format!(r#"{{{EC}, "kid": "a"}}"#), format!(r#"{{{EC}, "kid": "b"}}"#));
    let enc = format!(r#"{{{EC}, "kid": "a", "use": "enc"}}"#);
    assert_eq!(kids(&format!("{a}, {b}, 7, {{}}, {}", rsa(1024, &[3], r#", "kid": "c""#))), ["a", "b"]);
    // Which of two keys of one name is meant would be a guess.
    assert_eq!(kids(&format!("{a}, {b}, {a}")), ["b"]);
    assert_eq!(kids(&format!("{a}, {b}, {enc}")), ["b"]);
    let secret = Base64UrlUnpadded::encode_string(&[7; 48]);
    assert_eq!(set(&format!(r#"{{"kty": "oct", "k": "{secret}"}}"#)), None, "no secret is public");
    for bad in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": []}"#,
        r#"{"keys": [], "keys": []}"#,
        "<html>",
    ] {
        assert_eq!(KeySet::parse(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(set(&vec![a.as_str(); MOST + 1].join(",")), None);
    const MOST: usize = 100;
}

#[test]
fn nothing_of_a_key_is_shown() {
    let secret = Base64UrlUnpadded::encode_string(&[7; 48]);
    let shown = format!("{:?}", key(&format!(r#"{{"kty": "oct", "kid": "a", "k": "{secret}"}}"#)));
    assert_eq!(shown, "Ok(Key { kid: Some(\"a\"), .. })");
}
