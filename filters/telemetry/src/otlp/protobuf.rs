//! Protocol buffers on the wire, as far as OTLP needs them.
//!
//! Messages are written by hand: a dozen fields of the signals are ever used, and a schema's code for all of them would
//! be larger than this filter.

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    /// The message's bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn varint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.raw_varint(value);
    }

    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, BYTES);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A string: what is not UTF-8 is replaced, since a receiver refuses the whole message for it.
    pub(crate) fn text(&mut self, field: u32, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(_) => self.bytes(field, value),
            Err(_) => self.bytes(field, String::from_utf8_lossy(value).as_bytes()),
        }
    }

    /// A message within this one.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// The beginning of a message within this one whose fields, so many bytes, are written next.
    pub(crate) fn begin(&mut self, field: u32, length: usize) {
        self.tag(field, BYTES);
        self.raw_varint(length as u64);
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.raw_varint(u64::from(field << 3 | wire));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// How many bytes a length-prefixed field takes whose number is below 16.
pub(crate) fn field_len(length: usize) -> usize {
    let bits = usize::BITS - (length | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + length
}

/// What one field of a message holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Field<'m> {
    /// A varint.
    Number(u64),
    /// A string, bytes or message.
    Bytes(&'m [u8]),
}

/// The first field of this number, if the message can be read up to it.
pub(crate) fn find(mut message: &[u8], wanted: u64) -> Option<Field<'_>> {
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let field = match tag & 7 {
            0 => Some(Field::Number(take_varint(&mut message)?)),
            1 => take(&mut message, 8).map(|_| None)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                Some(Field::Bytes(take(&mut message, length)?))
            }
            5 => take(&mut message, 4).map(|_| None)?,
            _ => return None,
        };
        if let Some(field) = field.filter(|_| tag >> 3 == wanted) {
            return Some(field);
        }
    }
    None
}

fn take<'m>(message: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(message, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_on_the_wire_as_the_encoding_says() {
        let mut message = Message::default();
        message.varint(1, 150);
        message.text(2, b"testing");
        message.fixed64(3, 1);
        message.fixed32(16, 1);
        message.message(4, |inner| inner.varint(1, 0));
        let expected: &[u8] =
            b"\x08\x96\x01\x12\x07testing\x19\x01\0\0\0\0\0\0\0\x85\x01\x01\0\0\0\x22\x02\x08\0";
        assert_eq!(message.into_bytes(), expected);
    }

    #[test]
    fn text_is_always_utf8() {
        let mut message = Message::default();
        message.text(1, b"a\xff");
        assert_eq!(message.into_bytes(), "\x0a\x04a\u{fffd}".as_bytes());
    }

    #[test]
    fn the_length_of_a_field_is_known_before_it_is_written() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 300_000] {
            let mut message = Message::default();
            message.bytes(2, &vec![0; length]);
            assert_eq!(field_len(length), message.into_bytes().len(), "{length}");
        }
    }

    #[test]
    fn a_field_is_found_behind_others() {
        let mut message = Message::default();
        message.fixed64(7, 1);
        message.fixed32(8, 1);
        message.message(1, |inner| inner.varint(1, 300));
        let bytes = message.into_bytes();
        let Some(Field::Bytes(inner)) = find(&bytes, 1) else { panic!("not found") };
        assert_eq!(find(inner, 1), Some(Field::Number(300)));
        assert_eq!(find(&bytes, 2), None);
    }

    #[test]
    fn what_is_no_message_has_no_fields() {
        for bytes in [&b"\xff"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\x0b\x01", b"{}", &[0xff; 20]] {
            assert_eq!(find(bytes, 1), None, "{bytes:?}");
        }
    }
}
