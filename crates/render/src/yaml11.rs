//! Words that are texts here and truth values elsewhere.
//!
//! As a key, `y` is a text to our decoder. Kubernetes reads YAML 1.1, where it is true: the coordinate `y` of a JSON Web Key is
//! then lost. (As a value it is true to both, and where a text is wanted the filter says so.)

use serde_json::Value;

/// <https://yaml.org/type/bool.html>, but for `true` and `false`, which are the same in both.
const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

/// The first word of `text` that is a text in `value`, which was read from it, and stands there without quotes.
pub(crate) fn truth_value(text: &str, value: &Value) -> Option<String> {
    let is_text = |word: &str| holds(value, word);
    text.lines().find_map(|line| plain_words(line).find(|word| is_text(word)).map(str::to_owned))
}

/// Whether it is a key or a text in there.
fn holds(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| holds(item, word)),
        Value::Object(fields) => fields.iter().any(|(key, field)| key == word || holds(field, word)),
        _ => false,
    }
}

/// The truth values that are a whole scalar of a line, without quotes.
fn plain_words(line: &str) -> impl Iterator<Item = &str> {
    let code = without_comment(line);
    let words = code.split(|c: char| !c.is_ascii_alphanumeric()).scan(0_usize, |place, word| {
        let start = *place;
        *place = start + word.len() + 1;
        Some((start, word))
    });
    words.filter_map(move |(start, word)| {
        let known = WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
        let before = code.get(..start)?;
        let after = code.get(start + word.len()..)?;
        let opens = before.trim_end().chars().next_back();
        let apart = before.is_empty() || before.ends_with([' ', '{', '[', ',']);
        let begins = apart && opens.is_none_or(|c| matches!(c, '{' | '[' | ',' | ':' | '-'));
        let ends = match after.trim_start().strip_prefix(':') {
            Some(rest) => rest.is_empty() || rest.starts_with(' '),
            None => after.trim_start().is_empty() || after.trim_start().starts_with([',', '}', ']']),
        };
        (known && begins && ends).then_some(word)
    })
}

/// A comment begins with a `#` after a blank.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        truth_value(text, &serde_saphyr::from_str(text).unwrap())
    }

    #[test]
    fn keys_without_quotes() {
        assert_eq!(found("{kty: EC, x: b, y: c}").as_deref(), Some("y"));
        assert_eq!(found("{a: {ON: 1}}").as_deref(), Some("ON"));
        assert_eq!(found("y:\n  a: 1\n").as_deref(), Some("y"));
        assert_eq!(found("- n: 1\n").as_deref(), Some("n"));
    }

    #[test]
    fn what_is_quoted_or_a_part_of_something_else() {
        assert_eq!(found("{kty: EC, \"y\": c, 'n': d, x: \"y\"}"), None);
        assert_eq!(found("# on, off\nx-on: a on b # on\non_error: deny\nvalue: y-axis\n"), None);
        assert_eq!(found("body: \"yes, or no: no\"\n"), None);
    }
}
