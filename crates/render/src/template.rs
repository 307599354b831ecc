//! Fills templates in: files of the host's own language with a few marks of mustache's.
//!
//! `{{name}}` stands for a value. One of several lines begins where its mark stands, and its further lines are indented
//! as far, or are comments where the mark stands in one. A line whose only mark has nothing to say goes away.
//! `{{#name}}` … `{{/name}}`, on lines of their own, is left out where the value is empty; `{{^name}}` … `{{/name}}` where
//! it is not.

use std::collections::BTreeMap;

/// What is put in place of marks.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// What is wrong with a template. Tests render all of them, so that nobody else ever sees one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError(String);

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The template with values in place of its marks.
pub(crate) fn fill(template: &str, values: &Values) -> Result<String, TemplateError> {
    let value = |name: &str| {
        values.get(name).map(String::as_str).ok_or_else(|| TemplateError(format!("nothing is called {name}")))
    };
    let mut filled = String::new();
    // Of each open section, whether it is written.
    let mut sections: Vec<bool> = Vec::new();
    for line in template.lines() {
        match section(line.trim()) {
            Some(('#', name)) => sections.push(!value(name)?.is_empty()),
            Some(('^', name)) => sections.push(value(name)?.is_empty()),
            Some(_) => {
                sections.pop().ok_or_else(|| TemplateError(format!("{line}: no section is open")))?;
            }
            None if sections.iter().all(|written| *written) => filled.push_str(&fill_line(line, &value)?),
            None => {}
        }
    }
    if sections.is_empty() { Ok(filled) } else { Err(TemplateError("a section is never closed".to_owned())) }
}

fn section(line: &str) -> Option<(char, &str)> {
    let inner = line.strip_prefix("{{")?.strip_suffix("}}")?;
    let kind = inner.chars().next().filter(|kind| "#^/".contains(*kind))?;
    inner.get(1..).map(|name| (kind, name))
}

fn fill_line<'v>(
    line: &str,
    value: &dyn Fn(&str) -> Result<&'v str, TemplateError>,
) -> Result<String, TemplateError> {
    let (mut filled, mut rest, mut marks, mut said) = (String::new(), line, 0_u32, false);
    while let Some((before, name, after)) = mark(rest) {
        marks += 1;
        filled.push_str(before);
        let value = value(name)?.trim_end_matches('\n');
        said |= !value.is_empty();
        if value.contains('\n') && !after.is_empty() {
            return Err(TemplateError(format!("{name} has several lines, and something stands behind it")));
        }
        filled = join(&filled, value);
        rest = after;
    }
    filled.push_str(rest);
    let bare = filled.trim_matches(|c: char| c.is_whitespace() || c == '#').is_empty();
    if marks > 0 && !said && bare {
        return Ok(String::new());
    }
    Ok(filled.trim_end().to_owned() + "\n")
}

/// `before {{name}} after`
fn mark(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

/// A value behind `start`: further lines are indented as far as the first, or commented like it.
fn join(start: &str, value: &str) -> String {
    let comment = start.trim_start().starts_with('#');
    let indentation: String = if comment { start.to_owned() } else { " ".repeat(start.chars().count()) };
    let mut joined = start.to_owned();
    for (number, line) in value.lines().enumerate() {
        if number == 0 && comment && line.is_empty() {
            joined = joined.trim_end().to_owned();
        }
        if number > 0 {
            joined.push('\n');
            if !line.is_empty() {
                joined.push_str(&indentation);
            } else if comment {
                joined.push_str(indentation.trim_end());
            }
        }
        joined.push_str(line);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &[(&'static str, &str)]) -> Result<String, TemplateError> {
        let values = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        fill(template, &values)
    }

    #[test]
    fn further_lines_stand_below_the_first() {
        let block = "# why\na: 1\n\nb:\n  - c\n";
        assert_eq!(
            filled("x:\n  - {{block}}\n", &[("block", block)]).unwrap(),
            "x:\n  - # why\n    a: 1\n\n    b:\n      - c\n"
        );
        assert_eq!(filled("  # {{text}}\n", &[("text", "a\n\nb")]).unwrap(), "  # a\n  #\n  # b\n");
    }

    #[test]
    fn what_has_nothing_to_say_goes_away() {
        let template =
            "a\n  {{none}}\n# {{none}}\nb: {{none}}\n{{#none}}\nc\n{{/none}}\n{{^none}}\nd\n{{/none}}\n";
        assert_eq!(filled(template, &[("none", "")]).unwrap(), "a\nb:\nd\n");
        assert_eq!(filled("{{#x}}\n{{^x}}\na\n{{/x}}\n{{/x}}\n", &[("x", "1")]).unwrap(), "");
    }

    #[test]
    fn a_template_that_is_wrong_is_told() {
        for (template, expected) in [
            ("{{x}}\n", "nothing is called x"),
            ("{{/a}}\n", "no section is open"),
            ("{{#a}}\n", "a section is never closed"),
            ("[{{a}}]\n", "a has several lines"),
        ] {
            let told = filled(template, &[("a", "1\n2")]).unwrap_err().to_string();
            assert!(told.contains(expected), "{template}: {told}");
        }
    }
}
