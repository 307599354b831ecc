//! The phases of a request: decided on when it arrives, settled when its response does and when it ends.

use std::cell::RefCell;

use tidegate_filter_api::{
    CallToken, Callbacks, CalloutResult, Exchange, Filter, Flow, Host, HostError, Property, Timestamp,
};
use tidegate_matchers::{ClientAddress, Facts, RuleIndex};
use tidegate_quota::{KeyDigest, Lease, State};

use crate::config::{Config, Fields, Otherwise, Reply, Service};
use crate::key::Digester;
use crate::limiter::{Limiter, Ruling};
use crate::metrics::Event;
use crate::refusal::{Cause, refuse};
use crate::service::Descriptor;
use crate::usage::Usage;
use crate::view::{Applies, View};

/// So many limits are looked at one by one.
const FEW: usize = 16;

/// The rate-limit filter.
pub struct RateLimit {
    pub(crate) limits: Vec<Limiter>,
    /// Finds the limits that may apply, where there are many.
    index: Option<RuleIndex>,
    pub(crate) client: ClientAddress,
    digester: Digester,
    on_full: Otherwise,
    on_error: Otherwise,
    pub(crate) service: Option<Service>,
    pub(crate) reply: Reply,
    publish_decisions: bool,
    /// Limits whose costs are being told to the service.
    pub(crate) told: RefCell<Vec<(CallToken, usize)>>,
}

/// What is kept of one request.
#[derive(Debug, Default)]
pub struct Stream {
    /// The limits that it is subject to, as far as something is still to be done about them.
    pub(crate) subjects: Vec<Subject>,
    /// Headers of the service for the client.
    pub(crate) passed_on: Vec<(tidegate_config::HeaderName, tidegate_config::HeaderValue)>,
    pub(crate) refused: bool,
}

/// A request under one limit.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The limit, by its place.
    pub(crate) limit: usize,
    pub(crate) key: KeyDigest,
    /// The state of its key that clients are told of.
    pub(crate) state: Option<(State, Timestamp)>,
    pub(crate) lease: Option<Lease>,
    /// Units that it costs, where they were known when it arrived.
    pub(crate) units: Option<u64>,
    /// Whether its cost is still to be charged.
    pub(crate) due: bool,
    /// Where the cost is being read from the response's body.
    pub(crate) usage: Option<Usage>,
    /// What the service was asked, and said.
    pub(crate) descriptor: Option<Descriptor>,
    pub(crate) status: Option<crate::service::Status>,
}

impl Filter for RateLimit {
    const NAME: &'static str = "rate_limit";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::RESPONSE_BODY)
        .and(Callbacks::GRPC_CALLOUT)
        .and(Callbacks::LOG);
    type Config = Config;
    type Stream = Stream;

    fn new(config: Config, host: &dyn Host) -> Self {
        let plugin = host.property(Property::PLUGIN_NAME).unwrap_or_default();
        let client = config.client_address;
        if config.service.is_some() && config.limits.iter().all(|limit| limit.descriptor.is_none()) {
            log::warn!("rate_limit: no limit has \"global\": true, so the rate limit service is never asked");
        }
        let conditions = config.limits.iter().map(|limit| limit.conditions.clone());
        let index = (config.limits.len() > FEW).then(|| RuleIndex::new(conditions.collect()));
        let limits = config.limits.into_iter();
        Self {
            index,
            limits: limits
                .map(|limit| Limiter::new(limit, config.max_keys, &config.client_identity, &plugin, host))
                .collect(),
            client,
            digester: Digester::new(seed(&plugin, host), client),
            on_full: config.on_full,
            on_error: config.on_error,
            service: config.service,
            reply: config.reply,
            publish_decisions: config.publish_decisions,
            told: RefCell::default(),
        }
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let view = View::new(exchange, host, self.client);
        let mut now = None;
        for (place, limiter) in self.candidates(&view) {
            let ruling = match view.under(&limiter.limit, self.digester) {
                Applies::No => continue,
                Applies::Unreadable => limiter.refuse(Cause::Unreadable, None, host),
                Applies::Yes(_, None) => limiter.without_key(host),
                Applies::Yes(facts, Some(key)) => {
                    self.meet(place, limiter, key, facts, &mut now, stream, host)
                }
            };
            match ruling {
                Ruling::Pass(_) => {}
                Ruling::WouldRefuse => self.publish(limiter, host),
                Ruling::Refuse(cause, state) => {
                    let cause = self.for_all(cause, Some(place), &view, now, host);
                    return self.refuse(place, &cause, state.zip(now), None, stream, exchange, host);
                }
            }
        }
        drop(view);
        self.ask_for_plain_bodies(stream, exchange);
        self.ask_service(stream)
    }

    fn on_callout(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        self.hear_service(stream, exchange, host, result)
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) {
        // A reply of this filter has everything already, and cost nothing.
        if !stream.refused {
            self.settle(stream, exchange, host);
            self.tell(stream, exchange);
        }
    }

    fn reads_response_body(&self, stream: &Stream) -> bool {
        stream.subjects.iter().any(|subject| subject.usage.is_some())
    }

    fn on_response_body(&self, stream: &mut Stream, _: &mut Exchange, _: &dyn Host, piece: &[u8]) {
        self.read_usage(stream, piece);
    }

    fn on_log(&self, stream: &mut Stream, _: &Exchange, host: &dyn Host) {
        self.end(stream, host);
    }

    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        self.heard_of_cost(host, token, &result);
    }
}

impl RateLimit {
    /// The limits that may apply to a request, in order, with their places: found by the index, or all where there are few, or
    /// where the path can be read in several ways.
    fn candidates(&self, view: &View<'_>) -> impl Iterator<Item = (usize, &Limiter)> {
        let found = self.index.as_ref().and_then(|index| view.candidates(index));
        let count = found.as_ref().map_or(self.limits.len(), Vec::len);
        (0..count).filter_map(move |number| {
            let place = found.as_ref().map_or(Some(number), |found| found.get(number).copied())?;
            Some((place, self.limits.get(place)?))
        })
    }

    /// One limit's ruling on a request that it applies to. `now` is asked for once per request, and only if it counts.
    #[expect(clippy::too_many_arguments, reason = "what a ruling depends on")]
    fn meet(
        &self,
        place: usize,
        limiter: &Limiter,
        key: KeyDigest,
        facts: &Facts<'_>,
        now: &mut Option<Timestamp>,
        stream: &mut Stream,
        host: &dyn Host,
    ) -> Ruling {
        let limit = &limiter.limit;
        let units = limiter.known_cost(facts.exchange());
        if units.is_some_and(|cost| cost.faulty) {
            limiter.count(Event::Error, host);
        }
        let units = units.map(|cost| cost.units);
        let mut counted = None;
        if limit.is_local() {
            let now = *now.get_or_insert_with(|| host.now());
            match limiter.decide(key, limiter.ask(units), now, self.on_full, self.on_error, host) {
                Ruling::Pass(passed) => counted = passed,
                // The answer is known, and the service need not be asked.
                otherwise => return otherwise,
            }
        }
        let descriptor = limit.descriptor.as_ref().and_then(|own| {
            let mut entries = self.digester.entries(&limit.key, facts, host)?;
            if let Some(value) = &own.generic_key {
                entries.insert(0, ("generic_key".to_owned(), value.clone()));
            } else if entries.is_empty() {
                // A descriptor has one entry at least.
                entries.push(("generic_key".to_owned(), limit.name.as_str().to_owned()));
            }
            let hits = if limiter.is_late() { 0 } else { units.unwrap_or(0) };
            Some(Descriptor { entries, hits })
        });
        if descriptor.is_none() && counted.is_some() {
            limiter.count(Event::Allowed, host);
        }
        let (lease, due) = (counted.and_then(|passed| passed.lease), limiter.is_late());
        let told = self.reply.fields != Fields::None && limiter.is_told();
        if due || told || lease.is_some() || descriptor.is_some() {
            stream.subjects.push(Subject {
                limit: place,
                key,
                state: counted.map(|passed| passed.state).zip(*now),
                lease,
                units,
                due,
                usage: None,
                descriptor,
                status: None,
            });
        }
        Ruling::Pass(counted)
    }

    /// The cause of a refusal with the time after which all local limits would admit the same request, not only the one
    /// that refuses: later ones were not asked yet, and earlier ones have taken what this request cost.
    pub(crate) fn for_all(
        &self,
        cause: Cause,
        refusing: Option<usize>,
        view: &View<'_>,
        now: Option<Timestamp>,
        host: &dyn Host,
    ) -> Cause {
        let Cause::Exceeded(violated, mut wait) = cause else { return cause };
        for (place, limiter) in self.candidates(view) {
            let (Some(known), Some(now)) = (wait, now) else { break };
            if Some(place) == refusing || !limiter.limit.is_local() || !limiter.is_told() {
                continue;
            }
            let Applies::Yes(facts, Some(key)) = view.under(&limiter.limit, self.digester) else { continue };
            wait = limiter.wait(key, facts.exchange(), now, host).map(|longer| longer.max(known));
        }
        Cause::Exceeded(violated, wait)
    }

    /// Answers a request that the limit in `place` refuses, telling of that limit's quotas in `state` too, with the body
    /// that the service may have sent.
    #[expect(clippy::too_many_arguments, reason = "what a refusal is made of")]
    pub(crate) fn refuse(
        &self,
        place: usize,
        cause: &Cause,
        state: Option<(State, Timestamp)>,
        body: Option<String>,
        stream: &mut Stream,
        exchange: &Exchange,
        host: &dyn Host,
    ) -> Flow {
        stream.refused = true;
        // Nothing was done that could have cost anything.
        stream.subjects.iter_mut().for_each(|subject| subject.due = false);
        if let Some(limiter) = self.limits.get(place) {
            self.publish(limiter, host);
        }
        let fields = self.fields(stream, state.map(|(state, now)| (place, state, now)));
        let mut headers = std::mem::take(&mut stream.passed_on);
        headers.retain(|(name, _)| !fields.iter().any(|(own, _)| own == name));
        headers.extend(fields);
        Flow::Reply(refuse(&self.reply, cause, headers, body, exchange))
    }

    /// Tells other filters which limit refuses.
    pub(crate) fn publish(&self, limiter: &Limiter, host: &dyn Host) {
        if self.publish_decisions
            && let Err(error) = host.set_property(Property::LIMIT, limiter.limit.name.as_str().as_bytes())
        {
            limiter.report(error, host);
        }
    }
}

/// The seed of this plugin's digests: whoever starts first chooses it for all workers, and for as long as the states
/// themselves live.
fn seed(plugin: &[u8], host: &dyn Host) -> [u8; 16] {
    let key = [b"tg.rl.seed.".as_slice(), plugin].concat();
    let stored = || -> Option<[u8; 16]> { host.shared(&key).ok()??.bytes.try_into().ok() };
    let chosen = || -> Result<[u8; 16], HostError> {
        let seed = host.random()?;
        host.set_shared(&key, &seed, None).map(|()| seed)
    };
    // Where another worker was faster, its seed is there now. A host without randomness gets a fixed seed, and exact
    // limits all the same.
    stored().or_else(|| chosen().ok()).or_else(stored).unwrap_or_default()
}

#[cfg(test)]
mod tests;
