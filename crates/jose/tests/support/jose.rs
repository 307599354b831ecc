//! Wycheproof's vectors for JSON Web Signatures.

use serde_json::{Map, Value};
use tidegate_jose::{Crypto, Jwk, Key, KeySet, Token, parse_object, verify};
use wycheproof_ng_kdf_jose::json_web::TestName;

/// A token, its key as a JWK or key set, and whether it is to be accepted.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) token: String,
    pub(crate) valid: bool,
}

/// Vectors that this implementation answers otherwise, and why.
pub(crate) const DISAGREEMENTS: [&str; 6] = [
    // Valid, it says, although the token's algorithm is PS384 and the key's PS256: keys are bound to their algorithm.
    "346 Figure20",
    "350 Figure20",
    // Invalid, it says, but the token is that of "357 ValidMac": the padding that was to be wrong is not in the file.
    "367 invalidBase64Padding",
    "370 invalidBase64PaddingInPayload",
    // Valid, it says, with a "?" within base64url, which lenient decoders skip.
    "372 InvalidCharacterInsertedInHeader",
    "373 InvalidCharacterInsertedInPayload",
];

/// The vectors for signatures.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    read(TestName::JsonWebSignature)
}

/// The vectors for keys and key sets.
pub(crate) fn key_cases() -> impl Iterator<Item = Case> {
    read(TestName::JsonWebKey)
}

fn read(name: TestName) -> impl Iterator<Item = Case> {
    let file: Value = serde_json::from_str(name.json_data()).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        // Of a shared secret there is no public half.
        let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        for test in group["tests"].as_array().unwrap() {
            let token = match &test["jws"] {
                Value::String(compact) => compact.clone(),
                // In JSON serialisation, which is no token.
                other => other.to_string(),
            };
            cases.push(Case {
                name: format!("{} {}", test["tcId"], test["comment"].as_str().unwrap_or_default()),
                key: key.to_string(),
                token,
                valid: test["result"] == "valid",
            });
        }
    }
    cases.into_iter()
}

/// The usable keys of a JWK or key set.
pub(crate) fn keys(json: &str) -> Vec<Key> {
    let Some(document) = parse_object(json.as_bytes()) else { return Vec::new() };
    let list: Vec<&Map<String, Value>> = match document.get("keys") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        _ => vec![&document],
    };
    list.into_iter().filter_map(|jwk| Key::new(&Jwk::from_json(jwk).ok()?).ok()).collect()
}

/// Whether a token is accepted with the key, or with the key set as if it had been fetched.
pub(crate) fn accepts_fetched(key: &str, token: &str, crypto: &dyn Crypto) -> bool {
    if !key.contains("\"keys\"") {
        return accepts(key, token, crypto);
    }
    let Some(keys) = KeySet::parse(key.as_bytes()) else { return false };
    accepted(&keys, token, crypto)
}

/// Whether a token is accepted with these keys.
pub(crate) fn accepts(key: &str, token: &str, crypto: &dyn Crypto) -> bool {
    accepted(&KeySet::new(keys(key)), token, crypto)
}

fn accepted(keys: &KeySet, token: &str, crypto: &dyn Crypto) -> bool {
    let Ok(token) = Token::parse(token.as_bytes()) else { return false };
    let algorithm = token.header().algorithm;
    keys.candidates(token.header())
        .any(|key| verify(key, algorithm, token.signed(), token.signature(), crypto))
}
