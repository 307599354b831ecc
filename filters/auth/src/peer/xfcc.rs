//! `x-forwarded-client-cert` (Envoy's "HTTP header manipulation" page): elements separated by commas, one for each proxy on
//! the way; pairs separated by semicolons; values in double quotes where they hold either, with `\"` for a quote.

/// A header that does not follow the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The URI in the last element: what the nearest proxy saw itself. Elements before it are what others claimed.
pub(super) fn last_uri(values: &[&[u8]]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut last = None;
    for value in values {
        for element in split(value, b',')? {
            last = Some(element);
        }
    }
    let Some(element) = last else { return Err(Malformed) };
    let mut uri = None;
    for pair in split(element, b';')? {
        let equals = pair.iter().position(|byte| *byte == b'=').ok_or(Malformed)?;
        let (key, value) = (pair.get(..equals).ok_or(Malformed)?, pair.get(equals + 1..).ok_or(Malformed)?);
        if key.trim_ascii().eq_ignore_ascii_case(b"uri") {
            // A certificate has one SPIFFE ID (X509-SVID section 2); of two it would be a guess which is meant.
            if uri.replace(unquoted(value.trim_ascii())?).is_some() {
                return Err(Malformed);
            }
        }
    }
    Ok(uri.filter(|uri| !uri.is_empty()))
}

/// The parts between separators that stand outside of quotes.
fn split(text: &[u8], separator: u8) -> Result<Vec<&[u8]>, Malformed> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                parts.push(text.get(start..index).ok_or(Malformed)?.trim_ascii());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).ok_or(Malformed)?.trim_ascii());
    if quoted || parts.iter().any(|part| part.is_empty()) { Err(Malformed) } else { Ok(parts) }
}

fn unquoted(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return if value.contains(&b'"') { Err(Malformed) } else { Ok(value.to_vec()) };
    };
    let inner = inner.strip_suffix(b"\"").ok_or(Malformed)?;
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for byte in inner {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return Err(Malformed),
            other => {
                escaped = false;
                plain.push(*other);
            }
        }
    }
    if escaped { Err(Malformed) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(values: &[&str]) -> Result<Option<String>, Malformed> {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        last_uri(&values).map(|uri| uri.map(|uri| String::from_utf8(uri).unwrap()))
    }

    #[test]
    fn the_nearest_proxy_counts() {
        for (values, expected) in [
            (&["By=spiffe://d/p;Hash=ab;URI=spiffe://d/w"][..], Some("spiffe://d/w")),
            (&["URI=spiffe://d/forged,By=x;URI=spiffe://d/w"], Some("spiffe://d/w")),
            (&["URI=spiffe://d/forged", "URI=spiffe://d/w"], Some("spiffe://d/w")),
            (&["Subject=\"CN=a,URI=spiffe://d/forged;x\\\"\";uri=\"spiffe://d/w\""], Some("spiffe://d/w")),
            (&["URI=spiffe://d/forged,By=x;Hash=ab"], None),
            (&["URI="], None),
        ] {
            assert_eq!(uri(values), Ok(expected.map(str::to_owned)), "{values:?}");
        }
    }

    #[test]
    fn what_is_malformed_names_nobody() {
        for values in [
            &[][..],
            &[""],
            &[","],
            &["URI=spiffe://d/a,"],
            &["URI=spiffe://d/a;"],
            &["URI"],
            &["Subject=\"open;URI=spiffe://d/a"],
            &["URI=spiffe://d/a;URI=spiffe://d/b"],
            &["URI=a\"b"],
            &["URI=\"a\"b\""],
            &["URI=\"a\\\""],
        ] {
            assert_eq!(uri(values), Err(Malformed), "{values:?}");
        }
    }
}
