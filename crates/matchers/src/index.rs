//! Which rules of a list apply, for the price of the few that can.
//!
//! Each rule is filed under its most selective condition: a hash table for whole values, flattened tries for prefixes and
//! suffixes, a trie of segments for paths and templates, one automaton for all regular expressions of a field, and so
//! on. Where many rules share a condition they are filed again, by another one. A request is looked up once in each; the
//! rules found are **verified** in their order, so that the answer is that of a walk through the list. What a look-up
//! costs follows the request's size; how many rules are verified follows how many the request comes close to.
//!
//! Bounds, and which lists are walked after all: docs/decisions/0007.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use crate::conditions::Conditions;
use crate::facts::Facts;

mod addresses;
mod build;
mod clause;
mod contains;
mod implies;
mod node;
mod order;
mod prefixes;
mod ranges;
mod sample;
mod shadow;
mod text;

use node::Node;
pub use shadow::Shadow;

/// Rules in order, and what finds them.
#[derive(Debug, Default)]
pub struct RuleIndex {
    rules: Vec<Conditions>,
    nodes: Vec<Node>,
    /// Numbers of rules; each [`Run`] of them is in ascending order.
    filed: Vec<u32>,
    /// Kept to be used again: a look-up allocates nothing.
    runs: RefCell<Vec<Reverse<Run>>>,
    /// How many look-ups there were, by which a place knows that this one has been there.
    look_ups: Cell<u64>,
}

/// A part of the filed numbers: the first one, where the next stands, and where it ends. Ordered by its first number.
type Run = (u32, u32, u32);

impl RuleIndex {
    /// Files rules; their numbers are their places in the list.
    #[must_use]
    pub fn new(rules: Vec<Conditions>) -> Self {
        let (nodes, filed) = build::build(&rules);
        Self { rules, nodes, filed, ..Self::default() }
    }

    /// The rules' conditions, by number.
    #[must_use]
    pub fn rules(&self) -> &[Conditions] {
        &self.rules
    }

    /// The first rule that applies.
    #[must_use]
    pub fn first_match(&self, facts: &Facts<'_>) -> Option<usize> {
        let mut first = None;
        self.each_candidate(facts, &mut |number, conditions| {
            if !conditions.match_facts(facts) {
                return ControlFlow::Continue(());
            }
            first = Some(number);
            ControlFlow::Break(())
        });
        first
    }

    /// All rules that apply, in order.
    #[must_use]
    pub fn all_matches(&self, facts: &Facts<'_>) -> Vec<usize> {
        let mut all = Vec::new();
        self.each_candidate(facts, &mut |number, conditions| {
            if conditions.match_facts(facts) {
                all.push(number);
            }
            ControlFlow::Continue(())
        });
        all
    }

    /// The rules that are verified for a request, in order: [`RuleIndex::first_match`] stops at the first that applies.
    /// Every rule that applies is among them.
    #[must_use]
    pub fn candidates(&self, facts: &Facts<'_>) -> Vec<usize> {
        let mut all = Vec::new();
        self.each_candidate(facts, &mut |number, _| {
            all.push(number);
            ControlFlow::Continue(())
        });
        all
    }

    /// Hands candidates on in order, each once, until told to stop.
    fn each_candidate(
        &self,
        facts: &Facts<'_>,
        visit: &mut dyn FnMut(usize, &Conditions) -> ControlFlow<()>,
    ) {
        let mut runs = self.runs.take();
        runs.clear();
        self.find(facts, &mut runs);
        // Nearly always there is one.
        if let [Reverse((first, at, end))] = runs.as_slice() {
            let mut number = *first;
            for next in *at..=*end {
                let visited = self.rules.get(number as usize).map(|rule| visit(number as usize, rule));
                if visited.is_some_and(|visited| visited.is_break()) {
                    break;
                }
                number = self.filed.get(next as usize).copied().unwrap_or(u32::MAX);
            }
            self.runs.replace(runs);
            return;
        }
        let mut heap = BinaryHeap::from(runs);
        let mut before = None;
        // The run whose next number is the least comes first.
        while let Some(Reverse((number, at, end))) = heap.pop() {
            if at < end
                && let Some(next) = self.filed.get(at as usize)
            {
                heap.push(Reverse((*next, at + 1, end)));
            }
            // Several values of a request may lead to one rule.
            if before.replace(number) == Some(number) {
                continue;
            }
            let visited = self.rules.get(number as usize).map(|rule| visit(number as usize, rule));
            if visited.is_some_and(|visited| visited.is_break()) {
                break;
            }
        }
        self.runs.replace(heap.into_vec());
    }

    /// Finds the runs of candidates, each once: however often a request repeats a value, it leads to a place once. Otherwise
    /// each repetition would walk through all of them again on the next level.
    fn find(&self, facts: &Facts<'_>, runs: &mut Vec<Reverse<Run>>) {
        self.look_ups.set(self.look_ups.get().wrapping_add(1));
        self.look_up(0, facts, runs);
    }

    fn look_up(&self, node: u32, facts: &Facts<'_>, runs: &mut Vec<Reverse<Run>>) {
        let Some(node) = self.nodes.get(node as usize) else { return };
        let mut open = Vec::new();
        let mut add = |(start, end): (u32, u32)| {
            if start < end
                && let Some(first) = self.filed.get(start as usize)
            {
                runs.push(Reverse((*first, start + 1, end)));
            }
        };
        add(node.always);
        node.find(facts, self.look_ups.get(), &mut |place| match place {
            node::Place::Rules(start, end) => add((start, end)),
            node::Place::Node(next) => open.push(next),
        });
        for next in open {
            self.look_up(next, facts, runs);
        }
    }
}

#[cfg(test)]
mod tests;
