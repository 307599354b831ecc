//! B3, in one header or in several (openzipkin/b3-propagation).

use tidegate_filter_api::Headers;

use super::context::{Context, Incoming, Parent};
use super::hex;

pub(crate) const SINGLE: &str = "b3";
pub(crate) const TRACE_ID: &str = "x-b3-traceid";
pub(crate) const SPAN_ID: &str = "x-b3-spanid";
pub(crate) const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
pub(crate) const SAMPLED: &str = "x-b3-sampled";
pub(crate) const FLAGS: &str = "x-b3-flags";

/// What the request says: the one header, and where it says nothing, the several.
pub(crate) fn read(headers: &Headers) -> Incoming {
    match only(headers, SINGLE).map_or(Incoming::Nothing, parse_single) {
        Incoming::Nothing => read_multi(headers),
        said => said,
    }
}

/// The value of a header that stands once.
fn only<'h>(headers: &'h Headers, name: &'h str) -> Option<&'h [u8]> {
    let mut values = headers.values(name);
    let first = values.next()?;
    values.next().is_none().then_some(first.trim_ascii())
}

/// `{trace id}-{span id}-{decision}-{parent span id}`, the last two optional, or the decision alone.
fn parse_single(value: &[u8]) -> Incoming {
    if let Some(decision) = parse_decision(value) {
        return Incoming::Decision(decision);
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace, span, decision) = (parts.next(), parts.next(), parts.next());
    let decision = match decision.map(parse_decision) {
        Some(None) => return Incoming::Nothing,
        Some(decided) => decided,
        None => None,
    };
    let parent_is_an_id = parts.next().is_none_or(|parent| hex::read::<8>(parent).is_some());
    if !parent_is_an_id || parts.next().is_some() {
        return Incoming::Nothing;
    }
    parent(trace, span, decision)
}

fn read_multi(headers: &Headers) -> Incoming {
    let debug = only(headers, FLAGS) == Some(b"1");
    let decision = if debug { Some(true) } else { only(headers, SAMPLED).and_then(parse_decision) };
    match (parent(only(headers, TRACE_ID), only(headers, SPAN_ID), decision), decision) {
        (Incoming::Nothing, Some(decision)) => Incoming::Decision(decision),
        (said, _) => said,
    }
}

/// Debug implies recording; `true` and `false` are from before the format was written down.
fn parse_decision(value: &[u8]) -> Option<bool> {
    match value {
        b"1" | b"d" | b"true" => Some(true),
        b"0" | b"false" => Some(false),
        _ => None,
    }
}

fn parent(trace: Option<&[u8]>, span: Option<&[u8]>, sampled: Option<bool>) -> Incoming {
    let trace = trace.and_then(|trace| match trace.len() {
        // The short form is the right half of the long one.
        16 => hex::read::<8>(trace).map(|half| u128::from(u64::from_be_bytes(half)).to_be_bytes()),
        _ => hex::read::<16>(trace),
    });
    match (trace, span.and_then(hex::read::<8>)) {
        (Some(trace_id), Some(span_id)) if trace_id != [0; 16] && span_id != [0; 8] => {
            Incoming::Parent(Parent { trace_id, span_id, sampled })
        }
        _ => Incoming::Nothing,
    }
}

/// The one header's value for those that come next.
pub(crate) fn write_single(context: &Context) -> Vec<u8> {
    let mut value = Vec::with_capacity(68);
    hex::write(&context.trace_id, &mut value);
    value.push(b'-');
    hex::write(&context.span_id, &mut value);
    value.extend_from_slice(if context.sampled { b"-1" } else { b"-0" });
    if let Some(parent) = context.parent.filter(|_| context.recorded) {
        value.push(b'-');
        hex::write(&parent, &mut value);
    }
    value
}

#[cfg(test)]
mod tests {
    use tidegate_filter_api::HeaderBlock;

    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn said(headers: &[(&str, &str)]) -> Incoming {
        let pairs = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        read(&Headers::new(HeaderBlock::from_pairs(pairs)))
    }

    fn from(sampled: Option<bool>) -> Incoming {
        let (trace_id, span_id) = (hex::read(TRACE.as_bytes()).unwrap(), hex::read(SPAN.as_bytes()).unwrap());
        Incoming::Parent(Parent { trace_id, span_id, sampled })
    }

    #[test]
    fn one_header_says_it_all() {
        for (value, expected) in [
            (format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"), from(Some(true))),
            (format!("{TRACE}-{SPAN}-d"), from(Some(true))),
            (format!("{TRACE}-{SPAN}-0"), from(Some(false))),
            (format!("{TRACE}-{SPAN}"), from(None)),
            ("0".to_owned(), Incoming::Decision(false)),
            ("1".to_owned(), Incoming::Decision(true)),
            ("d".to_owned(), Incoming::Decision(true)),
        ] {
            assert_eq!(said(&[("b3", &value)]), expected, "{value}");
        }
    }

    #[test]
    fn malformed_headers_say_nothing() {
        for value in [
            format!("{TRACE}-{SPAN}-2"),
            format!("{TRACE}-{SPAN}-1-xyz"),
            format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-1"),
            format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            format!("{}-{SPAN}-1", "0".repeat(32)),
            format!("{TRACE}1-{SPAN}-1"),
            TRACE.to_owned(),
            String::new(),
        ] {
            assert_eq!(said(&[("b3", &value)]), Incoming::Nothing, "{value}");
        }
        let good = format!("{TRACE}-{SPAN}-1");
        assert_eq!(said(&[("b3", &good), ("b3", &good)]), Incoming::Nothing, "it stands once");
    }

    #[test]
    fn several_headers_say_the_same() {
        let ids = [(TRACE_ID, TRACE), (SPAN_ID, SPAN)];
        assert_eq!(said(&ids), from(None));
        for (sampled, expected) in [("1", true), ("true", true), ("0", false), ("false", false)] {
            let all = [ids[0], ids[1], (SAMPLED, sampled)];
            assert_eq!(said(&all), from(Some(expected)), "{sampled}");
        }
        assert_eq!(said(&[ids[0], ids[1], (FLAGS, "1")]), from(Some(true)), "debug");
        assert_eq!(said(&[(SAMPLED, "0")]), Incoming::Decision(false));
        assert_eq!(said(&[ids[0]]), Incoming::Nothing);
    }

    #[test]
    fn a_short_trace_id_is_the_right_half_of_a_long_one() {
        let Incoming::Parent(parent) = said(&[(TRACE_ID, &TRACE[16..]), (SPAN_ID, SPAN)]) else {
            panic!("not read")
        };
        assert_eq!(hex::text(&parent.trace_id), format!("{}{}", "0".repeat(16), &TRACE[16..]).as_bytes());
    }
}
