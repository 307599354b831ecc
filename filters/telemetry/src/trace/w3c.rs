//! W3C Trace Context: `traceparent` and `tracestate` (Recommendation of 23 November 2021).

use tidegate_filter_api::Headers;

use super::context::{Incoming, Parent};
use super::hex;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";

/// More members than this make a `tracestate` malformed (section 3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// What the request says. A header that stands twice is as good as none (section 3.2.1: there is one).
pub(crate) fn read(headers: &Headers) -> Incoming {
    let mut values = headers.values(TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(value), None) => parse(value.trim_ascii()).map_or(Incoming::Nothing, Incoming::Parent),
        _ => Incoming::Nothing,
    }
}

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` (section 3.2.2). Of a version to come the part that is known
/// is read (section 3.2.4).
fn parse(value: &[u8]) -> Option<Parent> {
    let (known, rest) = value.split_at_checked(55)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let [version] = hex::read::<1>(parts.next()?)?;
    let trace_id: [u8; 16] = hex::read(parts.next()?)?;
    let span_id: [u8; 8] = hex::read(parts.next()?)?;
    let [flags] = hex::read::<1>(parts.next()?)?;
    let well_formed = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => matches!(rest.first(), None | Some(b'-')),
    };
    let zero = trace_id == [0; 16] || span_id == [0; 8];
    (well_formed && !zero && parts.next().is_none()).then_some(Parent {
        trace_id,
        span_id,
        sampled: Some(flags & 1 == 1),
    })
}

/// The value for those that come next. Flags other than "sampled" have no meaning yet and are not passed on.
pub(crate) fn write(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> Vec<u8> {
    let mut value = Vec::with_capacity(55);
    value.extend_from_slice(b"00-");
    hex::write(&trace_id, &mut value);
    value.push(b'-');
    hex::write(&span_id, &mut value);
    value.extend_from_slice(if sampled { b"-01" } else { b"-00" });
    value
}

/// Whether the values of all `tracestate` headers, taken together, follow the grammar (section 3.3.1).
pub(crate) fn is_state<'h>(values: impl Iterator<Item = &'h [u8]>) -> bool {
    let members = values.flat_map(|value| value.split(|byte| *byte == b','));
    let mut count = 0;
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()).all(|member| {
        count += 1;
        count <= MOST_MEMBERS && is_member(member)
    })
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let Some((key, value)) = member.split_at_checked(equals) else { return false };
    let value = value.get(1..).unwrap_or_default();
    let key_byte = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let starts_well = matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'));
    starts_well
        && key.len() <= 256
        && key.iter().all(key_byte)
        && (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, 0x20..=0x7e if !matches!(byte, b',' | b'=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn sampled(value: &str) -> Option<bool> {
        parse(value.as_bytes()).and_then(|parent| {
            assert_eq!(hex::text(&parent.trace_id), TRACE.as_bytes());
            assert_eq!(hex::text(&parent.span_id), SPAN.as_bytes());
            parent.sampled
        })
    }

    #[test]
    fn what_the_recommendation_allows_is_read() {
        for (value, expected) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-fe"), false),
            (format!("cc-{TRACE}-{SPAN}-03"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"), true),
        ] {
            assert_eq!(sampled(&value), Some(expected), "{value}");
        }
    }

    #[test]
    fn anything_else_is_as_good_as_nothing() {
        for value in [
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-.1"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("0-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}"),
            String::new(),
        ] {
            assert_eq!(sampled(&value), None, "{value}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let value = write([1; 16], [2; 8], true);
        assert_eq!(value, b"00-01010101010101010101010101010101-0202020202020202-01");
        assert_eq!(parse(&value), Some(Parent { trace_id: [1; 16], span_id: [2; 8], sampled: Some(true) }));
    }

    #[test]
    fn states_follow_the_grammar_or_do_not() {
        let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
        let most = (0..32).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        for good in
            ["", "a=1", "a=1,b=2", " a=1 ,\tb=2 ", "a=1,,b=2", "1@sys=x y", "foo=1,foo=1", &longest, &most]
        {
            assert!(is_state([good.as_bytes()].into_iter()), "{good}");
        }
        let many = format!("{most},more=1");
        let long = format!("{}=1", "k".repeat(257));
        for bad in ["a", "a=", "=1", "A=1", "_a=1", "a=1=2", "a =1", "a=\u{e9}", "a=\x01", &many, &long] {
            assert!(!is_state([bad.as_bytes()].into_iter()), "{bad}");
        }
        assert!(!is_state([most.as_bytes(), b"more=1"].into_iter()), "headers count together");
    }
}
