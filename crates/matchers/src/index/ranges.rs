//! Which of many ranges hold a number: a tree of ranges by their least number, each knowing how far its part reaches.

use super::order::order;

/// Ranges of integers, both ends included.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// In the order of `least`. The middle of each part is the root of that part's tree.
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    least: i64,
    most: i64,
    place: u32,
    /// The greatest `most` in the part that this range is the middle of.
    reach: i64,
}

impl Ranges {
    pub(super) fn insert(&mut self, least: i64, most: i64, place: u32) {
        self.ranges.push(Range { least, most, place, reach: most });
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Sorts, once all are there.
    pub(super) fn finish(&mut self) {
        let least = |at: usize| self.ranges.get(at).map(|range| range.least);
        let order = order(self.ranges.len(), &|one, other| least(one).cmp(&least(other)));
        self.ranges = order.into_iter().filter_map(|at| self.ranges.get(at).copied()).collect();
        reach(&mut self.ranges);
    }

    /// Hands on the places of all ranges that hold `number`.
    pub(super) fn each(&self, number: i64, visit: &mut dyn FnMut(u32)) {
        each(&self.ranges, number, visit);
    }
}

fn reach(part: &mut [Range]) -> i64 {
    let middle = part.len() / 2;
    let (before, rest) = part.split_at_mut(middle);
    let Some((root, after)) = rest.split_first_mut() else { return i64::MIN };
    root.reach = root.most.max(reach(before)).max(reach(after));
    root.reach
}

fn each(part: &[Range], number: i64, visit: &mut dyn FnMut(u32)) {
    let (before, rest) = part.split_at(part.len() / 2);
    let Some((root, after)) = rest.split_first() else { return };
    if root.reach < number {
        return;
    }
    each(before, number, visit);
    if root.least <= number {
        if root.most >= number {
            visit(root.place);
        }
        each(after, number, visit);
    }
}
