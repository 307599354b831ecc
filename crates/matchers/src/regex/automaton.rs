//! One or many expressions as one DFA whose states are made when first needed.
//!
//! A state is the set of instructions that the value so far can have led to. Its transitions are found out once and kept,
//! in bounded memory: when that is full, all is forgotten and made again. So a value costs one look-up per byte, and at
//! worst, when every byte leads to a state that is not known, instructions times bytes.

use std::cell::RefCell;
use std::rc::Rc;

use super::Regex;
use super::parse::{Assert, is_word};
use super::program::{Instruction, Program};
use super::set::ByteSet;
use crate::bytemap::ByteMap;

/// One or many programs, and what is known so far of their states.
pub(crate) struct Automaton {
    instructions: Vec<Instruction>,
    sets: Vec<ByteSet>,
    starts: Vec<u32>,
    /// Which bytes no set tells apart: each byte's class.
    classes: Box<[u8; 256]>,
    width: usize,
    /// Most bytes that states may take.
    most: usize,
    states: RefCell<States>,
}

/// States by number. The state without instructions, from which nothing matches, has number 0.
#[derive(Default)]
struct States {
    /// The instructions of each, sorted, four bytes each; behind them, if any of them is an assertion, the byte before.
    sets: ByteMap,
    /// For each state and class the state that follows, plus one; 0 while it is not known.
    next: Vec<u32>,
    /// What matches if the value ends here.
    matching: Vec<Option<Rc<[u32]>>>,
    start: Option<u32>,
    bytes: usize,
    /// How often all has been forgotten.
    turn: usize,
}

/// The bytes around a place in a value; none at its ends.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub(super) before: Option<u8>,
    pub(super) after: Option<u8>,
}

pub(super) fn holds(assert: Assert, around: Around) -> bool {
    let word = |byte: Option<u8>| byte.is_some_and(is_word);
    match assert {
        Assert::Start => around.before.is_none(),
        Assert::End => around.after.is_none(),
        Assert::LineStart => around.before.is_none_or(|byte| byte == b'\n'),
        Assert::LineEnd => around.after.is_none_or(|byte| byte == b'\n'),
        Assert::WordBoundary => word(around.before) != word(around.after),
        Assert::NoWordBoundary => word(around.before) == word(around.after),
    }
}

/// How a state remembers the byte before it: assertions ask for no more.
const AT_START: u32 = u32::MAX;

impl Automaton {
    /// The automaton of one expression.
    pub(super) fn of_one(program: &Program) -> Self {
        Self::new(std::iter::once(program), 16 << 10)
    }

    /// One automaton for many expressions, which have the numbers of their places in the list.
    pub(crate) fn of_many(list: &[Regex]) -> Self {
        Self::new(list.iter().map(Regex::program), 1 << 20)
    }

    fn new<'p>(programs: impl Iterator<Item = &'p Program>, most: usize) -> Self {
        let mut automaton = Self {
            instructions: Vec::new(),
            sets: Vec::new(),
            starts: Vec::new(),
            classes: Box::new([0; 256]),
            width: 1,
            most,
            states: RefCell::default(),
        };
        let mut numbers = ByteMap::default();
        for (pattern, program) in (0..).zip(programs) {
            automaton.add(pattern, program, &mut numbers);
        }
        automaton.classify();
        // States of many instructions are large themselves.
        automaton.most += automaton.instructions.len() * 32;
        automaton
    }

    fn add(&mut self, pattern: u32, program: &Program, numbers: &mut ByteMap) {
        let offset = u32::try_from(self.instructions.len()).unwrap_or(u32::MAX);
        self.starts.push(offset);
        let sets: Vec<u32> = program
            .sets
            .iter()
            .map(|set| {
                let number = numbers.insert(&set.to_bytes());
                if number as usize == self.sets.len() {
                    self.sets.push(*set);
                }
                number
            })
            .collect();
        let moved = program.instructions.iter().map(|instruction| match *instruction {
            Instruction::Take(set, next) => {
                Instruction::Take(sets.get(set as usize).copied().unwrap_or(u32::MAX), next + offset)
            }
            Instruction::Split(first, second) => Instruction::Split(first + offset, second + offset),
            // What groups take is nobody's business here.
            Instruction::Jump(next) | Instruction::Save(_, next) => Instruction::Jump(next + offset),
            Instruction::Assert(assert, next) => Instruction::Assert(assert, next + offset),
            Instruction::Match(_) => Instruction::Match(pattern),
        });
        self.instructions.extend(moved);
    }

    /// Neighbours that no set tells apart are of one class. Assertions tell words and line feeds apart.
    fn classify(&mut self) {
        let asserts = self.instructions.iter().any(|it| matches!(it, Instruction::Assert(..)));
        if asserts {
            self.sets.push(ByteSet::of(b'\n'));
            self.sets.push(ByteSet::word());
        }
        let mut class = 0;
        let mut before = None;
        for (byte, place) in (0..=u8::MAX).zip(self.classes.iter_mut()) {
            let differs = |before: u8| self.sets.iter().any(|set| set.contains(before) != set.contains(byte));
            class += u8::from(before.is_some_and(differs));
            *place = class;
            before = Some(byte);
        }
        self.width = usize::from(class) + 1;
    }

    /// Whether any expression matches the whole of `value`.
    pub(crate) fn matches_any(&self, value: &[u8]) -> bool {
        self.run(value).is_some_and(|matching| !matching.is_empty())
    }

    /// The numbers of all expressions that match the whole of `value`.
    pub(crate) fn matching(&self, value: &[u8]) -> Rc<[u32]> {
        self.run(value).unwrap_or_default()
    }

    /// How many bytes its states take, and how many they may.
    #[cfg(test)]
    pub(super) fn memory(&self) -> (usize, usize) {
        (self.states.borrow().bytes, self.most)
    }

    fn run(&self, value: &[u8]) -> Option<Rc<[u32]>> {
        let states = &mut *self.states.borrow_mut();
        let mut state = match states.start {
            Some(state) => state,
            None => {
                let first = self.start();
                let state = self.number(states, &first);
                states.start = Some(state);
                state
            }
        };
        for byte in value {
            let class = self.classes.get(usize::from(*byte)).copied().unwrap_or(0);
            let place = state as usize * self.width + usize::from(class);
            state = match states.next.get(place) {
                Some(0) => self.step(states, state, place, *byte),
                Some(known) => known - 1,
                None => return None,
            };
            if state == 0 {
                return None;
            }
        }
        self.ending(states, state)
    }

    fn start(&self) -> Vec<u8> {
        let mut reached = Reached::new(self.instructions.len());
        for start in &self.starts {
            self.follow(*start, None, &mut reached);
        }
        self.keyed(reached, AT_START)
    }

    /// The state that follows `state` by `byte`, which is not known yet.
    #[cold]
    fn step(&self, states: &mut States, state: u32, place: usize, byte: u8) -> u32 {
        let open = self.resolved(states.sets.key(state), Some(byte));
        let mut reached = Reached::new(self.instructions.len());
        for at in open {
            if let Some(Instruction::Take(set, next)) = self.instructions.get(at as usize)
                && self.sets.get(*set as usize).is_some_and(|set| set.contains(byte))
            {
                self.follow(*next, None, &mut reached);
            }
        }
        let turn = states.turn;
        let next = self.keyed(reached, u32::from(byte));
        let made = self.number(states, &next);
        // If all was forgotten meanwhile, `place` is another one's.
        if states.turn == turn
            && let Some(known) = states.next.get_mut(place)
        {
            *known = made + 1;
        }
        made
    }

    /// What matches if the value ends in `state`.
    fn ending(&self, states: &mut States, state: u32) -> Option<Rc<[u32]>> {
        if let Some(Some(known)) = states.matching.get(state as usize) {
            return Some(Rc::clone(known));
        }
        let mut matching = Vec::new();
        for at in self.resolved(states.sets.key(state), None) {
            if let Some(Instruction::Match(pattern)) = self.instructions.get(at as usize) {
                matching.push(*pattern);
            }
        }
        states.bytes += matching.len() * size_of::<u32>();
        let matching: Rc<[u32]> = matching.into();
        if let Some(place) = states.matching.get_mut(state as usize) {
            *place = Some(Rc::clone(&matching));
        }
        Some(matching)
    }

    /// The instructions of a state once it is known what comes next: behind assertions that hold, further ones.
    fn resolved(&self, set: &[u8], after: Option<u8>) -> Vec<u32> {
        let mut set: Vec<u32> = set.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        if !set.iter().any(|at| self.is_assertion(*at)) {
            return set;
        }
        let around = Around { before: set.pop().and_then(|before| u8::try_from(before).ok()), after };
        let mut reached = Reached::new(self.instructions.len());
        for at in set {
            self.follow(at, Some(around), &mut reached);
        }
        reached.list
    }

    fn is_assertion(&self, at: u32) -> bool {
        matches!(self.instructions.get(at as usize), Some(Instruction::Assert(..)))
    }

    /// Adds what is reached from `at` without a byte. Assertions are passed only if it is known what is around.
    fn follow(&self, at: u32, around: Option<Around>, reached: &mut Reached) {
        reached.open.push(at);
        while let Some(at) = reached.open.pop() {
            if !reached.mark(at) {
                continue;
            }
            match (self.instructions.get(at as usize), around) {
                (Some(Instruction::Jump(next) | Instruction::Save(_, next)), _) => reached.open.push(*next),
                (Some(Instruction::Split(first, second)), _) => reached.open.extend([*second, *first]),
                (Some(Instruction::Assert(assert, next)), Some(around)) => {
                    if holds(*assert, around) {
                        reached.open.push(*next);
                    }
                }
                (Some(Instruction::Assert(..) | Instruction::Take(..) | Instruction::Match(_)), _) => {
                    reached.list.push(at);
                }
                (None, _) => {}
            }
        }
    }

    /// The key of a state: its instructions, and the byte before if any of them asks for it.
    fn keyed(&self, reached: Reached, before: u32) -> Vec<u8> {
        let mut set = reached.sorted();
        if set.iter().any(|at| self.is_assertion(*at)) {
            // All bytes of one kind are alike before an assertion.
            let kind = u8::try_from(before).map_or(AT_START, |byte| match byte {
                b'\n' => u32::from(b'\n'),
                byte if is_word(byte) => u32::from(b'w'),
                _ => u32::from(b' '),
            });
            set.push(kind);
        }
        let mut key = Vec::with_capacity(set.len() * size_of::<u32>());
        for at in set {
            key.extend_from_slice(&at.to_le_bytes());
        }
        key
    }

    /// The number of the state with these instructions.
    fn number(&self, states: &mut States, key: &[u8]) -> u32 {
        if let Some(number) = states.sets.get(key) {
            return number;
        }
        let bytes = key.len() + self.width * size_of::<u32>() + 64;
        if states.bytes + bytes > self.most {
            *states = States { turn: states.turn + 1, ..States::default() };
        }
        if states.sets.is_empty() {
            states.sets.insert(&[]);
        }
        let number = states.sets.insert(key);
        states.bytes += bytes;
        states.next.resize(states.sets.len() * self.width, 0);
        states.matching.resize(states.sets.len(), None);
        number
    }
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Automaton of {} expressions", self.starts.len())
    }
}

/// Instructions that have been reached.
struct Reached {
    marks: Vec<u64>,
    list: Vec<u32>,
    /// Still to be followed.
    open: Vec<u32>,
}

impl Reached {
    fn new(instructions: usize) -> Self {
        Self { marks: vec![0; instructions / 64 + 1], list: Vec::new(), open: Vec::new() }
    }

    /// The list in ascending order.
    fn sorted(self) -> Vec<u32> {
        // Few are put in order one by one; of many the marks are walked, which stand in order.
        let Self { mut marks, mut list, .. } = self;
        if list.len() < 16 {
            insertion_sort(&mut list);
            return list;
        }
        marks.iter_mut().for_each(|word| *word = 0);
        for at in &list {
            if let Some(word) = marks.get_mut(*at as usize / 64) {
                *word |= 1 << (at % 64);
            }
        }
        list.clear();
        for (index, word) in (0..).zip(marks) {
            let mut rest = word;
            while rest != 0 {
                list.push(index * 64 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        list
    }

    /// Marks one; whether it had not been marked.
    fn mark(&mut self, at: u32) -> bool {
        let Some(word) = self.marks.get_mut(at as usize / 64) else { return false };
        let bit = 1 << (at % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

fn insertion_sort(list: &mut [u32]) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && list.get(at - 1) > list.get(at) {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}
