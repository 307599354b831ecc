//! One sort for everything that is sorted while rules are filed: the standard library's makes an instance of 5 to 8 KB for
//! each type.

use std::cmp::Ordering;

/// The numbers from 0 to below `length` in the order that `compare` gives what they stand for: heapsort.
pub(super) fn order(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut list: Vec<usize> = (0..length).collect();
    for root in (0..length / 2).rev() {
        sift(&mut list, root, length, compare);
    }
    for end in (1..length).rev() {
        list.swap(0, end);
        sift(&mut list, 0, end, compare);
    }
    list
}

/// Puts the element at `root` in its place below it, in the heap that ends before `end`.
fn sift(list: &mut [usize], mut root: usize, end: usize, compare: &dyn Fn(usize, usize) -> Ordering) {
    loop {
        let greater = |one: usize, other: usize| match (list.get(one), list.get(other)) {
            (Some(one), Some(other)) => compare(*one, *other) == Ordering::Greater,
            _ => false,
        };
        let left = 2 * root + 1;
        let right = left + 1;
        if left >= end {
            return;
        }
        let child = if right < end && greater(right, left) { right } else { left };
        if !greater(child, root) {
            return;
        }
        list.swap(child, root);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_the_order_of_what_they_stand_for() {
        for length in 0..200_usize {
            let values: Vec<usize> = (0..length).map(|number| number * 7_919 % 101).collect();
            let sorted: Vec<usize> = order(length, &|one, other| values[one].cmp(&values[other]))
                .into_iter()
                .map(|at| values[at])
                .collect();
            let mut expected = values.clone();
            expected.sort_unstable();
            assert_eq!(sorted, expected);
        }
    }
}
