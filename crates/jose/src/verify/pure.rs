//! Verification in pure Rust: what the host's cryptography lacks, and everything on hosts that offer none.
//!
//! Only public keys and HMAC secrets pass here, so RUSTSEC-2023-0071 (timing of RSA's private operation) does not apply.

use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, PublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::algorithm::{Curve, Hash};

fn digest(hash: Hash, text: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(text).to_vec(),
        Hash::Sha384 => Sha384::digest(text).to_vec(),
        Hash::Sha512 => Sha512::digest(text).to_vec(),
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
    let (modulus, exponent) =
        (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
    PublicKey::new(modulus, exponent).ok()
}

/// RFC 8017 section 8.2.2.
pub(super) fn pkcs1v15(modulus: &[u8], exponent: &[u8], hash: Hash, text: &[u8], signature: &[u8]) -> bool {
    /// `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1): identifier and length of the hash.
    fn prefix(identifier: u8, size: u8) -> Box<[u8]> {
        let total = 17 + size;
        Box::new([
            0x30, total, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, identifier,
            0x05, 0x00, 0x04, size,
        ])
    }
    let prefix = match hash {
        Hash::Sha256 => prefix(1, 32),
        Hash::Sha384 => prefix(2, 48),
        Hash::Sha512 => prefix(3, 64),
    };
    let scheme = Pkcs1v15Sign { hash_len: Some(hash.size()), prefix };
    rsa_key(modulus, exponent).is_some_and(|key| key.verify(scheme, &digest(hash, text), signature).is_ok())
}

/// RFC 8017 section 8.1.2, with a salt as long as the hash (RFC 7518 section 3.5).
pub(super) fn pss(modulus: &[u8], exponent: &[u8], hash: Hash, text: &[u8], signature: &[u8]) -> bool {
    let Some(key) = rsa_key(modulus, exponent) else { return false };
    let digest = digest(hash, text);
    let verified = match hash {
        Hash::Sha256 => key.verify(Pss::<Sha256>::new(), &digest, signature),
        Hash::Sha384 => key.verify(Pss::<Sha384>::new(), &digest, signature),
        Hash::Sha512 => key.verify(Pss::<Sha512>::new(), &digest, signature),
    };
    verified.is_ok()
}

/// One function for each curve: the crates share no type.
macro_rules! curve {
    ($curve:ident, $verify:ident, $is_on:ident) => {
        fn $verify(point: &[u8], digest: &[u8], signature: &[u8]) -> bool {
            use $curve::ecdsa::signature::hazmat::PrehashVerifier;
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(point);
            let signature = $curve::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
        }

        fn $is_on(point: &[u8]) -> bool {
            $curve::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok()
        }
    };
}

curve!(p256, verify_p256, is_on_p256);
curve!(p384, verify_p384, is_on_p384);
curve!(p521, verify_p521, is_on_p521);

/// FIPS 186-5 section 6.4.2.
pub(super) fn ecdsa(curve: Curve, point: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let digest = digest(curve.hash(), text);
    match curve {
        Curve::P256 => verify_p256(point, &digest, signature),
        Curve::P384 => verify_p384(point, &digest, signature),
        Curve::P521 => verify_p521(point, &digest, signature),
    }
}

/// Whether a point in SEC1's uncompressed form is one of the curve's.
pub(crate) fn point_is_on_curve(curve: Curve, point: &[u8]) -> bool {
    match curve {
        Curve::P256 => is_on_p256(point),
        Curve::P384 => is_on_p384(point),
        Curve::P521 => is_on_p521(point),
    }
}

/// RFC 8032 section 5.1.7; keys and points of small order are refused.
pub(super) fn ed25519(point: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(point), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(text, &signature).is_ok()
}

/// The code of `text` (RFC 2104).
#[must_use]
pub fn hmac(hash: Hash, secret: &[u8], text: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => mac::<Hmac<Sha256>>(secret, text).map(|mac| mac.finalize().into_bytes().to_vec()),
        Hash::Sha384 => mac::<Hmac<Sha384>>(secret, text).map(|mac| mac.finalize().into_bytes().to_vec()),
        Hash::Sha512 => mac::<Hmac<Sha512>>(secret, text).map(|mac| mac.finalize().into_bytes().to_vec()),
    }
    .unwrap_or_default()
}

/// Whether `code` is that of `text`, all of it, compared in constant time.
#[must_use]
pub fn hmac_is(hash: Hash, secret: &[u8], text: &[u8], code: &[u8]) -> bool {
    match hash {
        Hash::Sha256 => mac::<Hmac<Sha256>>(secret, text).is_some_and(|mac| mac.verify_slice(code).is_ok()),
        Hash::Sha384 => mac::<Hmac<Sha384>>(secret, text).is_some_and(|mac| mac.verify_slice(code).is_ok()),
        Hash::Sha512 => mac::<Hmac<Sha512>>(secret, text).is_some_and(|mac| mac.verify_slice(code).is_ok()),
    }
}

/// HMAC takes a key of any length, so this is never `None`.
fn mac<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(text);
    Some(mac)
}
