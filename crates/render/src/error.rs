//! What can be wrong with a configuration or with what is asked for.

use std::fmt;

use crate::filter::Filter;
use crate::form::Form;
use crate::template::TemplateError;

/// Why there is no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Neither YAML nor JSON.
    Unreadable(String),
    /// The filter refuses the configuration.
    Refused {
        /// Which filter.
        filter: Filter,
        /// What it says: a line for each error, with its path.
        errors: String,
    },
    /// Which filter it is for cannot be told; those that come into question.
    Ambiguous(Vec<Filter>),
    /// A suite that was asked for a part it does not have.
    NoPart(Filter),
    /// A cluster is called of which nobody has said where it is.
    NoPlace(String),
    /// The form cannot be had of this module.
    Module {
        /// Which form.
        form: Form,
        /// What it takes.
        expected: &'static str,
    },
    /// The form says nothing about this filter.
    NothingToSay(Form, Filter),
    /// An option that hosts do not take, or that would say something else in a manifest.
    BadOption {
        /// Which.
        what: &'static str,
        /// What is expected of it.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A template of this crate is wrong.
    Template(TemplateError),
}

impl std::error::Error for Error {}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Self::Template(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "neither YAML nor JSON: {why}"),
            Self::Refused { filter, errors } => {
                write!(f, "the filter {} refuses the configuration:\n{errors}", filter.name())
            }
            Self::Ambiguous(filters) => {
                let names: Vec<&str> = filters.iter().map(|filter| filter.name()).collect();
                write!(f, "it may be for {}: say for which with --filter", names.join(", "))
            }
            Self::NoPart(filter) => write!(f, "the suite's configuration has no part for {}", filter.name()),
            Self::NoPlace(cluster) => write!(
                f,
                "the configuration calls the cluster `{cluster}`: say where it is with --cluster {cluster}=HOST:PORT \
                 (or {cluster}=https://HOST:PORT)"
            ),
            Self::Module { form, expected } => {
                write!(f, "the form {} takes {expected}: say with --module where it is", form.name())
            }
            Self::NothingToSay(form, filter) => {
                write!(
                    f,
                    "the form {} has nothing to say for this configuration of {}",
                    form.name(),
                    filter.name()
                )
            }
            Self::BadOption { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found:?}")
            }
            Self::Template(error) => write!(f, "a template is wrong: {error}"),
        }
    }
}
