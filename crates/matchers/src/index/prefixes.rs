//! A flattened trie: which of many byte strings a value starts with, or ends with.

use super::order::order;

/// Byte strings, sorted, each linked to the longest other one that it starts with.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    prefix: Box<[u8]>,
    place: u32,
    /// The longest entry that this one starts with.
    shorter: Option<u32>,
}

impl Prefixes {
    pub(super) fn insert(&mut self, prefix: impl Into<Box<[u8]>>, place: u32) {
        self.entries.push(Entry { prefix: prefix.into(), place, shorter: None });
    }

    /// Sorts and links, once all are there.
    pub(super) fn finish(&mut self) {
        let mut entries: Vec<Option<Entry>> =
            std::mem::take(&mut self.entries).into_iter().map(Some).collect();
        let prefix = |at: usize| entries.get(at).and_then(Option::as_ref).map(|entry| &entry.prefix);
        let order = order(entries.len(), &|one, other| prefix(one).cmp(&prefix(other)));
        self.entries =
            order.into_iter().filter_map(|at| entries.get_mut(at).and_then(Option::take)).collect();
        // The entries that the current one starts with, longest last.
        let mut open: Vec<u32> = Vec::new();
        for index in 0..self.entries.len() {
            let (before, rest) = self.entries.split_at_mut(index);
            let Some(entry) = rest.first_mut() else { break };
            let starts = |open: &u32| {
                before.get(*open as usize).is_some_and(|shorter| entry.prefix.starts_with(&shorter.prefix))
            };
            while open.last().is_some_and(|last| !starts(last)) {
                open.pop();
            }
            entry.shorter = open.last().copied();
            open.push(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }

    /// Hands on the places of all that `value` starts with.
    pub(super) fn each(&self, value: impl Iterator<Item = u8> + Clone, visit: &mut dyn FnMut(u32)) {
        // The last entry that is not greater: if any prefix of the value is there, it is this one or one that it starts with.
        let after =
            self.entries.partition_point(|entry| entry.prefix.iter().copied().cmp(value.clone()).is_le());
        let mut at = after.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.entries.get(at)) {
            if entry.prefix.iter().copied().eq(value.clone().take(entry.prefix.len())) {
                visit(entry.place);
            }
            at = entry.shorter.map(|shorter| shorter as usize);
        }
    }
}
