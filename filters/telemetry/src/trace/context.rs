//! What a request says of the trace that it is part of.

/// Where in a trace a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// Whether those before decided to record the trace; `None` if they left it open.
    pub(crate) sampled: Option<bool>,
}

/// What one format's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Nothing, or nothing that can be read.
    Nothing,
    /// Only whether to record the trace (B3).
    Decision(bool),
    /// Where the request comes from.
    Parent(Parent),
}

/// Where this request stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: [u8; 16],
    /// The span that the upstream's is a child of: this filter's own, if it records one.
    pub(crate) span_id: [u8; 8],
    /// The span that this filter's is a child of.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) sampled: bool,
    /// Whether `span_id` is a span that this filter records.
    pub(crate) recorded: bool,
}

/// How many of all traces are to be recorded.
///
/// Consistent probability sampling (OpenTelemetry, "TraceState: Probability Sampling"): the last seven bytes of the trace
/// id are random, and a trace is sampled if they are at least this threshold. Everybody who looks at the same id with the
/// same probability decides alike, and who samples more samples also what others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sampling(u64);

const RANDOMNESS: u64 = 1 << 56;

impl Sampling {
    /// From a share between 0 and 1.
    pub(crate) fn new(share: f64) -> Self {
        // Exact at both ends: 1 samples every id, 0 none.
        Self(((1.0 - share.clamp(0.0, 1.0)) * RANDOMNESS as f64) as u64)
    }

    /// Whether the trace of this id is sampled.
    pub(crate) fn takes(self, trace_id: [u8; 16]) -> bool {
        let randomness = u128::from_be_bytes(trace_id) as u64 & (RANDOMNESS - 1);
        randomness >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(randomness: u64) -> [u8; 16] {
        (u128::from(u64::MAX) << 64 | u128::from(0xab << 56 | randomness)).to_be_bytes()
    }

    #[test]
    fn the_last_seven_bytes_decide() {
        let half = Sampling::new(0.5);
        assert!(!half.takes(id(RANDOMNESS / 2 - 1)));
        assert!(half.takes(id(RANDOMNESS / 2)));
    }

    #[test]
    fn all_and_none_are_exact() {
        for randomness in [0, 1, RANDOMNESS - 1] {
            assert!(Sampling::new(1.0).takes(id(randomness)));
            assert!(!Sampling::new(0.0).takes(id(randomness)));
        }
    }

    #[test]
    fn who_samples_more_samples_what_others_do() {
        for randomness in (0..1_000).map(|step| step * (RANDOMNESS / 1_000)) {
            assert!(!Sampling::new(0.1).takes(id(randomness)) || Sampling::new(0.3).takes(id(randomness)));
        }
    }
}
