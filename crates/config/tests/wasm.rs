//! The same answers on wasm32, where `usize` has 32 bits, as natively.
use tidegate_config::{Cidr, Duration, Sha256Digest, decode};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn values_decode() {
    assert_eq!(decode::<Duration>(br#""3650d""#).unwrap().as_nanos(), 315_360_000_000_000_000);
    assert!(decode::<Duration>(br#""3651d""#).is_err());
    assert!(decode::<Cidr>(br#""2001:db8::/32""#).unwrap().contains("2001:db8::1".parse().unwrap()));
    assert_eq!(decode::<Vec<bool>>(b"[true, 1, null]").unwrap_err().iter().count(), 2);
    assert_eq!(Sha256Digest::from_hex(&"a5".repeat(32)).unwrap().as_bytes(), &[0xa5; 32]);
}

#[wasm_bindgen_test(unsupported = test)]
fn deep_documents_are_refused_before_the_stack_ends() {
    assert!(decode::<bool>("[".repeat(1_000_000).as_bytes()).is_err());
}
