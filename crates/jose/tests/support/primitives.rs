//! Wycheproof's vectors for RSA, ECDSA and Ed25519.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;
use tidegate_jose::{Algorithm, Curve, Hash, Jwk, Key, parse_object};
use wycheproof_ng_rsa_signature::{rsa_pkcs1_verify, rsa_pss_verify};

use super::Case;

fn key(jwk: &str) -> Option<Key> {
    Jwk::from_json(&parse_object(jwk.as_bytes())?).and_then(|jwk| Key::new(&jwk)).ok()
}

fn encoded(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The cases of one file of vectors, read as JSON: the crates' types differ in what they keep.
fn file(json: &str, algorithm: Algorithm, jwk: impl Fn(&Value) -> String) -> Vec<Case> {
    let file: Value = serde_json::from_str(json).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let jwk = jwk(group);
        let key = key(&jwk);
        for test in group["tests"].as_array().unwrap() {
            let hex = |name: &str| unhex(test[name].as_str().unwrap());
            // What "may be accepted" is told by strictness, not by the vector.
            let strict = test["result"] == "valid";
            cases.push(Case {
                name: format!("{algorithm} {} {}", test["tcId"], test["comment"]),
                key: key.clone(),
                jwk: jwk.clone(),
                algorithm,
                text: hex("msg"),
                signature: hex("sig"),
                valid: strict,
            });
        }
    }
    cases
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn rsa_jwk(group: &Value) -> String {
    let number = |name: &str| {
        let hex = group["publicKey"][name].as_str().unwrap();
        let bytes = unhex(&if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.to_owned() });
        encoded(&bytes)
    };
    format!(r#"{{"kty": "RSA", "n": "{}", "e": "{}"}}"#, number("modulus"), number("publicExponent"))
}

/// RSASSA-PKCS1-v1_5 with SHA-2.
pub(crate) fn pkcs1v15() -> impl Iterator<Item = Case> {
    use rsa_pkcs1_verify::TestName::{
        Rsa2048Sha256, Rsa2048Sha384, Rsa2048Sha512, Rsa3072Sha256, Rsa3072Sha384, Rsa3072Sha512,
        Rsa4096Sha256, Rsa4096Sha384, Rsa4096Sha512, Rsa8192Sha256, Rsa8192Sha384, Rsa8192Sha512,
    };
    let files = [
        (Rsa2048Sha256, Hash::Sha256),
        (Rsa2048Sha384, Hash::Sha384),
        (Rsa2048Sha512, Hash::Sha512),
        (Rsa3072Sha256, Hash::Sha256),
        (Rsa3072Sha384, Hash::Sha384),
        (Rsa3072Sha512, Hash::Sha512),
        (Rsa4096Sha256, Hash::Sha256),
        (Rsa4096Sha384, Hash::Sha384),
        (Rsa4096Sha512, Hash::Sha512),
        (Rsa8192Sha256, Hash::Sha256),
        (Rsa8192Sha384, Hash::Sha384),
        (Rsa8192Sha512, Hash::Sha512),
    ];
    files.into_iter().flat_map(|(name, hash)| file(name.json_data(), Algorithm::Rs(hash), rsa_jwk))
}

/// RSASSA-PSS with a salt as long as the hash.
pub(crate) fn pss() -> impl Iterator<Item = Case> {
    use rsa_pss_verify::TestName;
    let files = [
        ("rsa_pss_2048_sha256_mgf1_32", Hash::Sha256),
        ("rsa_pss_3072_sha256_mgf1_32", Hash::Sha256),
        ("rsa_pss_4096_sha256_mgf1_32", Hash::Sha256),
        ("rsa_pss_2048_sha384_mgf1_48", Hash::Sha384),
        ("rsa_pss_4096_sha384_mgf1_48", Hash::Sha384),
        ("rsa_pss_4096_sha512_mgf1_64", Hash::Sha512),
    ];
    files.into_iter().flat_map(|(name, hash)| {
        let name: TestName = name.parse().unwrap();
        file(name.json_data(), Algorithm::Ps(hash), rsa_jwk)
    })
}

/// ECDSA with `r || s`.
pub(crate) fn ecdsa() -> impl Iterator<Item = Case> {
    use wycheproof_ng_ecdsa::TestName::{
        EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363, EcdsaSecp521r1Sha512P1363,
    };
    let files = [
        (EcdsaSecp256r1Sha256P1363, Curve::P256, "P-256"),
        (EcdsaSecp384r1Sha384P1363, Curve::P384, "P-384"),
        (EcdsaSecp521r1Sha512P1363, Curve::P521, "P-521"),
    ];
    files.into_iter().flat_map(|(name, curve, crv)| {
        file(name.json_data(), Algorithm::Es(curve), move |group| {
            let point = unhex(group["publicKey"]["uncompressed"].as_str().unwrap());
            let (x, y) = point[1..].split_at(curve.size());
            format!(r#"{{"kty": "EC", "crv": "{crv}", "x": "{}", "y": "{}"}}"#, encoded(x), encoded(y))
        })
    })
}

/// Ed25519.
pub(crate) fn ed25519() -> impl Iterator<Item = Case> {
    let json = wycheproof_ng_eddsa::TestName::Ed25519.json_data();
    file(json, Algorithm::EdDsa, |group| {
        let x = encoded(&unhex(group["publicKey"]["pk"].as_str().unwrap()));
        format!(r#"{{"kty": "OKP", "crv": "Ed25519", "x": "{x}"}}"#)
    })
    .into_iter()
}
