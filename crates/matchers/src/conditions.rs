//! `match`, `not` and `any`.

use std::fmt;

use tidegate_config::{Cidr, Cursor, Object};

use crate::claim::ClaimMatch;
use crate::facts::Facts;
use crate::field::{FieldMatch, Visit, each_cookie, each_header, each_query};
use crate::host::HostMatch;
use crate::path::{PathCaptures, PathMatch};
use crate::text::TextMatch;

/// When a rule applies: all of `match`, none of `not`, at least one of `any`.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    pub(crate) all: Match,
    pub(crate) not: Option<Match>,
    pub(crate) any: Vec<Match>,
}

/// What conditions may speak of in a place of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything about a request.
    Request,
    /// The request without its principal and claims: before anybody has been authenticated.
    Unauthenticated,
}

impl Conditions {
    /// Decodes the keys `match`, `not` and `any` of a rule.
    pub fn from_rule(rule: &mut Object<'_>, scope: Scope) -> Option<Self> {
        let all = rule.get("match").map_or(Some(Match::default()), |cursor| Match::decode(cursor, scope));
        let not = rule.get("not").map_or(Some(None), |cursor| {
            let not = Match::decode(cursor, scope)?;
            // `not` of everything would make a rule that never applies.
            if not.is_empty() {
                cursor.expected_found("at least one condition", "none")
            } else {
                Some(Some(not))
            }
        });
        let any = rule.get("any").map_or(Some(Vec::new()), |cursor| {
            let list: Vec<Option<Match>> =
                cursor.elements()?.map(|element| Match::decode(element, scope)).collect();
            if list.is_empty() {
                cursor.expected("a list of at least one")
            } else {
                list.into_iter().collect()
            }
        });
        Some(Self { all: all?, not: not?, any: any? })
    }

    /// Decodes what stands under a key that holds the words of a `match` alone.
    pub fn from_match(cursor: Cursor<'_>, scope: Scope) -> Option<Self> {
        Match::decode(cursor, scope).map(|all| Self { all, ..Self::default() })
    }

    /// The names of what is captured whichever way the path satisfies `match`: by templates, and by regular expressions
    /// (their groups' names, and `1`, `2`…).
    #[must_use]
    pub fn capture_names(&self) -> Vec<String> {
        let mut paths = self.all.paths.iter().map(PathMatch::capture_names);
        let mut names = paths.next().unwrap_or_default();
        paths.for_each(|others| names.retain(|name| others.contains(name)));
        names
    }

    /// What the path condition that holds captures.
    #[must_use]
    pub fn captures<'f>(&'f self, facts: &'f Facts<'_>) -> PathCaptures<'f> {
        self.all.paths.iter().find_map(|path| path.captures(facts)).unwrap_or_default()
    }

    /// Whether the rule applies.
    #[must_use]
    pub fn match_facts(&self, facts: &Facts<'_>) -> bool {
        self.unmet(facts).is_none()
    }

    /// The first condition that keeps the rule from applying.
    #[must_use]
    pub fn unmet(&self, facts: &Facts<'_>) -> Option<Unmet> {
        if let Some((list, index)) = self.all.unmet(facts) {
            return Some(Unmet::Match(list, index));
        }
        if self.not.as_ref().is_some_and(|not| not.unmet(facts).is_none()) {
            return Some(Unmet::Not);
        }
        let none = || self.any.iter().all(|any| any.unmet(facts).is_some());
        (!self.any.is_empty() && none()).then_some(Unmet::Any)
    }

    /// Whether any condition speaks of the path.
    #[must_use]
    pub fn name_paths(&self) -> bool {
        self.parts().any(|part| !part.paths.is_empty())
    }

    /// Whether any condition speaks of the host.
    #[must_use]
    pub fn name_hosts(&self) -> bool {
        self.parts().any(|part| !part.hosts.is_empty())
    }

    /// Whether any condition speaks of the client's address.
    #[must_use]
    pub fn name_sources(&self) -> bool {
        self.parts().any(|part| !part.cidrs.is_empty())
    }

    fn parts(&self) -> impl Iterator<Item = &Match> {
        self.any.iter().chain(&self.not).chain([&self.all])
    }
}

/// Conditions that must all hold: one `match` without its `not` and `any`. An empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    pub(crate) paths: Vec<PathMatch>,
    pub(crate) hosts: Vec<HostMatch>,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<FieldMatch>,
    pub(crate) query: Vec<FieldMatch>,
    pub(crate) cookies: Vec<FieldMatch>,
    pub(crate) cidrs: Vec<Cidr>,
    pub(crate) principals: Vec<TextMatch>,
    pub(crate) claims: Vec<ClaimMatch>,
}

impl Match {
    fn decode(cursor: Cursor<'_>, scope: Scope) -> Option<Self> {
        let mut object = cursor.object()?;
        let all = Self::from_object(&mut object, scope);
        object.finish();
        all
    }

    /// Decodes the conditions among the keys of an object that may have others beside them.
    pub fn from_object(object: &mut Object<'_>, scope: Scope) -> Option<Self> {
        let mut all = Self::default();
        let mut fine = object.fill("paths", &mut all.paths, Cursor::non_empty_list);
        fine &= object.fill("hosts", &mut all.hosts, Cursor::non_empty_list);
        fine &= object.fill("methods", &mut all.methods, methods);
        fine &= object.fill("headers", &mut all.headers, |cursor| {
            let decoded: Vec<_> = cursor.elements()?.map(FieldMatch::decode_header).collect();
            if decoded.is_empty() {
                cursor.expected("a list of at least one")
            } else {
                decoded.into_iter().collect()
            }
        });
        fine &= object.fill("query", &mut all.query, Cursor::non_empty_list);
        fine &= object.fill("cookies", &mut all.cookies, Cursor::non_empty_list);
        fine &= object.fill("source", &mut all.cidrs, |cursor| {
            let mut source = cursor.object()?;
            let cidrs = source.require("cidrs").and_then(Cursor::non_empty_list);
            source.finish();
            cidrs
        });
        if scope == Scope::Request {
            let principals = principals(object);
            fine &= principals.is_some();
            all.principals = principals.unwrap_or_default();
            fine &= object.fill("claims", &mut all.claims, Cursor::non_empty_list);
        }
        fine.then_some(all)
    }

    /// Whether there is no condition at all: every request satisfies it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
            && self.hosts.is_empty()
            && self.methods.is_empty()
            && self.headers.is_empty()
            && self.query.is_empty()
            && self.cookies.is_empty()
            && self.cidrs.is_empty()
            && self.principals.is_empty()
            && self.claims.is_empty()
    }

    /// Whether an exchange satisfies all of them.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.unmet(facts).is_none()
    }

    /// The first condition that does not hold: its list, and its place there if each in the list must hold.
    fn unmet(&self, facts: &Facts<'_>) -> Option<(&'static str, Option<usize>)> {
        let exchange = facts.exchange();
        if !any(&self.methods, |method| method.as_bytes() == exchange.method()) {
            return Some(("methods", None));
        }
        if !any(&self.paths, |path| path.matches(exchange.path(), facts)) {
            return Some(("paths", None));
        }
        if !any(&self.hosts, |host| host.matches(facts.authority())) {
            return Some(("hosts", None));
        }
        if let Some(index) =
            first_unmet_field(&self.headers, &|name, visit| each_header(exchange, name, visit))
        {
            return Some(("headers", Some(index)));
        }
        if let Some(index) = first_unmet_field(&self.query, &|name, visit| each_query(exchange, name, visit))
        {
            return Some(("query", Some(index)));
        }
        if let Some(index) =
            first_unmet_field(&self.cookies, &|name, visit| each_cookie(exchange, name, visit))
        {
            return Some(("cookies", Some(index)));
        }
        if !any(&self.cidrs, |cidr| facts.source().is_some_and(|address| cidr.contains(address))) {
            return Some(("source.cidrs", None));
        }
        if !any(&self.principals, |text| facts.principal().is_some_and(|name| text.matches(name))) {
            return Some(("principals", None));
        }
        let claim = |claim: &ClaimMatch| ClaimMatch::all_match(std::slice::from_ref(claim), facts.claims());
        first_unmet(&self.claims, claim).map(|index| ("claims", Some(index)))
    }
}

/// A condition that keeps a rule from applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// One of `match`: its list, and its place there where each in the list must hold.
    Match(&'static str, Option<usize>),
    /// All of `not` hold.
    Not,
    /// None of `any` holds.
    Any,
}

/// `match.headers[1]`, `not` or `any`.
impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match(list, None) => write!(formatter, "match.{list}"),
            Self::Match(list, Some(index)) => write!(formatter, "match.{list}[{index}]"),
            Self::Not => formatter.write_str("not"),
            Self::Any => formatter.write_str("any"),
        }
    }
}

fn first_unmet_field(list: &[FieldMatch], each: &dyn Fn(&str, Visit<'_>)) -> Option<usize> {
    first_unmet(list, |field| field.matches(each))
}

fn first_unmet<T>(list: &[T], holds: impl Fn(&T) -> bool) -> Option<usize> {
    list.iter().position(|element| !holds(element))
}

/// An empty list is no condition; of a list one must hold.
fn any<T>(list: &[T], holds: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}

fn methods(cursor: Cursor<'_>) -> Option<Vec<String>> {
    let decoded: Vec<Option<String>> = cursor
        .elements()?
        .map(|element| {
            let usable = element.as_str().filter(|text| {
                !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
            });
            usable.map(str::to_owned).or_else(|| element.expected("a method in upper case such as \"GET\""))
        })
        .collect();
    if decoded.is_empty() { cursor.expected("a list of at least one") } else { decoded.into_iter().collect() }
}

/// `principal: {exact: …}` or `principals: [{exact: …}, …]`.
fn principals(object: &mut Object<'_>) -> Option<Vec<TextMatch>> {
    let Some(variant) = object.at_most_one_of(&["principal", "principals"])? else { return Some(Vec::new()) };
    match variant.key {
        "principal" => variant.cursor.decode().map(|only| vec![only]),
        _ => variant.cursor.non_empty_list(),
    }
}
