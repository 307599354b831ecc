//! Configuration errors: they are user interface, so their text is part of the contract.

use std::cell::RefCell;
use std::fmt;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    path: String,
    expected: String,
    found: String,
}

impl Error {
    pub(crate) fn new(path: &str, expected: &str, found: &str) -> Self {
        Self { path: path.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
    }

    /// Where: `limits[2].match.paths[0].prefix`, or `configuration` for the document itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// `limits[2].match.paths[0].prefix: expected a path starting with "/", found "api"`.
impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: expected {}, found {}", self.path, self.expected, self.found)
    }
}

impl std::error::Error for Error {}

/// Everything that is wrong with a document: never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// The errors, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// One error a line.
impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Collects errors while a document is decoded, and knows the environment that it is decoded in.
pub(crate) struct Report<'e> {
    errors: RefCell<Vec<Error>>,
    environment: &'e Environment<'e>,
}

/// Variables by name.
pub type Environment<'e> = dyn Fn(&str) -> Option<Vec<u8>> + 'e;

impl<'e> Report<'e> {
    pub(crate) fn new(environment: &'e Environment<'e>) -> Self {
        Self { errors: RefCell::default(), environment }
    }

    pub(crate) fn add(&self, error: Error) {
        self.errors.borrow_mut().push(error);
    }

    pub(crate) fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (self.environment)(name)
    }

    /// The decoded value if nothing was reported.
    pub(crate) fn finish<T>(self, decoded: Option<T>) -> Result<T, Errors> {
        let errors = self.errors.into_inner();
        match decoded {
            Some(value) if errors.is_empty() => Ok(value),
            _ if errors.is_empty() => {
                // A `Decode` that returns `None` without saying why is a defect; the document is refused all the same.
                Err(Error::new("configuration", "a value this filter can use", "one it cannot").into())
            }
            _ => Err(Errors(errors)),
        }
    }
}

/// At most 60 characters of `text`, with control characters made visible.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
