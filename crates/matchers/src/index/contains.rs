//! Which of many byte strings stand in a value: the automaton of Aho and Corasick, one look at each byte.

use crate::bytemap::ByteMap;

/// Byte strings to be found in values.
#[derive(Debug, Default)]
pub(super) struct Contains {
    /// From a state (the tag) by a byte; the edge with number n leads to state n + 1. State 0 is the start.
    edges: ByteMap,
    states: Vec<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    place: Option<u32>,
    /// The state of the longest proper end of this state's text that is a state too.
    shorter: u32,
    /// The nearest of the shorter ones that has a place; 0 if none has.
    ending: u32,
}

impl Contains {
    pub(super) fn insert(&mut self, part: &[u8], place: u32) {
        let mut at = 0;
        for byte in part {
            at = self.edges.insert_tagged(at, &[*byte]) + 1;
        }
        self.states.resize(self.edges.len() + 1, State::default());
        if let Some(state) = self.states.get_mut(at as usize) {
            state.place = Some(place);
        }
    }

    /// Links states, once all are there.
    pub(super) fn finish(&mut self, parts: &[&[u8]]) {
        // Shorter texts first: what a state falls back to is linked before it.
        let longest = parts.iter().map(|part| part.len()).max().unwrap_or(0);
        let mut ways: Vec<(u32, &[u8])> = parts.iter().map(|part| (0, *part)).collect();
        for _ in 0..longest {
            ways.retain_mut(|(at, rest)| {
                let Some((byte, after)) = rest.split_first() else { return false };
                let Some(edge) = self.edges.get_tagged(*at, &[*byte]) else { return false };
                let shorter = if *at == 0 { 0 } else { self.step(self.state(*at).shorter, *byte) };
                let ending =
                    if self.state(shorter).place.is_some() { shorter } else { self.state(shorter).ending };
                if let Some(state) = self.states.get_mut(edge as usize + 1) {
                    (state.shorter, state.ending) = (shorter, ending);
                }
                (*at, *rest) = (edge + 1, after);
                true
            });
        }
    }

    /// Hands on the places of all that stand in `value`, some of them several times.
    pub(super) fn each(&self, value: &[u8], visit: &mut dyn FnMut(u32)) {
        if self.states.is_empty() {
            return;
        }
        let mut at = 0;
        for byte in value {
            at = self.step(at, *byte);
            let mut ending = at;
            while ending != 0 {
                let state = self.state(ending);
                state.place.into_iter().for_each(&mut *visit);
                ending = state.ending;
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            if let Some(edge) = self.edges.get_tagged(at, &[byte]) {
                return edge + 1;
            }
            if at == 0 {
                return 0;
            }
            at = self.state(at).shorter;
        }
    }

    fn state(&self, at: u32) -> State {
        self.states.get(at as usize).copied().unwrap_or_default()
    }
}
