//! A filter's configuration as a text, checked by the filter itself, and what a manifest must know of it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::filter::Filter;
use crate::{Error, json, yaml};

/// A filter's configuration that the filter accepts.
#[derive(Debug)]
pub struct Configuration {
    filter: Filter,
    /// The comment that it begins with, without marks.
    pub(crate) about: String,
    /// Below that comment, as it was written, where that can stand inside another document.
    pub(crate) text: String,
    value: Value,
    /// The variables that it reads secrets from.
    pub(crate) variables: Vec<String>,
    pub(crate) telemetry: Option<tidegate_telemetry::Config>,
}

/// A cluster that a configuration calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// As the configuration names it.
    pub name: String,
    /// Whether it is called by gRPC, which is HTTP/2; else by HTTP.
    pub grpc: bool,
}

/// What stands for secrets while a configuration is checked: long enough, and base64url too.
const PLACEHOLDER: &[u8] = b"a-secret-of-64-letters-as-HS512-wants-it-0000000000000000000000x";

impl Configuration {
    /// Reads a configuration in YAML or JSON. Which filter it is for is found from its keys; where these do not say, from
    /// `stem`, the name of its file without extension (`auth`, `rate-limit-service`).
    ///
    /// # Errors
    /// What the filter says, all at once; or that no filter can be told from another.
    pub fn read(text: &str, filter: Option<Filter>, stem: Option<&str>) -> Result<Self, Error> {
        let value: Value =
            serde_saphyr::from_str(text).map_err(|error| Error::Unreadable(error.to_string()))?;
        let document = value.to_string();
        let filter = match filter {
            Some(filter) => filter,
            None => detect(&value, document.as_bytes(), stem)?,
        };
        let variables = RefCell::new(BTreeSet::new());
        let checked = filter.check(document.as_bytes(), &|name| {
            variables.borrow_mut().insert(name.to_owned());
            Some(PLACEHOLDER.to_vec())
        });
        checked.map_err(|errors| Error::Refused { filter, errors: errors.to_string() })?;
        let telemetry = match filter {
            Filter::Telemetry => Some(&value),
            Filter::Suite => value.get("telemetry"),
            _ => None,
        };
        let telemetry =
            telemetry.and_then(|value| tidegate_config::decode(value.to_string().as_bytes()).ok());
        let (about, text) = split_head(text);
        let text = yaml::spliceable(&text, &value);
        let variables = variables.into_inner().into_iter().collect();
        Ok(Self { filter, about, text, value, variables, telemetry })
    }

    /// The filter that it is for.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// A part of a suite's configuration, as a configuration of its own.
    ///
    /// # Errors
    /// Where the suite has no such part.
    pub fn part(&self, filter: Filter) -> Result<Self, Error> {
        let key = filter.name().replace('-', "_");
        let part = section(&self.text, &key).ok_or(Error::NoPart(filter))?;
        Self::read(&part, Some(filter), None)
    }

    /// As JSON, on several lines.
    pub(crate) fn json(&self) -> String {
        json::shown(&self.value)
    }

    /// The environment variables that the module must be given: secrets stand in them, never in a configuration.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The clusters that it calls, by name.
    #[must_use]
    pub fn clusters(&self) -> Vec<Called> {
        let mut clusters = BTreeSet::new();
        walk(&self.value, &mut Vec::new(), &mut |path, key, value| {
            if key == "cluster"
                && let Some(name) = value.as_str()
            {
                let grpc = path.iter().any(|key| ["global", "grpc"].contains(&key.as_str()));
                clusters.insert(Called { name: name.to_owned(), grpc });
            }
        });
        clusters.into_iter().collect()
    }

    /// Whether it looks at the bodies of requests before they go on.
    pub(crate) fn holds_bodies(&self) -> bool {
        let mut holds = false;
        walk(&self.value, &mut Vec::new(), &mut |_, key, value| {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            holds |= key == "signed" && list.iter().any(|word| word == "body_sha256");
        });
        holds
    }

    /// The routes that it chooses from, the one that it falls back to first.
    pub(crate) fn routes(&self) -> Vec<String> {
        let routing = match self.filter {
            Filter::HeaderRouting => Some(&self.value),
            Filter::Suite => self.value.get("header_routing"),
            _ => None,
        };
        let Some(routing) = routing else { return Vec::new() };
        let default = routing.pointer("/default/route").and_then(Value::as_str).unwrap_or("stable");
        let mut routes = vec![default.to_owned()];
        walk(routing, &mut Vec::new(), &mut |_, key, value| {
            if key == "route"
                && let Some(route) = value.as_str()
                && !routes.iter().any(|known| known == route)
            {
                routes.push(route.to_owned());
            }
        });
        routes
    }

    /// Names of limits that count by the client's address, which behind a proxy may be that proxy's.
    pub(crate) fn limits_by_address(&self) -> Vec<String> {
        let limits = match self.filter {
            Filter::RateLimit => self.value.get("limits"),
            Filter::Suite => self.value.pointer("/rate_limit/limits"),
            _ => None,
        };
        let limits = limits.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let by_address = |limit: &&Value| {
            let key = limit.get("key").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            key.iter().any(|part| part == "source")
        };
        let names = limits.iter().filter(by_address).filter_map(|limit| limit.get("name")?.as_str());
        names.map(str::to_owned).collect()
    }

    /// How many proxies a limit's addresses are read behind.
    pub(crate) fn trusted_hops(&self) -> u64 {
        let place = if self.filter == Filter::Suite {
            "/rate_limit/client_address/trusted_hops"
        } else {
            "/client_address/trusted_hops"
        };
        // A number may be written as 1.0.
        self.value.pointer(place).and_then(Value::as_f64).map_or(0, |hops| hops as u64)
    }
}

/// Which filter a configuration is for.
fn detect(value: &Value, document: &[u8], stem: Option<&str>) -> Result<Filter, Error> {
    let accepted = |filter: &Filter| filter.check(document, &|_| Some(PLACEHOLDER.to_vec())).is_ok();
    let accepting: Vec<Filter> = Filter::ALL.into_iter().filter(accepted).collect();
    if let [only] = accepting.as_slice() {
        return Ok(*only);
    }
    // One that several accept, or, because something is wrong with it, none.
    let named = |filter: &Filter| {
        let rest = stem.and_then(|stem| stem.strip_prefix(filter.name()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']))
    };
    let has_own_key = |filter: &Filter| filter.own_keys().iter().any(|key| value.get(*key).is_some());
    let candidates: Vec<Filter> =
        Filter::ALL.into_iter().filter(|filter| accepting.is_empty() || accepting.contains(filter)).collect();
    let by_key: Vec<Filter> = candidates.iter().copied().filter(has_own_key).collect();
    match (by_key.as_slice(), candidates.iter().copied().find(named)) {
        ([only], _) => Ok(*only),
        (_, Some(named)) => Ok(named),
        (several, None) => Err(Error::Ambiguous(several.to_vec())),
    }
}

/// Each key with the keys above it and its value.
fn walk(value: &Value, path: &mut Vec<String>, see: &mut dyn FnMut(&[String], &str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                see(path, key, field);
                path.push(key.clone());
                walk(field, path, see);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, see)),
        _ => {}
    }
}

/// The comment that a text begins with, up to an empty line, and the rest.
fn split_head(text: &str) -> (String, String) {
    let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
    let mut rest = text.lines().skip(head.len());
    if head.is_empty() || rest.next().is_some_and(|line| !line.trim().is_empty()) {
        return (String::new(), text.trim_end().to_owned());
    }
    let bare = |line: &&str| line.trim_start_matches('#').strip_prefix(' ').unwrap_or("").to_owned();
    let about: Vec<String> = head.iter().map(bare).collect();
    let rest: Vec<&str> = rest.skip_while(|line| line.trim().is_empty()).collect();
    (about.join("\n"), rest.join("\n").trim_end().to_owned())
}

/// What stands below `key` in a text whose first level is not indented.
fn section(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != format!("{key}:"));
    lines.next()?;
    let below: Vec<&str> = lines.take_while(|line| line.is_empty() || line.starts_with(' ')).collect();
    let indentation = below.iter().find(|line| !line.is_empty())?.len()
        - below.iter().find(|line| !line.is_empty())?.trim_start().len();
    let bare: Vec<&str> = below.iter().map(|line| line.get(indentation..).unwrap_or("")).collect();
    Some(bare.join("\n").trim_end().to_owned() + "\n")
}
