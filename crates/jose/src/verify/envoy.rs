//! Envoy's own cryptography (BoringSSL): many times faster than anything in a module.

use std::cell::Cell;

use tidegate_filter_api::Host;
use tidegate_protobuf::{Message, Value, fields};

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
        let mut arguments = Message::new();
        arguments.bytes(1, name).bytes(2, key).bytes(3, signature).bytes(4, text);
        match self.host.call_foreign("verify_signature", &arguments.into_bytes()) {
            Ok(result) => Some(is_true(&result)),
            Err(_) => {
                self.offered.set(false);
                None
            }
        }
    }
}

/// `message VerifySignatureResult { bool result = 1; string error = 2; }`
fn is_true(result: &[u8]) -> bool {
    fields(result).any(|field| field == Ok((1, Value::Varint(1))))
}
