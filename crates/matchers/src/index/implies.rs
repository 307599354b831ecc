//! Whether what satisfies one rule satisfies another.

use super::clause::{Ask, Atom, Clause, View};

/// Whether every request that `narrow` applies to satisfies `wide` too. False where that cannot be told.
pub(super) fn implies(narrow: &View<'_>, wide: &View<'_>) -> bool {
    if wide.not.is_some() && wide.not != narrow.not {
        return false;
    }
    // What of `wide` is covered: `match`, and each alternative of `any`.
    let mut covered = vec![true; wide.ways + 1];
    for clause in &wide.clauses {
        if let Some(covered) = covered.get_mut(clause.way) {
            *covered = *covered && clause.exact && is_covered(clause, narrow);
        }
    }
    let one_way = wide.ways == 0 || covered.iter().skip(1).any(|covered| *covered);
    one_way && covered.first() == Some(&true)
}

/// Whether `narrow` asks for no less than `clause`: in its `match`, or in each alternative of its `any`.
fn is_covered(clause: &Clause<'_>, narrow: &View<'_>) -> bool {
    let mut by = vec![false; narrow.ways + 1];
    for one in &narrow.clauses {
        if let Some(by) = by.get_mut(one.way) {
            *by = *by || clause_implies(one, clause);
        }
    }
    by.first() == Some(&true) || (narrow.ways > 0 && by.iter().skip(1).all(|by| *by))
}

/// Whether each way to satisfy `narrow` is one to satisfy `wide`.
fn clause_implies(narrow: &Clause<'_>, wide: &Clause<'_>) -> bool {
    for atom in &narrow.atoms {
        if !wide.atoms.iter().any(|other| atom_implies(atom, other)) {
            return false;
        }
    }
    true
}

fn atom_implies(narrow: &Atom<'_>, wide: &Atom<'_>) -> bool {
    if narrow.slot != wide.slot {
        return false;
    }
    // A field that has a value, whatever it is, is there.
    if matches!(wide.ask, Ask::Present) {
        return !matches!(narrow.ask, Ask::Absent);
    }
    match (&narrow.ask, &wide.ask) {
        (Ask::Exact(value), wide) => holds(value, wide),
        (Ask::Prefix(narrow), Ask::Prefix(wide)) => narrow.starts_with(wide),
        (Ask::Suffix(narrow), Ask::Suffix(wide)) => narrow.ends_with(wide),
        (Ask::Prefix(narrow) | Ask::Suffix(narrow) | Ask::Contains(narrow), Ask::Contains(wide)) => {
            narrow.windows(wide.len()).any(|window| window == *wide)
        }
        (Ask::Segments(narrow), wide @ Ask::Segments(_)) => holds(narrow, wide),
        (Ask::Template(narrow), wide @ Ask::Segments(_)) => holds(&narrow.literal_prefix(), wide),
        (Ask::Template(narrow), Ask::Template(wide)) => narrow.shape() == wide.shape(),
        (Ask::Regex(narrow), Ask::Regex(wide)) => narrow == wide,
        (Ask::Range(least, most), Ask::Range(lower, upper)) => lower <= least && most <= upper,
        (Ask::Addresses(narrow), Ask::Addresses(wide)) => wide.contains_all(narrow),
        (Ask::Absent, Ask::Absent) => true,
        _ => false,
    }
}

/// Whether a value satisfies what is asked.
fn holds(value: &[u8], ask: &Ask<'_>) -> bool {
    match ask {
        Ask::Exact(other) => *value == **other,
        Ask::Prefix(part) => value.starts_with(part),
        Ask::Suffix(part) => value.ends_with(part),
        Ask::Contains(part) => value.windows(part.len()).any(|window| window == *part),
        Ask::Regex(regex) => regex.matches(value),
        Ask::Range(least, most) => {
            crate::text::integer(value).is_some_and(|number| (*least..=*most).contains(&number))
        }
        Ask::Present => true,
        Ask::Segments(path) => {
            value.strip_prefix(*path).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        }
        Ask::Template(template) => template.fits(value),
        Ask::Absent | Ask::Addresses(_) => false,
    }
}
