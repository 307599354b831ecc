//! Raw bytes in text files: `\xff`.

use std::fmt::Write as _;

/// The bytes that `text` stands for: `\xNN` is one byte, everything else is itself, also a backslash.
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match escape(rest) {
            Some(value) => {
                bytes.push(value);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    bytes
}

fn escape(text: &[u8]) -> Option<u8> {
    let [b'\\', b'x', high, low] = text.first_chunk::<4>()? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// `bytes` as printable ASCII; every other byte as `\xff`.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}
