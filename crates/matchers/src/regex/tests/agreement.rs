//! Another engine agrees.

use proptest::prelude::*;

use super::super::Regex;

/// Expressions that both engines read alike.
fn expression() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        "[abc]",
        Just(".".to_owned()),
        Just("[a-b]".to_owned()),
        Just("[^b]".to_owned()),
        Just(r"\w".to_owned()),
        Just(r"\b".to_owned()),
        Just(r"\B".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
        Just(r"(?m:^)".to_owned()),
        Just(r"(?m:$)".to_owned()),
        Just(r"\n".to_owned()),
        Just(r"\xff".to_owned()),
    ];
    atom.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|ways| format!("({})", ways.join("|"))),
            (inner.clone(), "[*+?]|\\{2\\}|\\{0,2\\}|\\{1,\\}", prop::bool::ANY)
                .prop_map(|(of, times, lazy)| format!("(?:{of}){times}{}", if lazy { "?" } else { "" })),
            inner.prop_map(|of| format!("(?i:{of})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn another_engine_agrees(
        text in expression(),
        values in prop::collection::vec(prop::collection::vec(prop::sample::select(&b"abcAB_ \n\xff"[..]), 0..9), 4),
    ) {
        let ours = Regex::new(&text).unwrap();
        let theirs = regex::bytes::Regex::new(&format!("(?-u)\\A(?:{text})\\z")).unwrap();
        for value in &values {
            prop_assert_eq!(ours.matches(value), theirs.is_match(value), "{}", value.escape_ascii());
            let taken = theirs.captures(value).map(|captures| {
                captures.iter().skip(1).map(|group| group.map(|group| group.as_bytes())).collect::<Vec<_>>()
            });
            // Inside a repetition of what may be empty, engines differ in what they call the last turn.
            let comparable = !text.contains("(?:");
            if comparable {
                prop_assert_eq!(ours.captures(value), taken);
            } else {
                prop_assert_eq!(ours.captures(value).is_some(), taken.is_some());
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}", syntax in "[a()\\[\\]{}|*+?^$.\\\\:<>P=!0-9,-]{0,30}") {
        for text in [text, syntax] {
            if let Ok(regex) = Regex::new(&text) {
                let _ = regex.matches(b"aaaa");
                let _ = regex.captures(b"aaaa");
            }
        }
    }
}
