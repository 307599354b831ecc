//! Who is measured when: each case between two measurements of its baseline, never far from either.

use super::case::Case;

/// At most so many cases stand between two measurements of a baseline.
const BETWEEN: usize = 4;

/// What is measured.
pub(super) struct Plan {
    /// The baselines, then the cases.
    pub(super) subjects: Vec<Case>,
    /// The baseline of each subject; a baseline is its own.
    pub(super) baselines: Vec<usize>,
}

impl Plan {
    /// Cases under the same load, in Envoys that differ by nothing else than what the cases are about, share a baseline.
    pub(super) fn new(cases: &[Case]) -> Self {
        let mut subjects: Vec<Case> = Vec::new();
        let mut baselines = Vec::new();
        for case in cases {
            let mut baseline = case.baseline();
            let same = |other: &Case| other.shares_envoy(&baseline) && other.load.is_like(&baseline.load);
            let found = subjects.iter().position(same).unwrap_or_else(|| {
                if !subjects.is_empty() {
                    baseline.name = format!("none/{}", case.name);
                    baseline.about = format!("the Envoy of {} without any filter", case.name);
                }
                subjects.push(baseline.clone());
                subjects.len() - 1
            });
            baselines.push(found);
        }
        let own = 0..subjects.len();
        subjects.extend(cases.iter().cloned());
        Self { subjects, baselines: own.chain(baselines).collect() }
    }

    /// Whether a subject is a baseline.
    pub(super) fn is_baseline(&self, subject: usize) -> bool {
        self.baselines[subject] == subject
    }

    /// The subjects of a round in their order. Every other round runs backwards: what comes late in one comes early in
    /// the next.
    pub(super) fn round(&self, number: u32) -> Vec<usize> {
        let mut order = Vec::new();
        for baseline in (0..self.subjects.len()).filter(|subject| self.is_baseline(*subject)) {
            let mine: Vec<usize> = (0..self.subjects.len())
                .filter(|subject| self.baselines[*subject] == baseline && *subject != baseline)
                .collect();
            for cases in mine.chunks(BETWEEN) {
                order.push(baseline);
                order.extend(cases);
            }
            order.push(baseline);
        }
        if number % 2 == 1 {
            order.reverse();
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::{Answer, Setup};
    use crate::bench::load::{Load, Request};

    fn case(name: &str, answer: Answer, keys: u64) -> Case {
        Case::new(name, "", Load::of(Request::to("/")).keys(keys), Setup::default).answer(answer)
    }

    #[test]
    fn a_baseline_stands_before_after_and_between() {
        let cases: Vec<Case> = (0..6).map(|number| case(&number.to_string(), Answer::Direct, 1)).collect();
        let plan = Plan::new(&cases);
        assert_eq!(plan.round(0), [0, 1, 2, 3, 4, 0, 5, 6, 0]);
        assert_eq!(plan.round(1), [0, 6, 5, 0, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn the_number_of_keys_needs_no_baseline_of_its_own_but_another_envoy_does() {
        let cases =
            [case("a", Answer::Direct, 1), case("b", Answer::Direct, 9), case("c", Answer::Upstream, 1)];
        let plan = Plan::new(&cases);
        let names: Vec<&str> = plan.subjects.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["none", "none/c", "a", "b", "c"]);
        assert_eq!(plan.baselines, [0, 1, 0, 0, 1]);
        assert_eq!(plan.round(0), [0, 2, 3, 0, 1, 4, 1]);
    }
}
