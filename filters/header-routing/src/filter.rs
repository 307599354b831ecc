//! The decision on one request, and what is done about it.

use tidegate_config::{HeaderName, HeaderValue, Name};
use tidegate_filter_api::{
    Callbacks, Exchange, Filter, Flow, GrpcStatus, Host, HostError, LocalReply, MetricId, Property,
};
use tidegate_matchers::{ClientAddress, Conditions, Facts, RuleIndex};

use crate::actions::{Actions, BadValue, Choice, Fallback, Forward, Way};
use crate::config::Config;
use crate::edits::Planned;
use crate::fallback::Routes;
use crate::metrics::{Counters, count, counter};
use crate::rewrite::Rewritten;
use crate::value::Source;
use crate::warnings;

/// The header-routing filter.
pub struct HeaderRouting {
    index: RuleIndex,
    rules: Vec<Compiled>,
    default: Option<Compiled>,
    unmatched: Counters,
    routes: Routes,
    route_header: HeaderName,
    original_path: Option<HeaderName>,
    /// What Linkerd's proxy routes by.
    destination: Option<HeaderName>,
    set_cookie: Option<HeaderName>,
    trusted: Option<Conditions>,
    publish: bool,
    refused: Option<MetricId>,
    client_address: ClientAddress,
}

/// A rule, ready for requests.
struct Compiled {
    /// What other filters are told, if they are told anything.
    name: Option<HeaderValue>,
    actions: Actions,
    /// The numbers of the routes it chooses from: one, or one per arm.
    routes: Vec<usize>,
    counters: Counters,
}

/// What the filter keeps of one exchange.
#[derive(Debug, Default)]
pub struct Stream {
    /// To be set on the response.
    cookie: Option<HeaderValue>,
    /// The rule that chose a route which may lead nowhere (`None`: the default), and the route's number.
    watched: Option<(Option<usize>, usize)>,
}

/// What is to be done with a request.
#[derive(Default)]
struct Decision<'f> {
    route: Option<&'f HeaderValue>,
    rewritten: Rewritten,
    headers: Option<Planned<'f>>,
    query: Option<Planned<'f>>,
    cookies: Option<Planned<'f>>,
}

/// How a request ends.
enum End<'f> {
    Forward(Decision<'f>),
    Reply(LocalReply),
}

impl Filter for HeaderRouting {
    const NAME: &'static str = "header_routing";
    const CALLBACKS: Callbacks =
        Callbacks::REQUEST_HEADERS.and(Callbacks::RESPONSE_HEADERS).and(Callbacks::CALLOUT);
    type Config = Config;
    type Stream = Stream;

    fn new(config: Config, host: &dyn Host) -> Self {
        let routes = Routes::new(config.route_names());
        let publish = config.publish_decisions;
        let compile = |name: Option<&Name>, actions: Actions, counters| {
            let choice = actions.forward().and_then(|forward| forward.choice.as_ref());
            let numbers = choice.map(|choice| choice.numbers(&routes));
            let name = actions.mark.as_ref().or(name.filter(|_| publish)).map(HeaderValue::from);
            Compiled { name, actions, routes: numbers.unwrap_or_default(), counters }
        };
        let mut rules = Vec::new();
        let mut conditions = Vec::new();
        let mut names: Vec<Name> = Vec::new();
        for rule in config.rules {
            let counters = Counters::define(&rule.name, &rule.actions, host);
            rules.push(compile(Some(&rule.name), rule.actions, counters));
            conditions.push(rule.conditions);
            names.push(rule.name);
        }
        let index = RuleIndex::new(conditions);
        warnings::log(&index, &names, host);
        let unmatched = Counters::of_default(config.default.as_ref(), host);
        let default = config.default.map(|actions| compile(None, actions, Counters::default()));
        Self {
            index,
            rules,
            default,
            unmatched,
            routes,
            route_header: config.route_header,
            original_path: HeaderName::new("x-envoy-original-path").ok(),
            destination: HeaderName::new("l5d-dst-override").ok(),
            set_cookie: HeaderName::new("set-cookie").ok(),
            trusted: config.trusted,
            publish,
            refused: counter(host, "refused"),
            client_address: config.client_address,
        }
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let end = {
            let facts = Facts::new(exchange, host, self.client_address);
            self.decide(stream, &facts, host)
        };
        let forwarded = match end {
            Ok(End::Reply(reply)) => return Flow::Reply(reply),
            Ok(End::Forward(decision)) => self.forward(decision, exchange, host),
            Err(refusal) => Err(refusal),
        };
        match forwarded {
            Ok(()) => Flow::Continue,
            Err(Refusal::BadValue) => {
                count(self.refused, host);
                Flow::Reply(bad_value())
            }
            // Without the state, a route that trusts it would send the request elsewhere: fail closed.
            Err(Refusal::Host(error)) => {
                log::error!("header_routing: setting filter state: {error}");
                Flow::Reply(no_route())
            }
        }
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) {
        if let (Some(name), Some(cookie)) = (&self.set_cookie, stream.cookie.take()) {
            exchange.response_mut().append(name, &cookie);
        }
        if let Some((rule, route)) = stream.watched.take()
            && let Some(fallback) = self.rule(rule).and_then(Compiled::fallback)
        {
            self.routes.learn(route, fallback, host);
        }
    }
}

/// Why a request is refused that was to go on.
enum Refusal {
    BadValue,
    Host(HostError),
}

impl From<BadValue> for Refusal {
    fn from(BadValue: BadValue) -> Self {
        Self::BadValue
    }
}

impl HeaderRouting {
    /// The rule with this number, or the default.
    fn rule(&self, number: Option<usize>) -> Option<&Compiled> {
        match number {
            Some(number) => self.rules.get(number),
            None => self.default.as_ref(),
        }
    }

    /// Decides with the request as it was sent; nothing is changed yet.
    fn decide<'f>(
        &'f self,
        stream: &mut Stream,
        facts: &Facts<'_>,
        host: &dyn Host,
    ) -> Result<End<'f>, Refusal> {
        let matched = self.index.first_match(facts);
        let Some(rule) = self.rule(matched) else {
            self.unmatched.count_match(host);
            return Ok(End::Forward(Decision { route: self.trusted_route(facts), ..Decision::default() }));
        };
        let counters = if matched.is_some() { &rule.counters } else { &self.unmatched };
        counters.count_match(host);
        let captures =
            || matched.and_then(|number| self.index.rules().get(number)).map(|rule| rule.captures(facts));
        let source = || Source { facts, captures: captures().unwrap_or_default() };
        if let Some(name) = &rule.name {
            host.set_property(Property::ROUTING_RULE, name.as_bytes()).map_err(Refusal::Host)?;
        }
        let forward = match &rule.actions.way {
            Way::Redirect(redirect) => return Ok(End::Reply(redirect.reply(&source())?)),
            Way::Reply(reply) => return Ok(End::Reply(reply.reply(&source())?)),
            Way::Forward(forward) => forward,
        };
        let mut decision = Decision { route: self.trusted_route(facts), ..Decision::default() };
        if decision.route.is_none() {
            let arm = self.choose(&mut decision, stream, facts, host, matched);
            if let Some(arm) = arm.filter(|_| self.publish || rule.actions.mark.is_some()) {
                host.set_property(Property::ROUTING_ARM, arm.as_bytes()).map_err(Refusal::Host)?;
            }
        }
        if forward.changes() {
            let source = source();
            if let Some(rewrite) = &forward.rewrite {
                decision.rewritten = rewrite.apply(&source)?;
            }
            decision.headers = (!forward.headers.is_empty()).then(|| forward.headers.plan(&source));
            decision.query = (!forward.query.is_empty()).then(|| forward.query.plan(&source));
            decision.cookies = (!forward.cookies.is_empty()).then(|| forward.cookies.plan(&source));
        }
        Ok(End::Forward(decision))
    }

    /// Chooses the route: as the rule says, or else as the default does. Returns the arm, if there is a split.
    fn choose<'f>(
        &'f self,
        decision: &mut Decision<'f>,
        stream: &mut Stream,
        facts: &Facts<'_>,
        host: &dyn Host,
        matched: Option<usize>,
    ) -> Option<&'f HeaderValue> {
        let chooses = |number: &Option<usize>| self.rule(*number).is_some_and(|rule| !rule.routes.is_empty());
        let number = [matched, None].into_iter().find(chooses)?;
        let rule = self.rule(number)?;
        let counters = if number.is_some() { &rule.counters } else { &self.unmatched };
        let arm = match rule.split() {
            Some(split) => {
                let chosen = split.choose(facts, self.client_address, host);
                stream.cookie = chosen.set_cookie;
                counters.count_arm(chosen.arm, host);
                chosen.arm
            }
            None => 0,
        };
        let mut route = *rule.routes.get(arm)?;
        let arm = rule.split().and_then(|_| self.routes.value(route));
        if let Some(fallback) = rule.fallback() {
            if self.routes.leads_somewhere(route, fallback, host) {
                stream.watched = Some((number, route));
            } else {
                counters.count_fallback(host);
                route = self.routes.number(fallback.route.as_str().as_bytes()).unwrap_or(route);
            }
        }
        decision.route = self.routes.value(route);
        arm
    }

    /// The route that a trusted sender asks for, if there is such a route.
    fn trusted_route(&self, facts: &Facts<'_>) -> Option<&HeaderValue> {
        let trusted = self.trusted.as_ref()?;
        let mut values = facts.exchange().request().values(self.route_header.as_str());
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let number = self.routes.number(value)?;
        trusted.match_facts(facts).then(|| self.routes.value(number)).flatten()
    }

    /// Does what was decided.
    fn forward(
        &self,
        decision: Decision<'_>,
        exchange: &mut Exchange,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        match decision.route {
            // Only a client can have put a route there: a rule that matches nothing must not let it choose.
            None => exchange.request_mut().remove(&self.route_header),
            Some(route) => {
                host.set_property(Property::ROUTE, route.as_bytes()).map_err(Refusal::Host)?;
                exchange.request_mut().set(&self.route_header, route);
            }
        }
        exchange.request_mut().remove_twins(&self.route_header);
        // Behind this filter Linkerd's proxy sends the request where this header says: a rule may say so, a client never.
        if let Some(destination) = &self.destination {
            exchange.request_mut().remove(destination);
        }
        self.change(decision, exchange)?;
        // Envoy chose a route before this filter ran; by now it may be another one.
        exchange.reroute();
        Ok(())
    }

    fn change(&self, decision: Decision<'_>, exchange: &mut Exchange) -> Result<(), BadValue> {
        if let Some(host) = &decision.rewritten.host {
            exchange.request_mut().set_authority(host);
        }
        if let Some(path) = &decision.rewritten.path {
            let original = HeaderValue::new(exchange.path()).map_err(|_| BadValue)?;
            if let Some(name) = &self.original_path {
                exchange.request_mut().set(name, &original);
            }
            exchange.request_mut().set_path(path);
        }
        if let Some(query) = decision.query {
            query.make_query(exchange)?;
        }
        if let Some(cookies) = decision.cookies {
            cookies.make_cookies(exchange.request_mut())?;
        }
        if let Some(headers) = decision.headers {
            headers.make(exchange.request_mut())?;
        }
        Ok(())
    }
}

impl Compiled {
    fn split(&self) -> Option<&crate::split::Split> {
        match self.actions.forward()?.choice.as_ref()? {
            Choice::Split(split) => Some(split),
            Choice::Route(_) => None,
        }
    }

    fn fallback(&self) -> Option<&Fallback> {
        self.actions.forward()?.fallback.as_ref()
    }
}

impl Forward {
    /// Whether the request is changed in any way but its route.
    fn changes(&self) -> bool {
        self.rewrite.is_some()
            || !(self.headers.is_empty() && self.query.is_empty() && self.cookies.is_empty())
    }
}

impl Choice {
    fn numbers(&self, routes: &Routes) -> Vec<usize> {
        self.names().filter_map(|name| routes.number(name.as_str().as_bytes())).collect()
    }

    fn names(&self) -> Box<dyn Iterator<Item = &Name> + '_> {
        match self {
            Self::Route(name) => Box::new(std::iter::once(name)),
            Self::Split(split) => Box::new(split.arms.iter().map(|arm| &arm.route)),
        }
    }
}

impl Config {
    /// The names of all routes that it can choose.
    fn route_names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for actions in self.rules.iter().map(|rule| &rule.actions).chain(&self.default) {
            if let Some(forward) = actions.forward() {
                names.extend(forward.choice.iter().flat_map(Choice::names).cloned());
                names.extend(forward.fallback.iter().map(|fallback| fallback.route.clone()));
            }
        }
        names
    }
}

fn no_route() -> LocalReply {
    LocalReply {
        status: 500,
        grpc_status: GrpcStatus::Unavailable,
        headers: Vec::new(),
        body: "the route could not be chosen\n".into(),
        details: "tidegate_routing_error",
    }
}

/// Something that the client sent would have ended up where it cannot stand.
fn bad_value() -> LocalReply {
    LocalReply {
        status: 400,
        grpc_status: GrpcStatus::Internal,
        headers: Vec::new(),
        body: "a part of the request cannot be passed on as configured\n".into(),
        details: "tidegate_routing_bad_value",
    }
}
