use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn read(text: &[u8]) -> Result<Json, Fault> {
    parse(text).map(|value| Json::from(&value))
}

/// As serde_json reads it, with whole numbers as integers.
fn expected(value: Json) -> Json {
    match value {
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => Json::from(&Value::number(float)),
            _ => Json::Number(number),
        },
        Json::Array(list) => Json::Array(list.into_iter().map(expected).collect()),
        Json::Object(members) => {
            Json::Object(members.into_iter().map(|(name, value)| (name, expected(value))).collect())
        }
        other => other,
    }
}

#[test]
fn faults_say_where_and_never_quote() {
    for (text, fault) in [
        ("", "a text that ends too early at line 1 column 1"),
        ("{\"a\": 1,\n \"b\"", "no colon behind a key at line 2 column 5"),
        ("[1, 2", "a text that ends too early at line 1 column 6"),
        ("[1 2]", "no comma between values at line 1 column 4"),
        ("{a: 1}", "no key in double quotes at line 1 column 2"),
        ("1 2", "more than one value at line 1 column 3"),
        ("nul", "a word that is none of true, false and null at line 1 column 1"),
        ("\"\\x\"", "an unknown escape at line 1 column 3"),
        ("\"\\ud800\"", "half a character at line 1 column 8"),
        ("\"\n\"", "a control character in a string at line 1 column 2"),
        ("01", "more than one value at line 1 column 2"),
        ("-", "no digit in a number at line 1 column 2"),
        ("1.", "no digit in a number at line 1 column 3"),
        ("1e400", "a number that is too large at line 1 column 6"),
        ("'", "a character that begins no value at line 1 column 1"),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().describe(text.as_bytes()), fault, "{text}");
    }
    assert_eq!(parse(b"\"\xff\"").unwrap_err().what, "a string that is not UTF-8");
}

#[test]
fn deep_texts_are_refused_before_the_stack_ends() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(parse(deep.as_bytes()).unwrap_err().what, "more than 128 lists and objects within each other");
    assert!(parse(format!("{}{}", "[".repeat(128), "]".repeat(128)).as_bytes()).is_ok());
}

#[test]
fn numbers_are_what_they_are_however_they_are_written() {
    let integer = |text: &str| match parse(text.as_bytes()) {
        Ok(Value::Integer(integer)) => Some(integer),
        _ => None,
    };
    for (text, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("100", Some(100)),
        ("100.0", Some(100)),
        ("1e2", Some(100)),
        ("1000e-1", Some(100)),
        ("9223372036854775807", Some(i64::MAX)),
        ("18446744073709551615", None),
        ("-9223372036854775808", Some(i64::MIN)),
        ("99999999999999999999999", None),
        ("1.5", None),
        ("0e99999999999999999999999", Some(0)),
    ] {
        assert_eq!(integer(text), expected, "{text}");
    }
    assert!(matches!(parse(b"1e-400"), Ok(Value::Float(_) | Value::Integer(0))));
    assert!(matches!(
        parse(b"0.000000000000000000000000000000001e33"),
        Ok(Value::Integer(1) | Value::Float(_))
    ));
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        // Larger ones become doubles: no setting is as large.
        (0..=u64::try_from(i64::MAX).unwrap()).prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        // What people write: few digits.
        (-1_000_000_000_i64..1_000_000_000, 0_i32..9)
            .prop_map(|(digits, places)| { Json::from(digits as f64 / 10_f64.powi(places)) }),
        "\\PC{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec(("\\PC{0,4}", inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn it_agrees_with_serde_json(value in value(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(read(text.as_bytes()), Ok(expected(value)));
    }

    /// Also on texts that are nearly JSON: both take them or neither does.
    #[test]
    fn it_takes_what_serde_json_takes(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"", "\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\n", "1", "-", "0", ".5", "e3", "E-2", "+",
            "true", "nul", " ", "\n", "\t", "\u{e4}", "\u{1}",
        ]), 0..12)
    ) {
        let text = pieces.concat();
        let theirs = serde_json::from_str::<Json>(&text).ok().map(expected);
        prop_assert_eq!(read(text.as_bytes()).ok(), theirs, "{}", text);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&bytes);
    }
}
