//! A configuration's text, made fit to stand inside of another YAML document that others read.
//!
//! Kubernetes' tools read YAML 1.1: to them a plain `y` (the coordinate of an elliptic key), `no` or `on` is a boolean, also
//! where it is a key, and `12:30` a number. Where they are read as texts here, they are quoted, which all read alike.

use serde_json::Value;

use crate::json;

const BOOLEANS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

/// The text with its comments, where it means the same below a key of another document; else the value as JSON, which is
/// YAML too.
pub(crate) fn spliceable(text: &str, value: &Value) -> String {
    let text = without_marks(text);
    let text = if holds_risky(value) { quoted(&text) } else { text };
    let mut below = "x:\n".to_owned();
    for line in text.lines() {
        below.push_str(&format!("  {line}\n"));
    }
    let same = serde_saphyr::from_str::<Value>(&below).is_ok_and(|read| read.get("x") == Some(value));
    if same { text } else { json::shown(value) }
}

/// Without the marks that a document may begin and end with.
fn without_marks(text: &str) -> String {
    let lines = text.lines().filter(|line| !matches!(line.trim_end(), "---" | "..."));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn holds_risky(value: &Value) -> bool {
    match value {
        Value::String(text) => is_risky(text),
        Value::Array(items) => items.iter().any(holds_risky),
        Value::Object(fields) => fields.iter().any(|(key, field)| is_risky(key) || holds_risky(field)),
        _ => false,
    }
}

/// Whether YAML 1.1 reads a plain text as something else: a boolean, or a number to base 60 or with `_` in it.
fn is_risky(text: &str) -> bool {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c))
        && text.contains([':', '_'])
        && text.chars().all(|c| c.is_ascii_digit() || "+-:_.".contains(c));
    number || BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Risky words in quotation marks, where they stand plain. What stands in comments and in quotation marks is left alone.
fn quoted(text: &str) -> String {
    let mut made = String::new();
    for line in text.lines() {
        let (mut word, mut mark, mut before) = (String::new(), None, ' ');
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            if let Some(open) = mark {
                made.push(c);
                if c == '\\' && open == '"' {
                    made.extend(rest.next());
                } else if c == open {
                    mark = None;
                }
            } else if c == '#' && before.is_whitespace() {
                end_word(&mut word, &mut made);
                made.push(c);
                made.extend(rest.by_ref());
            } else if "\"'".contains(c) && word.is_empty() {
                made.push(c);
                mark = Some(c);
            } else if ends_word(c, rest.peek().copied()) {
                if c == ':' && is_risky(&word) {
                    // A key is a text, whatever it looks like.
                    word = Value::from(word.as_str()).to_string();
                }
                end_word(&mut word, &mut made);
                made.push(c);
            } else {
                word.push(c);
            }
            before = c;
        }
        end_word(&mut word, &mut made);
        made.push('\n');
    }
    made.trim_end().to_owned()
}

/// Whether a plain scalar cannot go on with this character. (One of several words is none of the risky ones; where a word
/// among others was quoted, the document is another, and that is noticed.)
fn ends_word(c: char, next: Option<char>) -> bool {
    c.is_whitespace() || "[]{},".contains(c) || (c == ':' && next.is_none_or(char::is_whitespace))
}

fn end_word(word: &mut String, made: &mut String) {
    // What is read as a boolean or a number here too was not written as a text.
    let text = serde_saphyr::from_str::<Value>(word).is_ok_and(|value| value.is_string());
    if text && is_risky(word) {
        made.push_str(&Value::from(word.as_str()).to_string());
    } else {
        made.push_str(word);
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(text: &str) -> String {
        spliceable(text, &serde_saphyr::from_str(text).unwrap())
    }

    #[test]
    fn what_others_read_as_something_else_is_quoted() {
        for (text, expected) in [
            ("- {crv: P-256, x: a, y: b} # y: why", "- {crv: P-256, x: a, \"y\": b} # y: why"),
            ("on: 1\nkeys:\n  - n: 2\n    no: 3", "\"on\": 1\nkeys:\n  - \"n\": 2\n    \"no\": 3"),
            ("at: 12:30\nport: 8080\nn: 'y'", "at: \"12:30\"\nport: 8080\n\"n\": 'y'"),
            ("url: https://no/y\nnote: a 'quote y", "url: https://no/y\nnote: a 'quote y"),
            ("a: \"x\\\" y: 1\"\ny: [a, b]", "a: \"x\\\" y: 1\"\n\"y\": [a, b]"),
            // Read alike by all: for the filter to say something about.
            ("country: no\nflags: [on, off, true]", "country: no\nflags: [on, off, true]"),
        ] {
            assert_eq!(spliced(text), expected);
        }
    }

    #[test]
    fn what_cannot_stand_inside_another_document_becomes_json() {
        assert_eq!(spliced("---\na: 1 # one\n...\n"), "a: 1 # one");
        // A word within a text of several lines would be quoted inside of it.
        let text = "y: 1\ntext: |\n  y: 2\n  or so\n";
        assert_eq!(spliced(text), "{\n  \"text\": \"y: 2\\nor so\\n\",\n  \"y\": 1\n}");
        assert_eq!(spliced("{\"a\": [1,\n2]}"), "{\"a\": [1,\n2]}");
    }
}
