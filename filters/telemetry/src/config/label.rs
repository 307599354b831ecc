//! Labels of a metric.

use tidegate_config::{Cursor, Object};

use crate::attribute::Attribute;
use crate::redact::names_credential;
use crate::source::{Purpose, Source};

/// A label: its name, and where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) source: Source,
    /// The only values there are, sorted: any other becomes `other`. Empty: no such list.
    pub(crate) allow: Vec<String>,
    /// Left out where there is no value, instead of `unknown`.
    pub(crate) optional: bool,
}

/// More labels than this make a name that nobody reads.
const MOST_LABELS: usize = 16;

/// The labels of a metric, sorted: a Struct's members arrive in any order, and a series has one name whoever wrote it.
pub(crate) fn labels(
    object: &mut Object<'_>,
    early: bool,
    templates: bool,
    is_name: fn(&str) -> bool,
) -> Option<Vec<Label>> {
    let Some(cursor) = object.get("labels") else { return Some(Vec::new()) };
    let labels: Vec<Option<Label>> =
        cursor.entries()?.map(|(name, cursor)| label(name, cursor, early, templates, is_name)).collect();
    if labels.len() > MOST_LABELS {
        return cursor.expected_found(format_args!("at most {MOST_LABELS} labels"), labels.len());
    }
    let mut labels = labels.into_iter().collect::<Option<Vec<Label>>>()?;
    labels.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Some(labels)
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
    let decoded = Source::decode(cursor, purpose, |object| {
        let Some(object) = object else { return Some(Vec::new()) };
        object.get("allow").map_or(Some(Vec::new()), Cursor::non_empty_list)
    });
    let (source, mut allow): (Source, Vec<String>) = decoded?;
    allow.sort_unstable();
    let credential = match &source {
        Source::Header(name) | Source::ResponseHeader(name) => names_credential(name.as_str().as_bytes()),
        Source::Cookie(name) => names_credential(name.as_bytes()),
        _ => false,
    };
    // A list of what is allowed is a list of credentials where a credential is looked at.
    if credential {
        return cursor.expected_found("no name of a credential", "one");
    }
    if source == Source::Attribute(Attribute::PathTemplate) && !templates {
        return cursor.expected_found("\"path_templates\" beside the metrics", "none");
    }
    named.map(|()| Label { name: name.to_owned(), source, allow, optional: false })
}
