//! Envoy's own cryptography (BoringSSL): many times faster than anything in a module.

use std::cell::Cell;

use tidegate_filter_api::Host;

use super::Crypto;
use crate::algorithm::Hash;

/// Envoy's function `verify_signature`; a host that once did not offer it is not asked again.
pub struct EnvoyCrypto<'h> {
    host: &'h dyn Host,
    offered: &'h Cell<bool>,
}

impl<'h> EnvoyCrypto<'h> {
    /// The cryptography of `host`. `offered` begins as true and is kept between requests.
    #[must_use]
    pub fn new(host: &'h dyn Host, offered: &'h Cell<bool>) -> Self {
        Self { host, offered }
    }
}

impl Crypto for EnvoyCrypto<'_> {
    fn verify(&self, hash: Hash, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        if !self.offered.get() {
            return None;
        }
        let name: &[u8] = match hash {
            Hash::Sha256 => b"sha256",
            Hash::Sha384 => b"sha384",
            Hash::Sha512 => b"sha512",
        };
        // `message VerifySignatureArguments`: hash function, public key, signature, text.
        let mut arguments = Vec::with_capacity(key.len() + signature.len() + text.len() + 32);
        for (number, content) in [(1, name), (2, key), (3, signature), (4, text)] {
            field(&mut arguments, number, content);
        }
        match self.host.call_foreign("verify_signature", &arguments) {
            Ok(result) => Some(is_true(&result)),
            Err(_) => {
                self.offered.set(false);
                None
            }
        }
    }
}

/// `message VerifySignatureResult { bool result = 1; string error = 2; }`: whether the first field is true. The function
/// writes it first or leaves it out.
fn is_true(result: &[u8]) -> bool {
    result.starts_with(&[0x08, 0x01])
}

fn field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = content.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or(0));
    message.extend(content);
}
