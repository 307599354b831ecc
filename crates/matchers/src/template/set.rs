//! Which of many templates a path fits.

use std::collections::BTreeMap;

use tidegate_config::{Cursor, Decode};

use super::{Captures, Segment, Template, first_segment};

/// Templates, and which of them a path fits best.
///
/// The most specific one wins, whatever the order: read from the left, a literal segment before `{x}`, and `{x}` before
/// `{*x}`. Two templates that the same paths fit (`/a/{x}` and `/a/{y}`) cannot stand in one set.
#[derive(Debug, Clone, Default)]
pub struct TemplateSet {
    templates: Vec<Template>,
    nodes: Vec<Node>,
}

/// Where the templates have got to after some segments. Children are indices of nodes.
#[derive(Debug, Clone, Default)]
struct Node {
    literals: BTreeMap<Box<[u8]>, usize>,
    one: Option<usize>,
    /// The template that ends here.
    end: Option<usize>,
    /// The template that takes the remainder from here.
    rest: Option<usize>,
}

impl TemplateSet {
    /// A set of templates.
    ///
    /// # Errors
    /// The positions of the first two templates that the same paths fit.
    pub fn new(templates: Vec<Template>) -> Result<Self, (usize, usize)> {
        let mut set = Self { templates: Vec::new(), nodes: vec![Node::default()] };
        for (index, template) in templates.iter().enumerate() {
            set.insert(index, template)?;
        }
        set.templates = templates;
        Ok(set)
    }

    /// Its templates, as they were given.
    #[must_use]
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// The position of the most specific template that a normalised path fits. Costs at most one visit per node of the
    /// trie that the path leads to.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        self.search(0, path)
    }

    /// The most specific template that a normalised path fits, with what it takes from it.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p [u8]) -> Option<(&Template, Captures<'_, 'p>)> {
        let template = self.templates.get(self.find(path)?)?;
        Some((template, template.matches(path)?))
    }

    fn insert(&mut self, index: usize, template: &Template) -> Result<(), (usize, usize)> {
        let mut at = 0;
        for segment in &template.segments {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
            at = match segment {
                Segment::Literal(literal) => *node.literals.entry(literal.clone()).or_insert(next),
                Segment::One => *node.one.get_or_insert(next),
                Segment::Rest => return claim(&mut node.rest, index),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        self.nodes.get_mut(at).map_or(Ok(()), |node| claim(&mut node.end, index))
    }

    fn search(&self, at: usize, rest: &[u8]) -> Option<usize> {
        let node = self.nodes.get(at)?;
        let Some(after) = rest.strip_prefix(b"/") else {
            return node.end.filter(|_| rest.is_empty());
        };
        let (first, remainder) = first_segment(after);
        let literal = || node.literals.get(first).and_then(|child| self.search(*child, remainder));
        let one = || node.one.filter(|_| !first.is_empty()).and_then(|child| self.search(child, remainder));
        let all = || node.rest.filter(|_| !after.is_empty());
        literal().or_else(one).or_else(all)
    }
}

fn claim(place: &mut Option<usize>, index: usize) -> Result<(), (usize, usize)> {
    match place {
        Some(earlier) => Err((*earlier, index)),
        None => {
            *place = Some(index);
            Ok(())
        }
    }
}

/// A list of at least one template.
impl Decode for TemplateSet {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let templates: Vec<Template> = cursor.non_empty_list()?;
        match Self::new(templates) {
            Ok(set) => Some(set),
            Err((first, second)) => {
                let element = cursor.elements()?.nth(second)?;
                element
                    .expected(format_args!("a template that other paths fit than those of {cursor}[{first}]"))
            }
        }
    }
}
