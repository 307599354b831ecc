//! A key that was checked: what it is good for is fixed here, not by the token.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tidegate_config::Secret;

use crate::algorithm::{Algorithm, Curve};
use crate::base64::base64url;
use crate::der;
use crate::fault::KeyFault;
use crate::jwk::Jwk;
use crate::verify::point_is_on_curve;

/// A public key or shared secret to verify signatures with.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    pub(crate) material: Material,
    identity: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// Big-endian numbers without leading zeros, and the DER of both.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
        spki: Vec<u8>,
    },
    /// A point in SEC1's uncompressed form, and the DER of it.
    Ec {
        curve: Curve,
        point: Vec<u8>,
        spki: Vec<u8>,
    },
    Ed25519([u8; 32]),
    Secret(Secret),
}

/// NIST SP 800-131A allows no RSA below 2048 bits; above 8192 a signature costs more than a request.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl Key {
    /// Checks what a key set says of a key.
    ///
    /// # Errors
    /// If it cannot be used, and why.
    pub fn new(jwk: &Jwk) -> Result<Self, KeyFault> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyFault::Use);
        }
        if jwk.key_ops.as_ref().is_some_and(|operations| !allows_verifying(operations)) {
            return Err(KeyFault::Use);
        }
        let material = Material::new(jwk)?;
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            // A slip so common that RFC 7520's keys carry it: P-521 goes with SHA-512.
            Some("ES521") => Some(Algorithm::Es(Curve::P521)),
            Some(name) => Some(Algorithm::from_name(name).ok_or(KeyFault::Algorithm)?),
        };
        let identity = Sha256::new()
            .chain_update(material.bytes())
            .chain_update([0])
            .chain_update(algorithm.map_or("", Algorithm::name))
            .finalize()
            .into();
        let key = Self { kid: jwk.kid.clone(), algorithm, material, identity };
        if !Algorithm::all().any(|algorithm| key.is_for(algorithm)) {
            return Err(KeyFault::Algorithm);
        }
        Ok(key)
    }

    /// The name that tokens call it by.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// A digest of the key and its algorithm: what was verified by it may be believed while the set holds it.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Whether the key may verify signatures of this algorithm: of the only one, if it names one, else of those of its
    /// type (RFC 8725 section 3.1).
    #[must_use]
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = match (&self.material, algorithm) {
            (Material::Rsa { .. }, Algorithm::Rs(_) | Algorithm::Ps(_)) => true,
            (Material::Ec { curve, .. }, Algorithm::Es(wanted)) => *curve == wanted,
            (Material::Ed25519(_), Algorithm::EdDsa) => true,
            // RFC 7518 section 3.2: a key as long as the hash at least.
            (Material::Secret(secret), Algorithm::Hs(hash)) => secret.as_bytes().len() >= hash.size(),
            _ => false,
        };
        fits && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether it is a shared secret.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        matches!(self.material, Material::Secret(_))
    }
}

/// The name only: not even a public key is anybody's business in a log.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// RFC 7517 section 4.3: no operation twice.
fn allows_verifying(operations: &[String]) -> bool {
    let twice = operations
        .iter()
        .enumerate()
        .any(|(index, operation)| operations.iter().take(index).any(|earlier| earlier == operation));
    !twice && operations.iter().any(|operation| operation == "verify")
}

impl Material {
    fn new(jwk: &Jwk) -> Result<Self, KeyFault> {
        match jwk.kty.as_str() {
            "RSA" => rsa(member(&jwk.n)?, member(&jwk.e)?),
            "EC" => {
                let curve = jwk.crv.as_deref().and_then(Curve::from_name).ok_or(KeyFault::Type)?;
                let (x, y) = (member(&jwk.x)?, member(&jwk.y)?);
                if x.len() != curve.size() || y.len() != curve.size() {
                    return Err(KeyFault::Encoding);
                }
                let point = [&[4], x.as_slice(), &y].concat();
                if !point_is_on_curve(curve, &point) {
                    return Err(KeyFault::Point);
                }
                let spki = der::ec_key(curve, &point);
                Ok(Self::Ec { curve, point, spki })
            }
            "OKP" if jwk.crv.as_deref() == Some("Ed25519") => {
                let x = member(&jwk.x)?.try_into().map_err(|_| KeyFault::Encoding)?;
                Ok(Self::Ed25519(x))
            }
            "oct" => {
                let secret = jwk.k.clone().ok_or(KeyFault::Member)?;
                if secret.as_bytes().len() < 32 {
                    return Err(KeyFault::Weak);
                }
                Ok(Self::Secret(secret))
            }
            _ => Err(KeyFault::Type),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Rsa { spki, .. } | Self::Ec { spki, .. } => spki,
            Self::Ed25519(x) => x,
            Self::Secret(secret) => secret.as_bytes(),
        }
    }
}

fn member(text: &Option<String>) -> Result<Vec<u8>, KeyFault> {
    let text = text.as_ref().ok_or(KeyFault::Member)?;
    base64url(text.as_bytes()).ok_or(KeyFault::Encoding)
}

fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Result<Material, KeyFault> {
    // Some issuers write a leading zero, against RFC 7518 section 6.3.1.1: the number is the same.
    let (modulus, exponent) = (without_zeros(&modulus), without_zeros(&exponent));
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    // Exponents above 32 bits are refused by other implementations as well; 1 makes a signature of any message.
    let sound = RSA_BITS.contains(&bits)
        && odd(modulus)
        && odd(exponent)
        && exponent.len() <= 4
        && exponent != [1]
        && !is_roca(modulus);
    if !sound {
        return Err(KeyFault::Weak);
    }
    let spki = der::rsa_key(modulus, exponent);
    Ok(Material::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec(), spki })
}

/// Whether the modulus was made by the library of CVE-2017-15361 (ROCA), whose primes are powers of 65537 modulo many small
/// primes: such keys can be factored.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u64; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
        103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
