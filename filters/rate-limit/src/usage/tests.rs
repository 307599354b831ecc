use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn paths(paths: &[&[&str]]) -> Vec<JsonPath> {
    paths.iter().map(|names| JsonPath::of(names)).collect()
}

fn total(kind: &str, wanted: &[&[&str]], body: &[u8]) -> Option<u64> {
    let wanted = paths(wanted);
    let mut whole = Usage::begin(Some(kind.as_bytes()), None).unwrap();
    whole.read(&wanted, body);
    let mut bytewise = Usage::begin(Some(kind.as_bytes()), None).unwrap();
    body.chunks(1).for_each(|byte| bytewise.read(&wanted, byte));
    assert_eq!(whole.total(), bytewise.total(), "pieces make no difference");
    whole.total()
}

const TOKENS: &[&[&str]] = &[&["usage", "total_tokens"]];

#[test]
fn a_number_is_found_where_it_stands_and_nowhere_else() {
    let json = |body: &str| total("application/json", TOKENS, body.as_bytes());
    for (body, expected) in [
        (r#"{"usage": {"total_tokens": 42}}"#, Some(42)),
        (r#"{"a": [1, {"usage": {"total_tokens": 1}}], "usage":{"x":{},"total_tokens":42 }}"#, Some(42)),
        (r#"{"usage": {"total_tokens": 0}}"#, Some(0)),
        (r#"{"\u0075sa\u0067e": {"total\u005ftokens": 7}}"#, Some(7)),
        (r#"{"usage": {"total_tokens": 1, "total_tokens": 2}}"#, Some(2)),
        (r#"{"usage": {"total_tokens": 1}, "usage": {}}"#, None),
        (r#"{"usage": {"total_tokens": 1}, "usage": 5}"#, None),
        (r#"{"usage": {"deeper": {"total_tokens": 1}}}"#, None),
        (r#"{"usage": [{"total_tokens": 1}]}"#, None),
        (r#"[{"usage": {"total_tokens": 1}}]"#, None),
        (r#"{"x": {"usage": {"total_tokens": 1}}}"#, None),
        (r#"{"total_tokens": 1}"#, None),
        (r#"{"usage.total_tokens": 1}"#, None),
        (r#"{"usage": {"total_token": 1, "total_tokens_": 2}}"#, None),
        (r#"{"text": "\"usage\": {\"total_tokens\": 9}"}"#, None),
        (r#"{"usage": {"total_tokens": "42"}}"#, None),
        (r#"{"usage": {"total_tokens": -1}}"#, None),
        (r#"{"usage": {"total_tokens": 1.5}}"#, None),
        (r#"{"usage": {"total_tokens": 1e3}}"#, None),
        (r#"{"usage": {"total_tokens": null}}"#, None),
        (r#"{"usage": {"total_tokens": [3]}}"#, None),
        (r#"{"usage": {"total_tokens": 99999999999999999999999}}"#, Some(u64::MAX)),
        ("", None),
        ("42", None),
        ("<html>{\"usage\": {\"total_tokens\": 1}}", None),
        // Cut off: what was seen counts, but not half a number.
        (r#"{"usage": {"total_tokens": 42, "x"#, Some(42)),
        (r#"{"usage": {"total_tokens": 4"#, None),
    ] {
        assert_eq!(json(body), expected, "{body}");
    }
}

#[test]
fn several_numbers_are_added_up() {
    let body = br#"{"usage": {"in": 10, "out": 5}, "other": 100}"#;
    assert_eq!(total("application/json", &[&["usage", "in"], &["usage", "out"]], body), Some(15));
    assert_eq!(total("application/json", &[&["usage", "in"], &["usage", "absent"]], body), Some(10));
    assert_eq!(total("application/json", &[&["usage"], &["usage", "out"], &["other"]], body), Some(105));
}

#[test]
fn of_several_documents_the_last_number_counts() {
    let lines = b"{\"usage\": null}\n{\"usage\": {\"total_tokens\": 3}}\n{\"usage\": {\"total_tokens\": 9}}\n{\"x\": 1}";
    assert_eq!(total("application/x-ndjson", TOKENS, lines), Some(9));
}

#[test]
fn events_are_read() {
    let stream = |body: &str| total("text/event-stream; charset=utf-8", TOKENS, body.as_bytes());
    for (body, expected) in [
        ("data: {\"usage\": {\"total_tokens\": 5}}\n\ndata: [DONE]\n\n", Some(5)),
        ("data:{\"usage\":{\"total_tokens\":5}}\r\n\r\ndata: {\"usage\": null}\r\n\r\n", Some(5)),
        ("data: {\"usage\":\rdata: {\"total_tokens\": 5}}\r\r", Some(5)),
        ("event: x\nid: 1\ndata: {\"usage\": {\"total_tokens\": 5}}\n\n", Some(5)),
        (": {\"usage\": {\"total_tokens\": 5}}\n\n", None),
        ("datas: {\"usage\": {\"total_tokens\": 5}}\n\n", None),
        ("dat: {\"usage\": {\"total_tokens\": 5}}\n\n", None),
        ("data\n\n", None),
        ("data: {\"usage\":\n\ndata: {\"total_tokens\": 5}}\n\n", None),
        ("data: {\"usage\": {\"total_tokens\": 5}}\n\ndata: {\"usage\": {\"total_tokens\": 8}}\n\n", Some(8)),
        // The stream was cut off behind the number.
        ("data: {\"usage\": {\"total_tokens\": 5}}", Some(5)),
    ] {
        assert_eq!(stream(body), expected, "{body:?}");
    }
}

/// What two providers of language models send, shortened: totals at the end, and counts that grow.
#[test]
fn usage_of_language_models_is_read() {
    let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"usage\"}}],\"usage\":null}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}\n\n\
                data: [DONE]\n\n";
    assert_eq!(total("text/event-stream", TOKENS, chat.as_bytes()), Some(12));
    let messages = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
                    event: message_delta\ndata: {\"usage\":{\"output_tokens\":10}}\n\n\
                    event: message_delta\ndata: {\"usage\":{\"output_tokens\":15}}\n\n";
    let wanted: &[&[&str]] = &[&["message", "usage", "input_tokens"], &["usage", "output_tokens"]];
    assert_eq!(total("text/event-stream", wanted, messages.as_bytes()), Some(40));
}

#[test]
fn only_what_can_be_json_is_read() {
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "application/jsonl",
    ] {
        assert!(matches!(Usage::begin(Some(kind.as_bytes()), None), Some(Usage(Body::Json(_)))), "{kind}");
    }
    for kind in ["text/html", "application/grpc", "", "json"] {
        assert!(Usage::begin(Some(kind.as_bytes()), None).is_none(), "{kind}");
    }
    assert!(Usage::begin(None, None).is_some());
    assert!(Usage::begin(None, Some(b"identity")).is_some());
    assert!(Usage::begin(None, Some(b"gzip")).is_none());
}

#[test]
fn deep_documents_end_the_reading_not_the_stack() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(total("application/json", TOKENS, deep.as_bytes()), None);
    let mut nested = r#"{"a":"#.repeat(127) + "1";
    nested.push_str(&"}".repeat(127));
    let names = vec!["a"; 127];
    assert_eq!(total("application/json", &[&names], nested.as_bytes()), Some(1));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "ab", "", "\"", "\\", "ä", "𝄞", "a.b"]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9_f64..1e9).prop_map(|number| json!(number)),
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// `text` with every character of its strings escaped.
fn escaped(text: &str) -> String {
    let mut result = String::new();
    let (mut within, mut escape) = (false, false);
    for character in text.chars() {
        match character {
            '"' if !escape => within = !within,
            '\\' if within => {}
            _ if within && !escape => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    result.push_str(&format!("\\u{unit:04X}"));
                }
                continue;
            }
            _ => {}
        }
        escape = character == '\\' && !escape;
        result.push(character);
    }
    result
}

fn pieces(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> =
        cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

fn expected(document: &Value, names: &[String]) -> Option<u64> {
    names.iter().try_fold(document, |value, name| value.as_object()?.get(name))?.as_u64()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the document, however it is written and cut: what serde_json finds is found.
    #[test]
    fn it_agrees_with_a_whole_parser(
        documents in prop::collection::vec(value(), 1..4),
        names in prop::collection::vec(name(), 1..4),
        style in 0..3,
        events: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let wanted = [JsonPath::of(&names.iter().map(String::as_str).collect::<Vec<_>>())];
        let mut body = String::new();
        for document in &documents {
            let text = match style {
                0 => document.to_string(),
                1 => serde_json::to_string_pretty(document).unwrap(),
                _ => escaped(&document.to_string()),
            };
            if events {
                text.lines().for_each(|line| body.push_str(&format!("data: {line}\n")));
                body.push('\n');
            } else {
                body.push_str(&text);
                body.push('\n');
            }
        }
        let kind = if events { "text/event-stream" } else { "application/json" };
        let mut usage = Usage::begin(Some(kind.as_bytes()), None).unwrap();
        for piece in pieces(body.as_bytes(), &cuts) {
            usage.read(&wanted, &piece);
        }
        let last = documents.iter().filter_map(|document| expected(document, &names)).next_back();
        prop_assert_eq!(usage.total(), last, "{}", body);
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\u0d8ae.-\n\r".to_vec())], 0..200)
    ) {
        for kind in ["application/json", "text/event-stream"] {
            let mut usage = Usage::begin(Some(kind.as_bytes()), None).unwrap();
            usage.read(&paths(&[&["a"], &["a", "b"], &["", "a"]]), &bytes);
            let _ = usage.total();
        }
    }
}
