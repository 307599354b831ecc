//! `google.protobuf.Struct` in its binary form.
//!
//! Envoy hands a plugin configuration of type `Struct` over as the message's bytes, not as JSON (measured on 1.40), and
//! `Struct` is what YAML in a bootstrap or an EnvoyFilter becomes. The message: `google/protobuf/struct.proto`.

use tidegate_protobuf::Value as Field;

use crate::document::Value;

/// As deep as the JSON parser goes.
const DEEPEST: usize = 128;

/// The `Struct` that `bytes` are; `None` if they are anything else.
pub(crate) fn parse(bytes: &[u8]) -> Option<Value> {
    object(bytes, DEEPEST)
}

/// `message Struct { map<string, Value> fields = 1; }`
fn object(bytes: &[u8], depth: usize) -> Option<Value> {
    let members = fields(bytes)?.into_iter().map(|field| match field {
        (1, Field::Bytes(entry)) => member(entry, depth.checked_sub(1)?),
        _ => None,
    });
    members.collect::<Option<_>>().map(Value::Object)
}

/// A map entry: `{ string key = 1; Value value = 2; }`, either of which may be left out when empty.
fn member(bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let mut member = (String::new(), Value::Null);
    for field in fields(bytes)? {
        match field {
            (1, Field::Bytes(key)) => member.0 = String::from_utf8(key.to_vec()).ok()?,
            (2, Field::Bytes(bytes)) => member.1 = value(bytes, depth)?,
            _ => return None,
        }
    }
    Some(member)
}

/// `message Value { oneof kind { … } }`
fn value(bytes: &[u8], depth: usize) -> Option<Value> {
    let below = depth.checked_sub(1)?;
    fields(bytes)?.pop().map_or(Some(Value::Null), |field| {
        Some(match field {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bits)) => Value::number(f64::from_bits(bits)),
            (3, Field::Bytes(text)) => Value::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Field::Varint(truth)) => Value::Bool(truth != 0),
            (5, Field::Bytes(fields)) => object(fields, below)?,
            (6, Field::Bytes(values)) => list(values, below)?,
            _ => return None,
        })
    })
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: usize) -> Option<Value> {
    let values = fields(bytes)?.into_iter().map(|field| match field {
        (1, Field::Bytes(element)) => value(element, depth),
        _ => None,
    });
    values.collect::<Option<_>>().map(Value::List)
}

/// The fields of a message, with their numbers.
fn fields(bytes: &[u8]) -> Option<Vec<(u32, Field<'_>)>> {
    tidegate_protobuf::fields(bytes).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": [1.5, true, null, "x"], "b": {"c": 100}}`, as protobuf's own Python library serialises it.
    const SAMPLE: &[u8] =
        b"\n\x1f\n\x01a\x12\x1a2\x18\n\t\x11\0\0\0\0\0\0\xf8?\n\x02 \x01\n\x02\x08\0\n\x03\x1a\x01x\
        \n\x17\n\x01b\x12\x12*\x10\n\x0e\n\x01c\x12\t\x11\0\0\0\0\0\0Y@";

    #[test]
    fn a_struct_is_read() {
        let read = format!("{:?}", parse(SAMPLE).unwrap());
        assert_eq!(
            read,
            r#"Object([("a", List([Float(1.5), Bool(true), Null, String("x")])), ("b", Object([("c", Integer(100))]))])"#
        );
    }

    #[test]
    fn what_is_no_struct_is_nothing_and_ends() {
        for end in 1..SAMPLE.len() {
            // Cut between two members, it is a shorter struct.
            assert_eq!(parse(&SAMPLE[..end]).is_some(), end == 0x21, "cut at {end}");
        }
        for position in 0..SAMPLE.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = SAMPLE.to_vec();
                bytes[position] = value;
                let _ = parse(&bytes);
            }
        }
        assert!(parse(b"{\"a\": 1}").is_none());
        let mut deep = Vec::new();
        for _ in 0..10_000 {
            // Lengths that are wrong for most levels: what matters is that it ends.
            deep.splice(0..0, *b"\x32\x7f\x0a\x7d");
        }
        assert!(parse(&deep).is_none());
    }
}
