//! A trie of segments: templates and prefixes of paths.

use super::{Segment, Template, first_segment};
use crate::bytemap::ByteMap;

/// Templates and prefixes of paths, each with a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trie {
    /// From a node (the tag) by a literal segment; the node it leads to stands in `targets`.
    literals: ByteMap,
    targets: Vec<u32>,
    nodes: Vec<Node>,
}

/// Where paths have got to after some segments.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// The node behind `{x}`.
    one: Option<u32>,
    /// What ends here.
    end: Option<u32>,
    /// What takes the remainder from here, if there is any: `{*x}`.
    rest: Option<u32>,
    /// The prefix that ends here: what goes on belongs to it too.
    prefix: Option<u32>,
}

impl Trie {
    /// Adds a template.
    ///
    /// # Errors
    /// The number of the one that the same paths fit.
    pub(crate) fn insert(&mut self, template: &Template, number: u32) -> Result<(), u32> {
        let mut at = self.root();
        for segment in &template.segments {
            at = match segment {
                Segment::Literal(literal) => self.literal(at, literal),
                Segment::One => self.one(at),
                Segment::Rest => return claim(self.node(at).map(|node| &mut node.rest), number),
            };
        }
        claim(self.node(at).map(|node| &mut node.end), number)
    }

    /// Adds a path of whole segments, without a final slash, for itself and everything below.
    pub(crate) fn insert_prefix(&mut self, path: &[u8], number: u32) {
        let mut at = self.root();
        for segment in path.split(|byte| *byte == b'/').skip(1) {
            at = self.literal(at, segment);
        }
        if let Some(node) = self.node(at) {
            node.prefix = Some(number);
        }
    }

    /// The number of the most specific template that `path` fits.
    pub(crate) fn first(&self, path: &[u8]) -> Option<u32> {
        self.first_from(0, path)
    }

    /// Hands on the numbers of all templates that `path` fits, and of all prefixes that it starts with.
    pub(crate) fn each(&self, path: &[u8], visit: &mut dyn FnMut(u32)) {
        self.each_from(0, path, visit);
    }

    fn root(&mut self) -> u32 {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        0
    }

    fn node(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)
    }

    fn new_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    fn literal(&mut self, at: u32, segment: &[u8]) -> u32 {
        let number = self.literals.insert_tagged(at, segment) as usize;
        if number == self.targets.len() {
            let node = self.new_node();
            self.targets.push(node);
        }
        self.targets.get(number).copied().unwrap_or(u32::MAX)
    }

    fn one(&mut self, at: u32) -> u32 {
        if let Some(known) = self.node(at).and_then(|node| node.one) {
            return known;
        }
        let new = self.new_node();
        if let Some(node) = self.node(at) {
            node.one = Some(new);
        }
        new
    }

    #[inline(always)]
    fn target(&self, at: u32, segment: &[u8]) -> Option<u32> {
        let number = self.literals.get_tagged(at, segment)?;
        self.targets.get(number as usize).copied()
    }

    fn first_from(&self, at: u32, rest: &[u8]) -> Option<u32> {
        let node = self.nodes.get(at as usize)?;
        let Some(after) = rest.strip_prefix(b"/") else {
            return node.end.filter(|_| rest.is_empty());
        };
        let (first, remainder) = first_segment(after);
        let literal = || self.target(at, first).and_then(|next| self.first_from(next, remainder));
        let one = || node.one.filter(|_| !first.is_empty()).and_then(|next| self.first_from(next, remainder));
        let all = || node.rest.filter(|_| !after.is_empty());
        literal().or_else(one).or_else(all)
    }

    /// Each node is reached by one way only, so the nodes visited are at most those of the trie.
    fn each_from(&self, at: u32, rest: &[u8], visit: &mut dyn FnMut(u32)) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        let Some(after) = rest.strip_prefix(b"/") else {
            if rest.is_empty() {
                node.prefix.into_iter().chain(node.end).for_each(visit);
            }
            return;
        };
        node.prefix.into_iter().for_each(&mut *visit);
        node.rest.into_iter().filter(|_| !after.is_empty()).for_each(&mut *visit);
        let (first, remainder) = first_segment(after);
        if let Some(next) = self.target(at, first) {
            self.each_from(next, remainder, visit);
        }
        if let Some(next) = node.one.filter(|_| !first.is_empty()) {
            self.each_from(next, remainder, visit);
        }
    }
}

fn claim(place: Option<&mut Option<u32>>, number: u32) -> Result<(), u32> {
    match place {
        Some(Some(earlier)) => Err(*earlier),
        Some(free) => {
            *free = Some(number);
            Ok(())
        }
        None => Ok(()),
    }
}
