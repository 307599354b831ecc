//! JSON for people: what fits on a line stands on one.

use serde_json::Value;

/// How long a line may be, its indentation left out.
const WIDTH: usize = 100;

/// A value on as few lines as can be read.
pub(crate) fn shown(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let flat = flat(value);
    // What a document begins with is never on one line.
    if depth > 0 && flat.len() <= WIDTH {
        text.push_str(&flat);
        return;
    }
    let indentation = "  ".repeat(depth + 1);
    let (open, close, items): (char, char, Vec<(String, &Value)>) = match value {
        Value::Object(fields) => {
            let key = |key: &String| format!("{}: ", Value::from(key.as_str()));
            ('{', '}', fields.iter().map(|(name, field)| (key(name), field)).collect())
        }
        Value::Array(items) => ('[', ']', items.iter().map(|item| (String::new(), item)).collect()),
        scalar => return text.push_str(&scalar.to_string()),
    };
    text.push(open);
    for (number, (key, item)) in items.into_iter().enumerate() {
        text.push_str(if number > 0 { ",\n" } else { "\n" });
        text.push_str(&indentation);
        text.push_str(&key);
        write(item, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}

fn flat(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| format!("{}: {}", Value::from(name.as_str()), flat(field)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_on_a_line_stands_on_one_and_nothing_is_lost() {
        let long = "x".repeat(90);
        let value = serde_json::json!({"a": [1, {"b": null}], "c": {"d": long, "e\"": [true, "f"]}});
        let text = shown(&value);
        assert!(text.starts_with("{\n  \"a\": [1, {\"b\": null}],\n  \"c\": {\n    \"d\": "), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
