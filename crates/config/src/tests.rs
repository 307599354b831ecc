//! Error messages are user interface: these tests hold them word by word.

use super::*;

#[derive(Debug, PartialEq)]
struct Limit {
    name: Name,
    per: Duration,
    requests: i64,
}

impl Decode for Limit {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let per = object.required("per");
        let requests = object.require("requests").and_then(|cursor| cursor.integer(1, 1000));
        object.finish();
        Some(Self { name: name?, per: per?, requests: requests? })
    }
}

#[derive(Debug, PartialEq)]
struct Document(Vec<Limit>);

impl Decode for Document {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let limits = object.require("limits").and_then(|cursor| {
            let limits: Vec<Limit> = cursor.non_empty_list()?;
            unique_names(&cursor, limits.iter().map(|limit| &limit.name));
            Some(limits)
        });
        object.finish();
        Some(Self(limits?))
    }
}

fn errors<T: Decode + std::fmt::Debug>(document: &str) -> Vec<String> {
    decode::<T>(document.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

/// Wraps one value so that `value` decodes as `T`.
fn error_of<T: Decode + std::fmt::Debug>(value: &str) -> String {
    errors::<T>(value).join("\n")
}

#[test]
fn a_document_decodes_and_numbers_may_arrive_as_doubles() {
    let document = br#"{"limits": [{"name": "a", "per": "1m", "requests": 100.0}]}"#;
    let decoded: Document = decode(document).unwrap();
    assert_eq!(decoded.0[0].requests, 100);
    assert_eq!(decoded.0[0].per, Duration::from_secs(60));
}

#[test]
fn every_error_is_reported_at_once_by_path() {
    let document = r#"{"limits": [{"name": "a b", "per": "0s", "requests": 0, "burts": 1},
                                  {"per": 5, "requests": "many"}], "extra": null}"#;
    assert_eq!(
        errors::<Document>(document),
        [
            "limits[0].name: expected a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\", found \"a b\"",
            "limits[0].per: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"",
            "limits[0].requests: expected an integer from 1 to 1000, found 0",
            "limits[0].burts: expected one of \"name\", \"per\", \"requests\", found an unknown key",
            "limits[1]: expected the key \"name\", found none",
            "limits[1].per: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found 5",
            "limits[1].requests: expected an integer from 1 to 1000, found \"many\"",
            "extra: expected \"limits\", found an unknown key",
        ]
    );
}

#[test]
fn names_are_unique_and_keys_stand_once() {
    let limit = r#"{"name": "a", "per": "1m", "requests": 1}"#;
    assert_eq!(
        errors::<Document>(&format!(r#"{{"limits": [{limit}, {limit}]}}"#)),
        ["limits[1].name: expected a name used once, but limits[0] has it too, found \"a\""]
    );
    assert_eq!(
        errors::<Document>(&format!(r#"{{"limits": [{limit}], "limits": []}}"#)),
        ["limits: expected each key once, found it twice"]
    );
}

#[test]
fn what_is_no_document_is_refused() {
    assert_eq!(errors::<Document>(""), ["configuration: expected an object, found nothing"]);
    assert_eq!(errors::<Document>("[]"), ["configuration: expected an object, found an empty list"]);
    assert_eq!(
        errors::<Document>("{"),
        ["configuration: expected a JSON document, found a text that ends too early at line 1 column 2"]
    );
    let deep = "[".repeat(100_000);
    assert!(errors::<Document>(&deep)[0].contains("more than 128 lists and objects"));
    assert!(decode::<Document>(b"\"\xff\"").is_err());
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let error = error_of::<Sha256Digest>(r#""hunter2""#);
    assert_eq!(
        error,
        "configuration: expected 64 lower-case hexadecimal digits (printf %s KEY | sha256sum), found 7 characters (not shown)"
    );
    let digest: Sha256Digest = decode(format!("\"{}\"", "0f".repeat(32)).as_bytes()).unwrap();
    assert_eq!(digest.as_bytes(), &[0x0f; 32]);
    assert_eq!(format!("{digest:?}"), "[redacted]");
    for wrong in ["0F".repeat(32), "0f".repeat(33), "0f".repeat(31) + "0", "0g".repeat(32)] {
        assert!(Sha256Digest::from_hex(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn durations_have_a_unit_and_a_bound() {
    let nanos = |text: &str| decode::<Duration>(format!("\"{text}\"").as_bytes()).map(Duration::as_nanos);
    assert_eq!(nanos("250ms"), Ok(250_000_000));
    assert_eq!(nanos("7us"), Ok(7_000));
    assert_eq!(nanos("7d"), Ok(604_800_000_000_000));
    for wrong in ["", "5", "s", "-1s", "1.5s", "1 s", "3651d", "99999999999999999999s", "1m30s"] {
        assert!(nanos(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn header_names_lose_their_case_and_values_have_no_controls() {
    assert_eq!(HeaderName::new("X-Role").unwrap().as_str(), "x-role");
    for wrong in ["", ":path", "a b", "ä", "a\r\n"] {
        assert!(HeaderName::new(wrong).is_err(), "{wrong:?}");
    }
    assert!(HeaderValue::new(*b"caf\xe9\t").is_ok());
    for wrong in [b"a\r\nb: c".as_slice(), b"\0", b"\x7f"] {
        assert!(HeaderValue::new(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn ranges_start_at_their_first_address() {
    let cidr: Cidr = decode(br#""10.0.0.0/8""#).unwrap();
    assert!(cidr.contains("10.255.0.1".parse().unwrap()));
    assert!(cidr.contains("::ffff:10.0.0.1".parse().unwrap()), "mapped addresses count as what they map");
    assert!(!cidr.contains("11.0.0.1".parse().unwrap()));
    let single: Cidr = decode(br#""2001:db8::1""#).unwrap();
    assert!(single.contains("2001:db8::1".parse().unwrap()));
    assert!(!single.contains("2001:db8::2".parse().unwrap()));
    let all: Cidr = decode(br#""::/0""#).unwrap();
    assert!(all.contains("ffff::1".parse().unwrap()) && !all.contains("1.2.3.4".parse().unwrap()));
    assert!(all.contains_all(&single) && !single.contains_all(&all) && !cidr.contains_all(&single));
    for wrong in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "10.0.0.0/8/8", "", "/8"] {
        assert!(decode::<Cidr>(format!("\"{wrong}\"").as_bytes()).is_err(), "{wrong}");
    }
    assert_eq!(
        error_of::<Cidr>(r#""10.1.2.3/8""#),
        "configuration: expected the first address of a range, such as \"10.0.0.0/8\", found \"10.1.2.3/8\""
    );
}

#[test]
fn long_and_odd_text_is_shown_short_and_on_one_line() {
    let error = error_of::<Name>(&format!("\"\\n{}\"", "x".repeat(100)));
    assert!(error.ends_with(&format!("found \"\\n{}…\"", "x".repeat(59))), "{error}");
}

#[derive(Debug)]
struct Canonical(String);

impl Decode for Canonical {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        Some(Self(cursor.canonical()))
    }
}

#[test]
fn a_value_has_one_canonical_form_and_no_other_value_has_it() {
    let of = |document: &str| decode::<Canonical>(document.as_bytes()).unwrap().0;
    assert_eq!(of(r#"{"b": [1.0, "x"], "a": null}"#), of(r#"{"a":null,"b":[1e0,"\u0078"]}"#));
    let different = [
        r#"{"a": "1"}"#,
        r#"{"a": 1}"#,
        r#"{"a": 1.5}"#,
        r#"{"a": [1]}"#,
        r#"{"a": [[1]]}"#,
        r#"{"a": [1, 1]}"#,
        r#"{"a": [11]}"#,
        r#"{"a": true}"#,
        r#"{"a": "true"}"#,
        r#"{"a": null}"#,
        r#"{"a": {}}"#,
        r#"{"a": []}"#,
        r#"{"a": ["x", "y"]}"#,
        r#"{"a": ["x1\"y"]}"#,
        r#"{"ax": "y"}"#,
    ];
    let mut forms: Vec<String> = different.iter().map(|document| of(document)).collect();
    forms.sort_unstable();
    forms.dedup();
    assert_eq!(forms.len(), different.len());
}

#[test]
fn numbers_that_are_no_integers_are_shown_to_six_places() {
    for (number, shown) in [
        ("1.5", "1.5"),
        ("-0.25", "-0.25"),
        ("0.1234567", "0.123456"),
        ("1e-9", "0"),
        ("1e300", "a number of more than 15 digits"),
    ] {
        assert_eq!(error_of::<bool>(number), format!("configuration: expected true or false, found {shown}"));
    }
}

/// A list of limits in a place where secrets may stand.
#[derive(Debug)]
struct Guarded;

impl Decode for Guarded {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.secret().decode::<Document>().map(|_| Self)
    }
}

#[test]
fn where_secrets_may_stand_nothing_is_quoted() {
    for document in [
        r#""hunter2""#,
        r#"{"limits": "hunter2"}"#,
        r#"{"limits": ["hunter2"]}"#,
        r#"{"limits": [{"name": "hunter2 hunter2", "per": "hunter2", "requests": "hunter2"}]}"#,
        r#"{"limits": [{"hunter2": 1, "hunter2": 2}], "hunter2": {}}"#,
    ] {
        let told = errors::<Guarded>(document).join("\n");
        assert!(!told.contains("hunter2"), "{told}");
    }
    assert_eq!(
        errors::<Guarded>(r#"{"limits": [], "hunter2": "x"}"#),
        [
            "limits: expected a list of at least one, found an empty list",
            "(a key): expected \"limits\", found an unknown key"
        ]
    );
}
