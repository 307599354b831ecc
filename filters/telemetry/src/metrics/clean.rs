//! Label values as they may stand in the name of a metric.

/// What a label shows where there is no value.
pub(crate) const UNKNOWN: &[u8] = b"unknown";
/// What it shows for a value that is not on its list, or that is several.
pub(crate) const OTHER: &[u8] = b"other";
/// What each label of an overflow series shows.
pub(crate) const OVERFLOW: &[u8] = b"__overflow__";

/// A longer label value is cut.
const LONGEST: usize = 64;

/// Writes a value so that it cannot forge a label: without the bytes that mark labels in a name, without controls, in
/// ASCII.
pub(crate) fn write(value: &[u8], out: &mut Vec<u8>) {
    let value = value.get(..LONGEST).unwrap_or(value);
    if value.is_empty() {
        return out.extend_from_slice(UNKNOWN);
    }
    let start = out.len();
    out.extend_from_slice(value);
    let written = out.get_mut(start..).unwrap_or_default();
    let mut dots = false;
    for byte in written.iter_mut() {
        if !is_clean(*byte) {
            *byte = b'_';
        }
        dots |= *byte == b'.';
    }
    if dots {
        hide_from_meshes(written);
    }
    // What begins so is this filter's own word: no client can write into an overflow series.
    if let Some(first) = written.first_chunk_mut::<2>().filter(|start| **start == *b"__") {
        *first = *b"-_";
    }
}

fn is_clean(byte: u8) -> bool {
    byte < 128 && CLEAN >> byte & 1 == 1
}

/// A bit for each byte of ASCII that may stand in a value.
const CLEAN: u128 = {
    let mut clean = 0;
    let mut byte = 0_u8;
    while byte < 128 {
        let punctuation =
            matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b' ' | b'@' | b'+' | b'{' | b'}' | b'*' | b',');
        if byte.is_ascii_alphanumeric() || punctuation {
            clean |= 1 << byte;
        }
        byte += 1;
    }
    clean
};

/// Istio's bootstrap looks for these anywhere in a name, and takes them for labels of its own: `cache.example.com` would
/// lose its middle. Their dots become `_`.
fn hide_from_meshes(value: &mut [u8]) {
    const BEFORE_A_DOT: [&[u8]; 5] = [b"cache", b"component", b"tag", b"wasm_filter", b"rbac"];
    const BEHIND_A_DOT: [&[u8]; 2] = [b"istio_dry_run_", b"shadow_"];
    for at in 0..value.len() {
        let Some((before, rest)) = value.split_at_checked(at) else { return };
        let Some((b'.', behind)) = rest.split_first() else { continue };
        let found = BEFORE_A_DOT.iter().any(|word| before.ends_with(word))
            || BEHIND_A_DOT.iter().any(|word| behind.starts_with(word));
        if found && let Some(dot) = value.get_mut(at) {
            *dot = b'_';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(value: &[u8]) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_cannot_forge_a_label() {
        assert_eq!(cleaned(b"a;.;code=.=2xx;.;m\n\xff\""), "a_._code_._2xx_._m___");
        assert_eq!(cleaned(OVERFLOW), "-_overflow__");
        assert_eq!(cleaned(b"\x01\xffoverflow__"), "-_overflow__");
        assert_eq!(cleaned(b""), "unknown");
        assert_eq!(cleaned(&[b'x'; 200]).len(), LONGEST);
        assert_eq!(cleaned(b"/users/{id}/{*rest}"), "/users/{id}/{*rest}");
    }

    #[test]
    fn a_value_cannot_forge_a_label_of_a_mesh() {
        for (value, expected) in [
            ("cache.example.com", "cache_example.com"),
            ("x-rbac.denied", "x-rbac_denied"),
            ("a.shadow_allowed", "a_shadow_allowed"),
            ("tag.component.x", "tag_component_x"),
            ("shop.example.com", "shop.example.com"),
        ] {
            assert_eq!(cleaned(value.as_bytes()), expected);
        }
    }
}
