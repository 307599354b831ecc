//! Arithmetic over samples: medians, spreads, and differences to the baselines around a sample.

/// The value in the middle; between the two in the middle where their number is even. 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(upper), 1) => *upper,
        (Some(upper), _) => f64::midpoint(sorted[middle - 1], *upper),
    }
}

/// How far from the median half of the values are: the median of the distances. One wild value does not move it.
pub(super) fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    median(&values.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>())
}

/// What is measured at a place of a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Who was measured.
    pub(super) subject: usize,
    /// CPU microseconds per request.
    pub(super) cpu_us: f64,
}

/// What the subject at `place` of a round took more than its baseline: the two measurements of the baseline around it,
/// weighed by how near they are, so that a machine that grows slower during the round does not count as cost.
pub(super) fn added(round: &[Measured], place: usize, baseline: usize) -> Option<f64> {
    let is_baseline = |at: &usize| round[*at].subject == baseline;
    let before = (0..place).rev().find(is_baseline);
    let after = (place + 1..round.len()).find(is_baseline);
    let own = round.get(place)?.cpu_us;
    let expected = match (before, after) {
        (Some(before), Some(after)) => {
            let way = (place - before) as f64 / (after - before) as f64;
            round[before].cpu_us + way * (round[after].cpu_us - round[before].cpu_us)
        }
        (Some(only), None) | (None, Some(only)) => round[only].cpu_us,
        (None, None) => return None,
    };
    Some(own - expected)
}

/// The quotient, where it says something: what noise has brought below zero has no ratio.
pub(super) fn ratio(of: f64, to: f64) -> Option<f64> {
    (of >= 0.0 && to > 0.0).then(|| of / to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(measured: &[(usize, f64)]) -> Vec<Measured> {
        measured.iter().map(|(subject, cpu_us)| Measured { subject: *subject, cpu_us: *cpu_us }).collect()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), 5.5);
    }

    #[test]
    fn one_wild_value_moves_neither_median_nor_spread() {
        assert_eq!(median(&[2.0, 3.0, 2.5, 40.0, 2.25]), 2.5);
        assert_eq!(spread(&[2.0, 3.0, 2.5, 40.0, 2.25]), 0.5);
        assert_eq!(spread(&[7.0]), 0.0);
        assert_eq!(spread(&[]), 0.0);
    }

    #[test]
    fn a_machine_that_grows_slower_is_no_cost() {
        // Everything takes two more from place to place; the case takes five more than the baseline.
        let drifting = round(&[(0, 10.0), (1, 17.0), (2, 15.0), (0, 16.0)]);
        assert_eq!(added(&drifting, 1, 0), Some(5.0));
        assert_eq!(added(&drifting, 2, 0), Some(1.0));
    }

    #[test]
    fn the_nearest_baselines_count_and_only_ones_own() {
        let mixed = round(&[(0, 10.0), (9, 50.0), (1, 15.0), (0, 12.0), (1, 30.0), (0, 90.0)]);
        assert_eq!(added(&mixed, 2, 0), Some(15.0 - (10.0 + 2.0 * 2.0 / 3.0)));
        assert_eq!(added(&mixed, 4, 0), Some(30.0 - 51.0));
        assert_eq!(added(&mixed, 2, 9), Some(-35.0));
        assert_eq!(added(&mixed, 2, 7), None);
    }

    #[test]
    fn nothing_is_no_measure() {
        assert_eq!(ratio(6.0, 3.0), Some(2.0));
        assert_eq!(ratio(0.0, 3.0), Some(0.0));
        assert_eq!(ratio(-0.1, 3.0), None);
        assert_eq!(ratio(6.0, 0.0), None);
        assert_eq!(ratio(6.0, -0.1), None);
    }
}
