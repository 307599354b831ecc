//! Labels of a metric.

use tidegate_config::Cursor;

use crate::source::{Purpose, Source};

/// A label: its name, and where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) source: Source,
    /// The only values there are: any other becomes `other`. Empty: no such list.
    pub(crate) allow: Vec<String>,
    /// Left out where there is no value, instead of `unknown`.
    pub(crate) optional: bool,
}

/// More labels than this make a name that nobody reads.
const MOST_LABELS: usize = 16;

/// The labels of a metric, sorted: a Struct's members arrive in any order, and a series has one name whoever wrote it.
pub(crate) fn labels(
    cursor: Cursor<'_>,
    early: bool,
    templates: bool,
    is_name: fn(&str) -> bool,
) -> Option<Vec<Label>> {
    let decoded = cursor.members(|name, cursor| label(name, cursor, early, templates, is_name))?;
    if decoded.len() > MOST_LABELS {
        return cursor.expected_found(format_args!("at most {MOST_LABELS} labels"), decoded.len());
    }
    let mut labels = Vec::new();
    for label in decoded {
        insert(&mut labels, label);
    }
    Some(labels)
}

/// Puts a label where it belongs.
pub(crate) fn insert(labels: &mut Vec<Label>, label: Label) {
    let place = labels.partition_point(|other| other.name < label.name);
    labels.insert(place, label);
}

fn label(
    name: &str,
    cursor: Cursor<'_>,
    early: bool,
    templates: bool,
    is_name: fn(&str) -> bool,
) -> Option<Label> {
    let named = if is_name(name) && !name.starts_with("__") && !matches!(name, "le" | "quantile") {
        Some(())
    } else {
        cursor.expected_found(
            "a label named in letters, digits and \"_\", other than \"__…\", \"le\" and \"quantile\"",
            format_args!("\"{name}\""),
        )
    };
    let purpose = if early { Purpose::EarlyLabel } else { Purpose::Label };
    let mut allow: Vec<String> = Vec::new();
    let source = Source::decode_with(cursor, purpose, &mut |object| {
        let Some(list) = object.get("allow") else { return true };
        list.non_empty_list().map(|list| allow = list).is_some()
    })?;
    // A list of what is allowed is a list of credentials where a credential is looked at.
    if source.is_credential() {
        return cursor.expected_found("no name of a credential", "one");
    }
    if source.is_template() && !templates {
        return cursor.expected_found("\"path_templates\" beside the metrics", "none");
    }
    named.map(|()| Label { name: name.to_owned(), source, allow, optional: false })
}
