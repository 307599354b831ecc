//! Whether a signature is a key's.

mod envoy;
mod pure;

pub use envoy::EnvoyCrypto;
pub(crate) use pure::point_is_on_curve;
pub use pure::{hmac, hmac_is};

use crate::algorithm::{Algorithm, Hash};
use crate::der;
use crate::key::{Key, Material};

/// Cryptography of somebody else's, such as the host's.
pub trait Crypto {
    /// Whether `signature` over `text` is that of the key (DER, SubjectPublicKeyInfo): RSASSA-PKCS1-v1_5, or ECDSA with a
    /// DER signature. `None` where it cannot be asked.
    fn verify(&self, hash: Hash, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// Nobody else's: everything is verified in pure Rust.
#[derive(Debug, Clone, Copy)]
pub struct PureRust;

impl Crypto for PureRust {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// Whether `signature` over `text` is the key's by this algorithm. A key that is not for the algorithm verifies nothing.
#[must_use]
pub fn verify(key: &Key, algorithm: Algorithm, text: &[u8], signature: &[u8], crypto: &dyn Crypto) -> bool {
    if !key.is_for(algorithm) {
        return false;
    }
    match (&key.material, algorithm) {
        (Material::Rsa { modulus, exponent, spki }, Algorithm::Rs(hash)) => {
            // RFC 8017 section 8.2.2: exactly as long as the modulus.
            is_as_long_as(signature, modulus.len())
                && crypto
                    .verify(hash, spki, signature, text)
                    .unwrap_or_else(|| pure::pkcs1v15(modulus, exponent, hash, text, signature))
        }
        (Material::Rsa { modulus, exponent, .. }, Algorithm::Ps(hash)) => {
            is_as_long_as(signature, modulus.len()) && pure::pss(modulus, exponent, hash, text, signature)
        }
        (Material::Ec { curve, point, spki }, Algorithm::Es(_)) => {
            is_as_long_as(signature, 2 * curve.size())
                && crypto
                    .verify(curve.hash(), spki, &der::ecdsa_signature(signature), text)
                    .unwrap_or_else(|| pure::ecdsa(*curve, point, text, signature))
        }
        (Material::Ed25519(point), Algorithm::EdDsa) => pure::ed25519(point, text, signature),
        (Material::Secret(secret), Algorithm::Hs(hash)) => hmac_is(hash, secret.as_bytes(), text, signature),
        _ => false,
    }
}

fn is_as_long_as(signature: &[u8], size: usize) -> bool {
    signature.len() == size // no secret: a length
}
