//! Edits to a header map, collected now and performed later.

use std::ops::Range;

/// One edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What to do.
    pub kind: EditKind,
    /// Of which header, in lower case.
    pub name: &'a str,
    /// With which value; empty for [`EditKind::Remove`].
    pub value: &'a [u8],
}

/// What an edit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// One value instead of all that were there.
    Set,
    /// One value more.
    Append,
    /// No value any more.
    Remove,
}

/// Edits in order. Names and values share one buffer, so that any number of edits costs two allocations.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    text: String,
    values: Vec<u8>,
    edits: Vec<(EditKind, Range<usize>, Range<usize>)>,
}

impl Edits {
    pub(crate) fn push(&mut self, kind: EditKind, name: &str, value: &[u8]) {
        let name_start = self.text.len();
        self.text.push_str(name);
        let value_start = self.values.len();
        self.values.extend_from_slice(value);
        self.edits.push((kind, name_start..self.text.len(), value_start..self.values.len()));
    }

    pub(crate) fn len(&self) -> usize {
        self.edits.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<Edit<'_>> {
        let (kind, name, value) = self.edits.get(index)?;
        Some(Edit { kind: *kind, name: self.text.get(name.clone())?, value: self.values.get(value.clone())? })
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Edit<'_>> + Clone {
        (0..self.edits.len()).filter_map(move |index| self.get(index))
    }
}
