//! A limit at work: its configuration, the states of its keys, its metrics, and what its clients are told.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_filter_api::{Exchange, Host, HostError, Timestamp};
use tidegate_quota::{Ask, Cost, KeyDigest, Lease, PREFIX, Refusal, State, Table, Unit, Verdict};

use crate::config::{CostSource, Limit, Measured, Mode, Otherwise};
use crate::metrics::{Event, Metrics};
use crate::policy::{Policies, Standing};
use crate::refusal::Cause;

/// A limit at work.
pub(crate) struct Limiter {
    pub(crate) limit: Limit,
    pub(crate) metrics: Metrics,
    pub(crate) policies: Policies,
    table: Table,
}

/// What a limit says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It may pass; what was counted, if anything was.
    Pass(Option<Passed>),
    /// It may pass, but would be refused if the limit were enforced.
    WouldRefuse,
    /// It is refused, for this reason and with what can be told of the quotas.
    Refuse(Cause, Option<State>),
}

/// A request that a limit let pass and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) state: State,
    pub(crate) lease: Option<Lease>,
}

impl Limiter {
    pub(crate) fn new(limit: Limit, max_keys: u64, client: &str, plugin: &[u8], host: &dyn Host) -> Self {
        let metrics = Metrics::define(limit.name.as_str(), host);
        let prefix = prefix(plugin, &limit, max_keys, client);
        let keys = metrics.keys.filter(|_| limit.is_local());
        let table = Table::new(prefix, max_keys, limit.rules(), keys, host);
        Self { policies: Policies::new(&limit), limit, metrics, table }
    }

    pub(crate) fn count(&self, event: Event, host: &dyn Host) {
        self.metrics.count(event, host);
    }

    /// What the request costs in units, as far as it is known before its response.
    pub(crate) fn known_cost(&self, exchange: &Exchange) -> Option<Measured> {
        let cost = &self.limit.cost;
        let exactly = |units| Some(Measured { units, faulty: false });
        match &cost.source {
            _ if !self.counts_units() => exactly(1),
            CostSource::Fixed => exactly(cost.fixed()),
            CostSource::RequestHeader(name) => Some(cost.of_header(exchange.request().values(name.as_str()))),
            CostSource::ResponseHeader(_) | CostSource::JsonField(_) => None,
        }
    }

    /// After how many nanoseconds a request like this would find enough in all quotas; `None` if no time would do.
    pub(crate) fn wait(
        &self,
        key: KeyDigest,
        exchange: &Exchange,
        now: Timestamp,
        host: &dyn Host,
    ) -> Option<u64> {
        let cost = self.ask(self.known_cost(exchange).map(|cost| cost.units));
        match self.table.look(key, now, cost, host) {
            Ok(Verdict::Refused(_, refusal)) => refusal.wait_for_quotas(),
            // What cannot be known now does not make a promise of others worse.
            Ok(Verdict::Admitted(..)) | Err(_) => Some(0),
        }
    }

    /// Whether something is to be charged when the response is there.
    pub(crate) fn is_late(&self) -> bool {
        self.limit.count_when.is_some() || self.limit.cost.is_late()
    }

    /// What is asked of the quotas before the response is there.
    pub(crate) fn ask(&self, units: Option<u64>) -> Cost {
        if self.limit.count_when.is_some() {
            return Cost { requests: Ask::Look, units: Ask::Look };
        }
        Cost { requests: Ask::Take(1), units: units.map_or(Ask::Look, Ask::Take) }
    }

    /// Decides on a request of `key`; what happened is counted, but for the admission.
    pub(crate) fn decide(
        &self,
        key: KeyDigest,
        cost: Cost,
        now: Timestamp,
        on_full: Otherwise,
        on_error: Otherwise,
        host: &dyn Host,
    ) -> Ruling {
        match self.table.decide(key, now, cost, host) {
            Ok(Some(Verdict::Admitted(state, lease))) => Ruling::Pass(Some(Passed { state, lease })),
            Ok(Some(Verdict::Refused(state, refusal))) => {
                self.refuse(self.exceeded(refusal), Some(state), host)
            }
            Ok(None) => {
                self.count(Event::TableFull, host);
                match on_full {
                    Otherwise::Allow => Ruling::Pass(None),
                    Otherwise::Deny => self.refuse(Cause::TableFull, None, host),
                }
            }
            Err(error) => {
                self.report(error, host);
                match on_error {
                    Otherwise::Allow => Ruling::Pass(None),
                    Otherwise::Deny => self.refuse(Cause::Undecided, None, host),
                }
            }
        }
    }

    /// A request without this limit's key.
    pub(crate) fn without_key(&self, host: &dyn Host) -> Ruling {
        match self.limit.on_missing {
            Otherwise::Allow => Ruling::Pass(None),
            Otherwise::Deny => self.refuse(Cause::MissingKey, None, host),
        }
    }

    /// Refuses, or only counts that it would.
    pub(crate) fn refuse(&self, cause: Cause, state: Option<State>, host: &dyn Host) -> Ruling {
        match self.limit.mode {
            Mode::Enforce => {
                self.count(Event::Denied, host);
                Ruling::Refuse(cause, state)
            }
            Mode::Shadow => {
                self.count(Event::ShadowDenied, host);
                Ruling::WouldRefuse
            }
        }
    }

    /// Takes from the quotas what has been spent, and returns the state afterwards.
    pub(crate) fn charge(
        &self,
        key: KeyDigest,
        requests: u64,
        units: u64,
        now: Timestamp,
        host: &dyn Host,
    ) -> Option<State> {
        let charged = self.table.charge(key, now, requests, units, host);
        match charged {
            Ok(Some(state)) => Some(state),
            Ok(None) => {
                self.count(Event::TableFull, host);
                None
            }
            Err(error) => {
                self.report(error, host);
                None
            }
        }
    }

    /// Gives back the lease of a request that has ended.
    pub(crate) fn give_back(&self, key: KeyDigest, lease: Lease, host: &dyn Host) {
        if let Err(error) = self.table.give_back(key, host.now(), lease, host) {
            // It will expire.
            self.report(error, host);
        }
    }

    /// Whether a quota counts units, or the service does: then their number has to be known.
    fn counts_units(&self) -> bool {
        self.limit.descriptor.is_some() || self.limit.quotas.iter().any(|quota| quota.unit == Unit::Units)
    }

    /// Whether clients are told of it: what is only tried out does not concern them.
    pub(crate) fn is_told(&self) -> bool {
        self.limit.mode == Mode::Enforce
    }

    /// Where the quotas stand.
    pub(crate) fn standings(&self, state: &State, now: Timestamp) -> impl Iterator<Item = Standing<'_>> {
        self.policies.standings(state, self.table.rules.quotas(state), now.0)
    }

    pub(crate) fn report(&self, error: HostError, host: &dyn Host) {
        log::warn!("rate_limit: {}: shared data: {error}", self.limit.name);
        self.count(Event::Error, host);
    }

    fn exceeded(&self, refusal: Refusal) -> Cause {
        let quotas = self.limit.quotas.iter().enumerate();
        let mut names: Vec<String> = quotas
            .filter(|(place, _)| refusal.names(*place))
            .filter_map(|(place, _)| self.policies.name(place).map(str::to_owned))
            .collect();
        if refusal.concurrency {
            names.extend(self.policies.concurrency().map(str::to_owned));
        }
        Cause::Exceeded(names, refusal.wait())
    }
}

/// What the shared keys of a limit start with: a changed limit starts new; an unchanged one finds its states again after
/// a reload.
fn prefix(plugin: &[u8], limit: &Limit, max_keys: u64, client: &str) -> [u8; PREFIX] {
    let mut hasher = SipHasher13::new();
    // Under Istio all plugins of a proxy share one namespace; this is what tells them apart.
    for part in [plugin, &max_keys.to_le_bytes(), client.as_bytes(), limit.identity.as_bytes()] {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    let mut prefix = *b"tg.rl.----------------";
    if let Some(digest) = prefix.last_chunk_mut() {
        *digest = hasher.finish128().as_bytes();
    }
    prefix
}
