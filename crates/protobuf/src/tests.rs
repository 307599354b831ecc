use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
    fields(bytes).collect()
}

#[test]
fn the_examples_of_the_encoding_guide_are_read_and_written() {
    // `a: 150`, `b: "testing"`, and a message that holds the first.
    let mut inner = Message::new();
    inner.varint(1, 150);
    assert_eq!(inner.clone().into_bytes(), b"\x08\x96\x01");
    let mut text = Message::new();
    text.bytes(2, b"testing");
    assert_eq!(text.into_bytes(), b"\x12\x07testing");
    let mut outer = Message::new();
    outer.message(3, &inner);
    assert_eq!(outer.into_bytes(), b"\x1a\x03\x08\x96\x01");
    assert_eq!(read(b"\x1a\x03\x08\x96\x01"), Ok(vec![(3, Value::Bytes(b"\x08\x96\x01"))]));
}

#[test]
fn what_is_no_message_is_malformed_and_ends() {
    for bytes in [
        &b"\x08"[..],
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x12\x05abc",
        b"\x0b",
        b"\x00\x01",
        b"\x11\0\0",
        b"\x15\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01",
    ] {
        assert_eq!(read(bytes), Err(Malformed), "{}", bytes.escape_ascii());
        let behind_the_fault = fields(bytes).skip_while(Result::is_ok).nth(1);
        assert_eq!(behind_the_fault, None);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        number in 1_u32..(1 << 29), varint: u64, fixed: u64, bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        let mut message = Message::new();
        message.varint(number, varint).fixed64(number, fixed).bytes(number, &bytes);
        let bytes_of_message = message.into_bytes();
        let expected = vec![
            (number, Value::Varint(varint)), (number, Value::Fixed64(fixed)), (number, Value::Bytes(&bytes)),
        ];
        prop_assert_eq!(read(&bytes_of_message), Ok(expected));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&bytes);
    }
}
