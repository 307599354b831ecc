//! Which of many templates a path fits.

use tidegate_config::{Cursor, Decode};

use super::trie::Trie;
use super::{Captures, Template};

/// Templates, and which of them a path fits best.
///
/// The most specific one wins, whatever the order: read from the left, a literal segment before `{x}`, and `{x}` before
/// `{*x}`. Two templates that the same paths fit (`/a/{x}` and `/a/{y}`) cannot stand in one set.
#[derive(Debug, Clone, Default)]
pub struct TemplateSet {
    templates: Vec<Template>,
    trie: Trie,
}

impl TemplateSet {
    /// A set of templates.
    ///
    /// # Errors
    /// The positions of the first two templates that the same paths fit.
    pub fn new(templates: Vec<Template>) -> Result<Self, (usize, usize)> {
        let mut trie = Trie::default();
        for (number, template) in (0..).zip(&templates) {
            trie.insert(template, number).map_err(|earlier| (earlier as usize, number as usize))?;
        }
        Ok(Self { templates, trie })
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
        self.trie.first(path).map(|number| number as usize)
    }

    /// The most specific template that a normalised path fits, with what it takes from it.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p [u8]) -> Option<(&Template, Captures<'_, 'p>)> {
        let template = self.templates.get(self.find(path)?)?;
        Some((template, template.matches(path)?))
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
