//! Places in JSON documents.

use tidegate_config::Cursor;

/// A place in a JSON document: the names of members on the way to it. Lists are not entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Box<[Box<[u8]>]>);

/// So that what is known of all paths fits into a byte.
pub(super) const MOST_PATHS: usize = 8;

impl JsonPath {
    /// `"usage.total_tokens"`, or a list of such.
    pub(crate) fn one_or_several(cursor: Cursor<'_>) -> Option<Vec<Self>> {
        if !cursor.is_list() {
            return Self::decode(cursor).map(|path| vec![path]);
        }
        let paths: Vec<Option<Self>> = cursor.elements()?.map(Self::decode).collect();
        if !(1..=MOST_PATHS).contains(&paths.len()) {
            return cursor.expected_found(format_args!("one to {MOST_PATHS} fields"), paths.len());
        }
        paths.into_iter().collect()
    }

    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let names = cursor.as_str().map(|text| text.split('.').map(|name| name.as_bytes().into()).collect());
        let path = names.map(|names: Vec<Box<[u8]>>| Self(names.into()));
        match path {
            Some(path) if path.0.iter().all(|name| !name.is_empty()) => Some(path),
            _ => cursor.expected("names with dots between such as \"usage.total_tokens\""),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn name(&self, place: usize) -> Option<&[u8]> {
        self.0.get(place).map(|name| &**name)
    }

    /// The path of these names.
    #[cfg(test)]
    pub(super) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| name.as_bytes().into()).collect())
    }
}
