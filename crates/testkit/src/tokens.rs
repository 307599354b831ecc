//! Tokens of issuers of the tests' own. The keys are public and good for nothing else.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const N: &str = "qMHe7nmSmEXt1eIjW32fuiRB1v5uYNDitKDG9a_LpBODh1OjTzZ0jNXVtq0WTb1qmBxYutw-5Xbk76LZpvJDBvvNqCYPpcVdAf8trxKHkEbghEoNOd59MGqQR5YXBSv8AUjn9ve0mUTiYJKRUR2-OdEYHB4VsQ5MPSg3ob_Y5QjH7pUbd-5jWk9WykhIRdO0FV9KNwJsPSTwAQFJg5BkJXh-prTBBzSF6ApV8Ukeu6DQRZY8HvDDzANRwfCl3lFEv1VBIFLqw1tes5RAHGPD3hoK4Nf1PZDajUPRo8_MZ_6feCqF0SjumFo0RQCQ5SMhObV34zKrGKBeK9Rqm6lFgw";
const D: &str = "mmTE7GlNowLpp9cqppwRdAS37sPYpgQs0zlpqTkaTV4fUzAfuUa9f4nafOtw19OGe39zrl0bd0IYn7feIDqE86fZ_-qJZldh0qi2ENHQx2XH3q3hR0dZHSmGH_hoF0Dvqar3sw3tGpXY0BQjlgCyiOnWN1EF0JvEJHjd2p4qv17eYEiLiuetHFauCiHS_5EG4CKxvHxcxuyg8YSigOu0MHzIw2t228gNnxIVM5Bnlw3crmVaY3ok8DfgRIbLUhb2Y8NBIwBBuOXGFKRboIBZ0KSBXDOKrEKEHehOlYMnAVjfuarpkxa50qYLrrypvS8Ij6Vi63hJcfgr_l6OvS0h";
const P: &str = "3i92ZHANI8976roYbYfjFAHtKPWoP0v33idISKfQZNr5BGgj5ybbQCctt3a7JwkmCbGPTGb8KROdDti-Jv360jZeGvEp_AAPEDiyj8L_oRxT3EYkYjtxURVDPMBEYIhXpmlOlF7hNPVmJiEMzt-Jhr6DCAc3mTuDGdPOQpJ2LCE";
const Q: &str = "wnDNmwlq9pr4gFbQXUr6-0ABASbEUxEHTrxI9jeAsBVHD1K4Q1xLKOUHueWqbRskUtoCrtdyu9ZfmAaAvBiZR8YVmJenctoVMRILSmeZF98O_GaOrNTm4ktFrlmNvUi9Cxd605eY-4xfFJIdsgsTkTw7ARSVlW5IjCIH5WZRnSM";

/// A key to sign tokens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKey {
    /// RSA, 2048 bits; there is one.
    Rsa,
    /// P-256, made of this number.
    P256(u8),
    /// Ed25519, made of this number.
    Ed25519(u8),
    /// A shared secret of 64 bytes, each this number.
    Secret(u8),
}

impl SigningKey {
    /// The public half as a JWK, or the secret itself.
    #[must_use]
    pub fn jwk(self, kid: &str) -> Value {
        match self {
            Self::Rsa => json!({"kty": "RSA", "kid": kid, "n": N, "e": "AQAB"}),
            Self::P256(_) => {
                let point = self.p256().verifying_key().to_sec1_point(false);
                // Behind the byte that says "uncompressed".
                let (x, y) = point.as_bytes().split_at(1).1.split_at(32);
                json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": encoded(x), "y": encoded(y)})
            }
            Self::Ed25519(seed) => {
                let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encoded(key.verifying_key().as_bytes())})
            }
            Self::Secret(byte) => json!({"kty": "oct", "kid": kid, "k": encoded(&[byte; 64])}),
        }
    }

    /// A token of these claims under this header, as it stands: `alg` decides how it is signed, and may be a lie.
    ///
    /// # Panics
    /// If the key cannot sign so.
    #[must_use]
    pub fn sign(self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), claims.to_string().as_bytes())
    }

    /// The same of a header and a payload that may be no JSON.
    ///
    /// # Panics
    /// If the key cannot sign so.
    #[must_use]
    pub fn sign_text(self, header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", encoded(header.as_bytes()), encoded(payload));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", encoded(&signature))
    }

    fn signature(self, text: &[u8]) -> Vec<u8> {
        let digest = Sha256::digest(text);
        match self {
            Self::Rsa => {
                // DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1).
                let prefix = [
                    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
                    0x05, 0x00, 0x04, 0x20,
                ];
                rsa()
                    .sign(Pkcs1v15Sign { hash_len: Some(32), prefix: Box::new(prefix) }, &digest)
                    .expect("it signs")
            }
            Self::P256(_) => {
                let signature: p256::ecdsa::Signature = self.p256().sign_prehash(&digest).expect("it signs");
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(seed) => {
                ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).sign(text).to_bytes().to_vec()
            }
            Self::Secret(byte) => hmac(&[byte; 64], text),
        }
    }

    fn p256(self) -> p256::ecdsa::SigningKey {
        let Self::P256(number) = self else { panic!("another kind of key") };
        p256::ecdsa::SigningKey::from_slice(&[number.max(1); 32]).expect("a number below the order")
    }
}

/// A key set of these keys.
#[must_use]
pub fn key_set(keys: &[(SigningKey, &str)]) -> Value {
    json!({"keys": keys.iter().map(|(key, kid)| key.jwk(kid)).collect::<Vec<_>>()})
}

/// HMAC-SHA-256, for signed requests.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[must_use]
pub fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Base64url without padding.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn rsa() -> PrivateKey {
    let number = |text: &str| {
        BoxedUint::from_be_slice_vartime(&Base64UrlUnpadded::decode_vec(text).expect("it is base64url"))
    };
    PrivateKey::from_components(number(N), BoxedUint::from(65_537_u32), number(D), vec![number(P), number(Q)])
        .expect("the key is sound")
}
