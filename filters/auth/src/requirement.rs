//! Which identities a rule asks for: one provider's, any of several, all of several.

use tidegate_config::Cursor;

/// Deeper nesting is a mistake, and costs stack.
const DEEPEST: usize = 8;

/// A tree of providers, each named by its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) wanted: Wanted,
    /// Whether a request without any credential passes. One with a bad credential never does.
    pub(crate) allow_missing: bool,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Provider(usize),
    Any(Vec<Requirement>),
    All(Vec<Requirement>),
}

impl Requirement {
    /// `NAME`, `{provider: NAME}`, `{any_of: […]}` or `{all_of: […]}`, the objects with `allow_missing`.
    pub(crate) fn decode(cursor: Cursor<'_>, providers: &[&str]) -> Option<Self> {
        Self::decode_within(cursor, providers, DEEPEST)
    }

    fn decode_within(cursor: Cursor<'_>, providers: &[&str], depth: usize) -> Option<Self> {
        if !cursor.is_object() {
            return provider(cursor, providers)
                .map(|index| Self { wanted: Wanted::Provider(index), allow_missing: false });
        }
        let Some(below) = depth.checked_sub(1) else {
            return cursor.expected_found(format_args!("at most {DEEPEST} levels"), "more");
        };
        let mut object = cursor.object()?;
        let variant = object.one_of(&["provider", "any_of", "all_of"]);
        let allow_missing = object.or("allow_missing", false);
        object.finish();
        let variant = variant?;
        let wanted = match variant.key {
            "provider" => provider(variant.cursor, providers).map(Wanted::Provider),
            key => {
                let parts: Vec<Option<Self>> = variant
                    .cursor
                    .elements()?
                    .map(|element| Self::decode_within(element, providers, below))
                    .collect();
                if parts.is_empty() {
                    return variant.cursor.expected("a list of at least one");
                }
                let parts: Vec<Self> = parts.into_iter().collect::<Option<_>>()?;
                Some(if key == "any_of" { Wanted::Any(parts) } else { Wanted::All(parts) })
            }
        };
        Some(Self { wanted: wanted?, allow_missing: allow_missing? })
    }

    /// All providers in the tree, in order.
    pub(crate) fn providers(&self) -> Vec<usize> {
        match &self.wanted {
            Wanted::Provider(index) => vec![*index],
            Wanted::Any(parts) | Wanted::All(parts) => parts.iter().flat_map(Self::providers).collect(),
        }
    }
}

fn provider(cursor: Cursor<'_>, providers: &[&str]) -> Option<usize> {
    let found = providers.iter().position(|name| cursor.as_str() == Some(*name));
    found.or_else(|| cursor.expected(format_args!("the name of a provider: {}", providers.join(", "))))
}
