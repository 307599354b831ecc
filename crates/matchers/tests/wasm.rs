//! The readings of a path are the same on wasm32 as natively.
use tidegate_matchers::{is_ambiguous, normalise};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn paths_are_read_alike() {
    assert_eq!(normalise(b"//a/%2e%2e/b?c").as_ref(), b"/b");
    assert!(is_ambiguous(b"/a%2fb"));
    assert!(!is_ambiguous(b"/a%20b"));
}
