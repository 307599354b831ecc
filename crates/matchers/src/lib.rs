//! The vocabulary of conditions: one concept per file, the same words in every filter.
//!
//! A [`Conditions`] says when a rule applies (`match`, `not`, `any`); [`Facts`] is one exchange as conditions see it.
//! A request has one path, so a *list* of `paths`, `hosts`, `methods`, `cidrs` or `principals` means any of them; it has
//! many headers, so a list of `headers`, `query`, `cookies` or `claims` means all of them. Absent means everything.

mod bytemap;
mod claim;
mod conditions;
mod facts;
mod field;
mod host;
mod index;
mod path;
mod readings;
mod regex;
mod source;
mod status;
mod template;
mod text;

pub use bytemap::ByteMap;
pub use claim::ClaimMatch;
pub use conditions::{Conditions, Match, Scope, Unmet};
pub use facts::Facts;
pub use field::{
    Visit, cookie_pairs, cookie_values, each_cookie, each_header, each_query, form_decoded, query_pairs,
    query_values, request_header,
};
pub use host::{canonical as canonical_host, is_plain_host};
pub use index::{RuleIndex, Shadow};
pub use path::{PathCaptures, is_ambiguous, normalise};
pub use readings::readings;
pub use regex::{Regex, RegexError};
pub use source::ClientAddress;
pub use status::StatusMatch;
pub use template::{Captures, Template, TemplateError, TemplateSet};
pub use text::TextMatch;

#[cfg(test)]
mod tests;
