//! The decision on one request.

use std::time::Duration;

use tidegate_filter_api::{
    BodyPiece, CallToken, Callbacks, CalloutResult, Exchange, Filter, Flow, Host, MetricId, MetricKind,
    Property,
};
use tidegate_matchers::{ClientAddress, is_ambiguous, is_plain_host};

use crate::config::{Action, AmbiguousPaths, Config, Rule};
use crate::evaluation::{Evaluation, Judged, Outcome, Refusal, Stream};
use crate::forward::Forwarding;
use crate::identity::Verdict;
use crate::jwt::{Fetched, Jwt};
use crate::provider::{Counters, Method, Provider};
use crate::reply;
use crate::selection::{Selection, Selector, View};

/// The auth filter.
pub struct Auth {
    pub(crate) providers: Vec<Provider>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) client_address: ClientAddress,
    selector: Box<Selector>,
    default_allow: bool,
    pub(crate) forwarding: Forwarding,
    ambiguous_paths: AmbiguousPaths,
    publish_decisions: bool,
    /// Whether anything here depends on the path, a rule or a decision service: only then can an ambiguous one get round it.
    looks_at_paths: bool,
    /// The same of the host.
    looks_at_hosts: bool,
    /// Whether any provider has signatures over bodies.
    signs_bodies: bool,
    /// Whether any rule speaks of the client's address: where that cannot be told, no rule can be trusted to have looked.
    rules_name_sources: bool,
    unknown_source: Option<MetricId>,
    counted_rules: Vec<CountedRule>,
    counted_providers: Vec<Counters>,
    ambiguous: Option<MetricId>,
    ambiguous_host: Option<MetricId>,
    default_allowed: Option<MetricId>,
    default_denied: Option<MetricId>,
    keys_fetched: Option<MetricId>,
    keys_failed: Option<MetricId>,
}

/// What is counted of a rule; of one in shadow mode, what it would have done.
struct CountedRule {
    allowed: Option<MetricId>,
    denied: Option<MetricId>,
}

/// How often keys that have grown old are looked for.
const TICK: Duration = Duration::from_secs(1);

impl Filter for Auth {
    const NAME: &'static str = "auth";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::REQUEST_BODY)
        .and(Callbacks::CALLOUT)
        .and(Callbacks::GRPC_CALLOUT)
        .and(Callbacks::TICK);
    type Config = Config;
    type Stream = Stream;

    fn new(mut config: Config, host: &dyn Host) -> Self {
        let define =
            |name: &str| host.define_metric(MetricKind::Counter, &format!("tidegate.auth.{name}")).ok();
        let counted = |rule: &Rule| {
            let mode = if rule.shadow { "shadow_" } else { "" };
            CountedRule {
                allowed: define(&format!("{}.{mode}allowed", rule.name)),
                denied: define(&format!("{}.{mode}denied", rule.name)),
            }
        };
        config.providers.iter_mut().for_each(|provider| provider.start(host));
        let has_service =
            config.providers.iter().any(|provider| matches!(provider.method, Method::External(_)));
        Self {
            signs_bodies: config.providers.iter().any(
                |provider| matches!(&provider.method, Method::SignedRequest(signed) if signed.covers_body()),
            ),
            looks_at_paths: has_service || config.rules.iter().any(Rule::names_paths),
            looks_at_hosts: has_service || config.rules.iter().any(|rule| rule.conditions.name_hosts()),
            rules_name_sources: config.rules.iter().any(|rule| rule.conditions.name_sources()),
            unknown_source: define("unknown_source"),
            counted_rules: config.rules.iter().map(counted).collect(),
            counted_providers: config
                .providers
                .iter()
                .map(|provider| Counters::define(&provider.name, host))
                .collect(),
            forwarding: Forwarding::new(config.forward, &config.providers),
            providers: config.providers,
            selector: Box::new(Selector::new(&config.rules)),
            rules: config.rules,
            default_allow: config.default_allow,
            client_address: config.client_address,
            ambiguous_paths: config.ambiguous_paths,
            publish_decisions: config.publish_decisions,
            ambiguous: define("ambiguous_path"),
            ambiguous_host: define("ambiguous_host"),
            default_allowed: define("default_allowed"),
            default_denied: define("default_denied"),
            keys_fetched: define("keys_fetched"),
            keys_failed: define("keys_failed"),
        }
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        self.decide(stream, exchange, host, true)
    }

    fn on_request_body(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: BodyPiece<'_>,
    ) -> Flow {
        stream.body.take(piece.bytes, piece.end);
        if piece.end { self.decide(stream, exchange, host, false) } else { Flow::ReadBody }
    }

    fn on_awaited(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        self.decide(stream, exchange, host, false)
    }

    fn on_callout(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        if let Some((index, digest)) = stream.asked.take()
            && let Some(Method::External(external)) = self.providers.get(index).map(|it| &it.method)
        {
            let verdict = external.answered(result, digest, host.now());
            self.keep(index, &verdict, stream, host);
        }
        self.decide(stream, exchange, host, false)
    }

    fn tick_period(&self) -> Option<Duration> {
        self.tokens().any(|jwt| jwt.remote().is_some()).then_some(TICK)
    }

    fn on_tick(&self, host: &dyn Host) {
        let now = host.now();
        for remote in self.tokens().filter_map(Jwt::remote) {
            remote.refresh(host, now);
        }
    }

    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        let jwt = self.tokens().find(|jwt| jwt.remote().is_some_and(|remote| remote.awaits(token)));
        match jwt.map(|jwt| jwt.fetched(result, host.now())) {
            Some(Fetched::Keys) => count(self.keys_fetched, host),
            Some(Fetched::Failed) => count(self.keys_failed, host),
            Some(Fetched::Nothing) | None => {}
        }
    }
}

impl Auth {
    fn tokens(&self) -> impl Iterator<Item = &Jwt> {
        self.providers.iter().filter_map(|provider| match &provider.method {
            Method::Jwt(jwt) => Some(jwt.as_ref()),
            _ => None,
        })
    }

    /// Decides, or says what has to be waited for. A body can only be asked for at the `beginning`.
    fn decide(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host, beginning: bool) -> Flow {
        // What does not begin with a slash is no path at all: what a server makes of it nobody can tell.
        let is_path = exchange.path().starts_with(b"/");
        let ambiguous = self.looks_at_paths && (!is_path || is_ambiguous(exchange.path()));
        let view = match self.ambiguous_paths {
            _ if !ambiguous => Some(View::plain(exchange, host, self.client_address)),
            AmbiguousPaths::Worst if is_path => View::ambiguous(exchange, host, self.client_address),
            _ => None,
        };
        let Some(view) = view else {
            count(self.ambiguous, host);
            return Flow::Reply(reply::ambiguous_path(exchange));
        };
        if self.looks_at_hosts && !is_plain_host(exchange.authority()) {
            count(self.ambiguous_host, host);
            return Flow::Reply(reply::ambiguous_host(exchange));
        }
        if self.rules_name_sources && view.all().iter().any(|facts| facts.source().is_none()) {
            count(self.unknown_source, host);
            return self.refuse(None, &Refusal::Forbidden(Vec::new()), exchange, host);
        }
        let selection = self.selector.select(&self.rules, &view);
        if let Some(index) = selection.denying {
            return self.refuse(Some(index), &Refusal::Forbidden(Vec::new()), exchange, host);
        }
        if beginning && self.signs_bodies && self.needs_body(&selection, exchange) {
            return Flow::ReadBody;
        }
        let judged = self.judge(&selection, &view, stream, exchange, host);
        drop(view);
        let (outcome, denied_by) = match judged {
            Ok(judged) => judged,
            Err(wait) => return wait,
        };
        if let Some(index) = denied_by {
            return self.refuse(Some(index), &Refusal::Forbidden(Vec::new()), exchange, host);
        }
        match outcome {
            Some(Outcome::Refused(refusal)) => self.refuse(selection.deciding, &refusal, exchange, host),
            Some(Outcome::Allowed(identity)) => {
                if let Some(index) = selection.deciding {
                    self.count_rule(index, true, host);
                }
                self.publish(selection.deciding, host);
                self.forwarding.pass(identity.as_ref(), &self.providers, exchange, host)
            }
            None if self.default_allow => {
                count(self.default_allowed, host);
                self.publish(None, host);
                self.forwarding.pass(None, &self.providers, exchange, host)
            }
            None => self.refuse(None, &Refusal::Forbidden(Vec::new()), exchange, host),
        }
    }

    /// What the selected rules come to: the outcome of the one that decides, and the rule that denies it to this caller.
    /// Counts what rules in shadow mode would have done.
    fn judge(
        &self,
        selection: &Selection,
        view: &View<'_>,
        stream: &mut Stream,
        exchange: &Exchange,
        host: &dyn Host,
    ) -> Result<(Option<Outcome>, Option<usize>), Flow> {
        let mut evaluation = Evaluation::new(self, exchange, host, view.all());
        let Judged { shadows, outcome } = evaluation.run(selection, stream)?;
        let identity = match &outcome {
            Some(Outcome::Allowed(identity)) => identity.as_ref(),
            _ => None,
        };
        let denied_by = selection.denying_some.iter().copied().find(|index| {
            let rule = self.rules.get(*index);
            rule.is_some_and(|rule| evaluation.denies(rule, identity.map(AsRef::as_ref)))
        });
        // A rule in shadow mode that denies some would deny this caller, or not.
        let would = |index: usize, outcome: &Outcome| {
            let rule = self.rules.get(index);
            let some = rule.is_some_and(|it| matches!(it.action, Action::Deny) && !it.entitlement.is_empty());
            match rule {
                Some(rule) if some => !evaluation.denies(rule, identity.map(AsRef::as_ref)),
                _ => matches!(outcome, Outcome::Allowed(_)),
            }
        };
        for (index, outcome) in &shadows {
            self.count_rule(*index, would(*index, outcome), host);
        }
        Ok((outcome, denied_by))
    }

    /// Whether a rule that matters asks for a signature over the body, and the request has one.
    fn needs_body(&self, selection: &Selection, exchange: &Exchange) -> bool {
        let rules = selection.shadows.iter().chain(&selection.deciding).filter_map(|it| self.rules.get(*it));
        let providers = rules.flat_map(|rule| match &rule.action {
            Action::Require(requirement) => requirement.providers(),
            _ => Vec::new(),
        });
        providers.into_iter().filter_map(|index| self.providers.get(index)).any(|provider| {
            matches!(&provider.method, Method::SignedRequest(signed)
                if signed.covers_body() && signed.is_presented(exchange))
        })
    }

    /// Notes what a provider said, counts it, and tells the debug log why.
    pub(crate) fn keep(&self, index: usize, verdict: &Verdict, stream: &mut Stream, host: &dyn Host) {
        if let Some(counters) = self.counted_providers.get(index) {
            counters.count(verdict, host);
        }
        if let (Verdict::Refused(reason) | Verdict::Failed(reason), Some(provider)) =
            (verdict, self.providers.get(index))
        {
            log::debug!("auth: provider {}: {reason}", provider.name);
        }
        stream.note(index, verdict.clone());
    }

    fn refuse(&self, rule: Option<usize>, refusal: &Refusal, exchange: &Exchange, host: &dyn Host) -> Flow {
        match rule {
            Some(index) => self.count_rule(index, false, host),
            None => count(self.default_denied, host),
        }
        self.publish(rule, host);
        Flow::Reply(match refusal {
            // Where no credential could help there is nothing to challenge with.
            Refusal::Unauthenticated(challenges) if challenges.is_empty() => reply::forbidden(exchange, &[]),
            Refusal::Unauthenticated(challenges) => {
                reply::unauthenticated(exchange, &challenges.iter().collect::<Vec<_>>())
            }
            Refusal::Forbidden(challenges) => {
                reply::forbidden(exchange, &challenges.iter().collect::<Vec<_>>())
            }
            Refusal::Denied(denial) => reply::denied(exchange, denial),
            Refusal::Undecided => reply::undecided(exchange),
        })
    }

    fn count_rule(&self, index: usize, allowed: bool, host: &dyn Host) {
        if let Some(counted) = self.counted_rules.get(index) {
            count(if allowed { counted.allowed } else { counted.denied }, host);
        }
    }

    /// Names the rule that decided, for whoever looks back at the exchange.
    fn publish(&self, rule: Option<usize>, host: &dyn Host) {
        if !self.publish_decisions {
            return;
        }
        let name = rule.and_then(|index| self.rules.get(index)).map_or("default", |rule| rule.name.as_str());
        if let Err(error) = host.set_property(Property::AUTH_RULE, name.as_bytes()) {
            log::warn!("auth: naming the rule: {error}");
        }
    }
}

fn count(metric: Option<MetricId>, host: &dyn Host) {
    if let Some(metric) = metric {
        host.add(metric, 1);
    }
}
