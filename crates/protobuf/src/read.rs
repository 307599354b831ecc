//! Reading: a message is an iterator of fields, borrowed from its bytes.

use std::fmt;

/// A field's value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'b> {
    /// Integers, enums and booleans.
    Varint(u64),
    /// `fixed64`, and the bits of a `double`.
    Fixed64(u64),
    /// `fixed32`, and the bits of a `float`.
    Fixed32(u32),
    /// Strings, bytes, and messages within.
    Bytes(&'b [u8]),
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a protobuf message")
    }
}

impl std::error::Error for Malformed {}

/// The fields of a message in the order of the wire. Ends after the first [`Malformed`].
#[derive(Debug, Clone)]
pub struct Fields<'b> {
    rest: &'b [u8],
}

/// The fields of the message in `bytes`, with their numbers.
#[must_use]
pub fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u32, Value<'b>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'b> Fields<'b> {
    fn field(&mut self) -> Option<(u32, Value<'b>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.chunk()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (content, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(content)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.chunk()?)),
            // Groups (3 and 4) are out of use; 6 and 7 never were.
            _ => return None,
        };
        Some((number, value))
    }

    fn chunk<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (chunk, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*chunk)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
