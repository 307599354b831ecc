//! W3C Baggage: what travels along with a request, bounded (Recommendation of 1 October 2024, section 3).

use crate::redact;

/// What a sender must at least pass on (section 3.3.2), and the most that is passed on here.
const MOST_MEMBERS: usize = 64;
const MOST_BYTES: usize = 8_192;

/// What is to become of the `baggage` headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are fine as they are.
    Keep,
    /// This one instead of all of them.
    Set(Vec<u8>),
    /// Nothing is left.
    Remove,
}

/// Puts `own` members in front of those that came with the request. A member under a key of one's own is dropped even
/// where there is no value to put in its place: what stands there must not be a client's word. So are malformed members,
/// and those that no longer fit.
pub(crate) fn rewrite<'h>(
    received: impl Iterator<Item = &'h [u8]>,
    own: &[(&str, Option<Vec<u8>>)],
) -> Outcome {
    let mut list = List::default();
    let mut changed = false;
    for (key, value) in own {
        if let Some(value) = value {
            changed |= list.add(&encoded(key, value));
        }
    }
    let mut any = false;
    for member in received.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        any = true;
        // Keys are not escaped (section 3.2.1), but several libraries decode them all the same: to them `%74enant` is one.
        let mine = key(member).is_none_or(|found| {
            let plain = redact::decoded(found);
            own.iter().any(|(key, _)| key.as_bytes() == found || key.as_bytes() == &*plain)
        });
        changed |= mine || !list.add(member);
    }
    match (changed, list.text.is_empty()) {
        (false, _) => Outcome::Keep,
        (true, false) => Outcome::Set(list.text),
        (true, true) if any => Outcome::Remove,
        (true, true) => Outcome::Keep,
    }
}

#[derive(Default)]
struct List {
    text: Vec<u8>,
    members: usize,
}

impl List {
    /// Whether the member still fitted.
    fn add(&mut self, member: &[u8]) -> bool {
        if self.members >= MOST_MEMBERS || self.text.len() + member.len() + 1 > MOST_BYTES {
            return false;
        }
        if self.members > 0 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(member);
        self.members += 1;
        true
    }
}

/// `key=value` with everything escaped that may not stand in a value.
fn encoded(key: &str, value: &[u8]) -> Vec<u8> {
    let mut member = Vec::with_capacity(key.len() + value.len() + 1);
    member.extend_from_slice(key.as_bytes());
    member.push(b'=');
    for byte in value {
        if is_value_byte(*byte) && *byte != b'%' {
            member.push(*byte);
        } else {
            member.push(b'%');
            member.extend(
                [byte >> 4, byte & 0xf]
                    .map(|digit| b"0123456789ABCDEF".get(usize::from(digit)).copied().unwrap_or(b'0')),
            );
        }
    }
    member
}

/// The key of a well-formed member: `key=value;property`, with blanks around each.
fn key(member: &[u8]) -> Option<&[u8]> {
    let mut parts = member.split(|byte| *byte == b';');
    let pair = parts.next()?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = pair.split_at_checked(equals)?;
    let (key, value) = (key.trim_ascii(), value.get(1..)?.trim_ascii());
    let fine = is_token(key)
        && value.iter().all(|byte| is_value_byte(*byte))
        && parts
            .all(|property| property.iter().all(|byte| is_value_byte(*byte) || matches!(byte, b' ' | b'\t')));
    fine.then_some(key)
}

/// Whether a text can be the key of a member: a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_value_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(received: &[&str], own: &[(&str, Option<&str>)]) -> Outcome {
        let own: Vec<_> =
            own.iter().map(|(key, value)| (*key, value.map(|value| value.as_bytes().to_vec()))).collect();
        rewrite(received.iter().map(|value| value.as_bytes()), &own)
    }

    fn set(text: &str) -> Outcome {
        Outcome::Set(text.as_bytes().to_vec())
    }

    #[test]
    fn well_formed_baggage_passes_untouched() {
        let received = ["a=1,b=2;ttl=3 , c = 4", "d=%20x"];
        assert_eq!(outcome(&received, &[]), Outcome::Keep);
        assert_eq!(outcome(&[], &[]), Outcome::Keep);
    }

    #[test]
    fn malformed_members_are_dropped() {
        assert_eq!(outcome(&["a=1,=2,b c=3,d=\"x\",e=\u{e9},f"], &[]), set("a=1"));
        assert_eq!(outcome(&["nonsense"], &[]), Outcome::Remove);
    }

    #[test]
    fn own_members_come_first_and_cannot_be_forged() {
        let own = [("tenant", Some("ac me,%\u{e9}"))];
        assert_eq!(outcome(&["a=1,tenant=evil;x=y"], &own), set("tenant=ac%20me%2C%25%C3%A9,a=1"));
        assert_eq!(outcome(&["a=1,tenant=evil"], &[("tenant", None)]), set("a=1"));
        assert_eq!(outcome(&["tenant=evil"], &[("tenant", None)]), Outcome::Remove);
        assert_eq!(
            outcome(&["%74enant=evil,a=1,ten%61nt=evil"], &own),
            set("tenant=ac%20me%2C%25%C3%A9,a=1")
        );
        assert_eq!(outcome(&["a=1"], &[("tenant", None)]), Outcome::Keep);
    }

    #[test]
    fn what_no_longer_fits_is_dropped() {
        let many = (0..100).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        let Outcome::Set(kept) = outcome(&[&many], &[("tenant", Some("acme"))]) else { panic!("kept") };
        assert_eq!(kept.split(|byte| *byte == b',').count(), MOST_MEMBERS);
        let long = format!("a=1,b={},c=3", "x".repeat(MOST_BYTES));
        assert_eq!(outcome(&[&long], &[]), set("a=1,c=3"));
    }
}
