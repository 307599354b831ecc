//! Lengths near the end of a 32-bit address space overflow nothing.
use tidegate_filter_api::HeaderBlock;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn lengths_that_overflow_are_malformed() {
    for count in [1_u32, 2, 0x1fff_ffff, 0x2000_0000, u32::MAX] {
        let mut buffer = count.to_le_bytes().to_vec();
        buffer.extend([0xff; 16]);
        assert!(HeaderBlock::new(buffer.into()).is_err(), "{count} pairs");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_block_gives_back_its_pairs() {
    let pairs = [(b":path".as_slice(), b"/".as_slice()), (b"x", b"\xff")];
    let block = HeaderBlock::from_pairs(pairs.into_iter());
    assert!(HeaderBlock::new(block.as_bytes().into()).unwrap().iter().eq(pairs));
}
