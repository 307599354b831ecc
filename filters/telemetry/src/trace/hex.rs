//! Identifiers as lower-case hexadecimal digits: upper case is malformed in every format that is read here.

/// Reads exactly `N` bytes.
pub(crate) fn read<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Writes bytes behind what is there.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend(
            [byte >> 4, byte & 0xf].map(|digit| if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }),
        );
    }
}

/// The text of an identifier.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    write(bytes, &mut out);
    out
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_and_written() {
        assert_eq!(read::<3>(b"00ff1a"), Some([0, 0xff, 0x1a]));
        assert_eq!(text(&[0, 0xff, 0x1a]), b"00ff1a");
        for malformed in [&b"00ff1"[..], b"00ff1a00", b"00FF1A", b"00fg1a", b"", b" 0ff1a"] {
            assert_eq!(read::<3>(malformed), None, "{malformed:?}");
        }
    }
}
