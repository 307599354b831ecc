//! What a case is: data. The cases themselves are in [`super::cases`]; how they are measured is none of their business.

use std::sync::{Arc, LazyLock};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::load::{Load, Request};
use crate::bootstrap::{self, Form};
use crate::upstream::Upstreams;

/// Requests to this path prefix reach the echo backend `stable` in every setup, the baseline's included, so that a check
/// can see what a filter sends on.
pub const ECHO: &str = "/api/echo";

/// Something to be measured against the same Envoy without it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique. Segments between slashes: `auth` stands for `auth/native` and `auth/lua` as well when it is asked for.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// The requests that are measured.
    pub load: Load,
    /// What answers them.
    pub answer: Answer,
    /// Envoy's worker threads.
    pub workers: u32,
    /// What is added to a plain Envoy: made when it is asked for, because ten thousand rules take their time and most
    /// cases are not chosen.
    setup: Arc<LazyLock<Setup, MakeSetup>>,
    /// What shows that the filters decide. A case is not measured before all of them hold.
    pub checks: Vec<Check>,
    /// A counter (the sum of those whose names contain this) that must rise by one with each request of the load: not
    /// one measured request may have gone past the filter.
    pub counted_by: Option<String>,
    /// The name of the case that does the same natively.
    pub native: Option<String>,
    /// Measured only when it is named.
    pub on_demand: bool,
}

type MakeSetup = Box<dyn FnOnce() -> Setup + Send>;

/// What is added to a plain Envoy. Cases whose setups, answers and workers are equal share an Envoy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setup {
    /// In their order, without the router.
    pub filters: Vec<HttpFilter>,
    /// Routes tried before the one that takes every request.
    pub routes: Vec<Value>,
    /// The connection manager's access logs.
    pub access_log: Vec<Value>,
}

/// What answers a request that none of a setup's own routes takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answer {
    /// The route itself, with 200 and the body `stable`.
    #[default]
    Direct,
    /// The echo backend `stable`.
    Upstream,
}

/// An HTTP filter.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpFilter {
    /// A module of ours by its name (`rate-limit`), and its configuration.
    Module(&'static str, Value),
    /// Any other: `{"name", "typed_config"}`.
    Native(Value),
}

/// What shows that a filter decides.
#[derive(Debug, Clone)]
pub struct Check {
    /// What it shows, as told to people.
    pub shows: &'static str,
    /// What is sent.
    pub request: Request,
    /// What must come of it.
    pub expected: Expected,
}

/// What must come of a check's request.
#[derive(Debug, Clone)]
pub enum Expected {
    /// This status.
    Status(u16),
    /// Status 200 and this body.
    Body(&'static str),
    /// It reaches the echo backend, which sees this header with this value, or without it does not see it.
    Upstream(&'static str, Option<&'static str>),
    /// Status 200 at first, and this status after at most so many requests, sent one after another.
    Within(u32, u16),
    /// A counter (the sum of those whose names contain this) rises by one.
    Counted(&'static str),
    /// A counter or gauge of exactly this name has at least this value.
    AtLeast(&'static str, u64),
}

impl Case {
    /// A case without checks, which is refused unless its Envoy is a plain one.
    pub fn new(name: &str, about: &str, load: Load, setup: impl FnOnce() -> Setup + Send + 'static) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            load,
            answer: Answer::Direct,
            workers: 1,
            setup: Arc::new(LazyLock::new(Box::new(setup))),
            checks: Vec::new(),
            counted_by: None,
            native: None,
            on_demand: false,
        }
    }

    /// What is added to a plain Envoy.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Sets what answers.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// Sets the number of Envoy's worker threads. More than one are not pinned.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, shows: &'static str, request: Request, expected: Expected) -> Self {
        self.checks.push(Check { shows, request, expected });
        self
    }

    /// Sets the counter that rises with each request.
    #[must_use]
    pub fn counted_by(mut self, counter: &str) -> Self {
        self.counted_by = Some(counter.to_owned());
        self
    }

    /// Sets the native counterpart.
    #[must_use]
    pub fn native(mut self, name: &str) -> Self {
        self.native = Some(name.to_owned());
        self
    }

    /// Leaves the case out unless it is named.
    #[must_use]
    pub fn on_demand(mut self) -> Self {
        self.on_demand = true;
        self
    }

    /// The same Envoy without what the case is about, under the same load.
    pub(super) fn baseline(&self) -> Self {
        let about = "the same Envoy without any filter";
        Self::new("none", about, self.load.clone(), Setup::default).answer(self.answer).workers(self.workers)
    }

    /// Whether an Envoy for the one serves the other.
    pub(super) fn shares_envoy(&self, other: &Self) -> bool {
        (self.answer, self.workers) == (other.answer, other.workers) && self.setup() == other.setup()
    }

    /// Envoy's bootstrap.
    pub(super) fn bootstrap(&self, upstreams: &Upstreams) -> Result<Value> {
        self.setup().bootstrap(self.answer, upstreams)
    }

    /// Whether `wanted` is its name, or leading segments of it.
    #[must_use]
    pub fn is_named(&self, wanted: &str) -> bool {
        let rest = self.name.strip_prefix(wanted.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Setup {
    /// One filter.
    #[must_use]
    pub fn of(filter: HttpFilter) -> Self {
        Self { filters: vec![filter], ..Self::default() }
    }

    /// Whether nothing is added to a plain Envoy.
    pub(super) fn is_plain(&self) -> bool {
        self.filters.is_empty() && self.routes.is_empty() && self.access_log.is_empty()
    }

    fn bootstrap(&self, answer: Answer, upstreams: &Upstreams) -> Result<Value> {
        let modules: Vec<(&str, &Value)> = self
            .filters
            .iter()
            .filter_map(|filter| match filter {
                HttpFilter::Module(name, configuration) => Some((*name, configuration)),
                HttpFilter::Native(_) => None,
            })
            .collect();
        let mut bootstrap = bootstrap::with_filters(&modules, upstreams, Form::Struct)?;
        let manager = bootstrap
            .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
            .context("the bootstrap has no connection manager")?;

        // The modules, in their order, and the router last: the native ones go between.
        let made = manager["http_filters"].as_array().context("the bootstrap has no filters")?;
        let mut made = made.clone().into_iter();
        let mut filters = Vec::new();
        for filter in &self.filters {
            filters.push(match filter {
                HttpFilter::Module(..) => made.next().context("the bootstrap lacks a filter")?,
                HttpFilter::Native(filter) => filter.clone(),
            });
        }
        filters.extend(made);
        manager["http_filters"] = Value::Array(filters);

        let mut routes = vec![route("echo", &json!({"prefix": ECHO}), Answer::Upstream)];
        routes.extend(self.routes.iter().cloned());
        routes.push(route("stable", &json!({"prefix": "/"}), answer));
        manager["route_config"]["virtual_hosts"][0]["routes"] = Value::Array(routes);
        if !self.access_log.is_empty() {
            manager["access_log"] = Value::Array(self.access_log.clone());
        }
        Ok(bootstrap)
    }
}

/// A route to the backend `stable`, or that answers in its stead.
fn route(name: &str, condition: &Value, answer: Answer) -> Value {
    match answer {
        Answer::Direct => answering(name, condition, "stable"),
        Answer::Upstream => json!({"name": name, "match": condition, "route": {"cluster": "stable"}}),
    }
}

/// A route that answers by itself, with 200 and this body.
#[must_use]
pub fn answering(name: &str, condition: &Value, body: &str) -> Value {
    json!({"name": name, "match": condition, "direct_response": {"status": 200, "body": {"inline_string": body}}})
}
