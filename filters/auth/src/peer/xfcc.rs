//! `x-forwarded-client-cert` (Envoy's "HTTP header manipulation" page): elements separated by commas, one for each proxy on
//! the way; pairs separated by semicolons; values in double quotes where they hold either, with `\"` for a quote.

/// A header that does not follow the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whom the proxy that is our `peer` forwards: the URI in the last element, which that proxy added itself. Elements before
/// it are what others claimed.
///
/// An Envoy that appends (`APPEND_FORWARD`, as beside every workload of Istio's) has put one more behind it before any filter
/// sees the header: the peer's own. It says nothing of whom the peer forwards, so the one before it counts.
pub(super) fn forwarded_uri(values: &[&[u8]], peer: Option<&[u8]>) -> Result<Option<Vec<u8>>, Malformed> {
    let mut elements = Vec::new();
    for value in values {
        elements.extend(split(value, b',')?);
    }
    let last = uri(elements.pop().ok_or(Malformed)?)?;
    if last.is_none() || last.as_deref() != peer {
        return Ok(last);
    }
    elements.pop().map_or(Ok(None), uri)
}

/// The URI in one element.
fn uri(element: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
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
        forwarded_uri(&values, Some(b"spiffe://d/gateway"))
            .map(|uri| uri.map(|uri| String::from_utf8(uri).unwrap()))
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
            // What this Envoy added of the gateway itself.
            (&["By=x;URI=spiffe://d/w,By=y;URI=spiffe://d/gateway"], Some("spiffe://d/w")),
            (&["By=x;URI=spiffe://d/w", "By=y;URI=spiffe://d/gateway"], Some("spiffe://d/w")),
            (&["By=x;Hash=ab,By=y;URI=spiffe://d/gateway"], None),
            (&["By=y;URI=spiffe://d/gateway"], None),
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
