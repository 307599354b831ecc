//! The decision on one request.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{
    Callbacks, Exchange, Filter, Flow, GrpcStatus, Host, HostError, LocalReply, MetricId, MetricKind,
    Property, Timestamp,
};
use tidegate_matchers::{ClientAddress, Facts};

use crate::config::{Config, Limit, Mode, Otherwise};
use crate::key::Digester;
use crate::table::{Outcome, Table};

/// The rate-limit filter.
pub struct RateLimit {
    limits: Vec<Compiled>,
    client_address: ClientAddress,
    digester: Digester,
    on_full: Otherwise,
    on_error: Otherwise,
}

/// A limit with its state and its metrics.
struct Compiled {
    limit: Limit,
    table: Table,
    metrics: Metrics,
}

struct Metrics {
    allowed: Option<MetricId>,
    denied: Option<MetricId>,
    shadow_denied: Option<MetricId>,
    errors: Option<MetricId>,
    table_full: Option<MetricId>,
}

/// What one limit says of a request.
enum Ruling {
    Pass,
    /// Refused; how many nanoseconds to wait, if that is known.
    TooMany(Option<u64>),
    /// Could not be decided, and the configuration says that such requests are refused.
    Failed,
}

impl Filter for RateLimit {
    const NAME: &'static str = "rate_limit";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Config = Config;
    type Stream = ();

    fn new(config: Config, host: &dyn Host) -> Self {
        // Under Istio all plugins of a proxy share one namespace; this is what tells them apart.
        let plugin = host.property(Property::PLUGIN_NAME).unwrap_or_default();
        let limits = config.limits.into_iter().map(|limit| {
            // A changed limit starts new; an unchanged one finds its state again after a reload.
            let table =
                Table::new(prefix(&plugin, &limit, config.max_keys), config.max_keys, limit.quotas.clone());
            let metrics = Metrics::define(limit.name.as_str(), host);
            Compiled { limit, table, metrics }
        });
        Self {
            limits: limits.collect(),
            client_address: config.client_address,
            digester: Digester::new(seed(&plugin, host), config.client_address),
            on_full: config.on_full,
            on_error: config.on_error,
        }
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let facts = Facts::new(exchange, host, self.client_address);
        let mut now = None;
        for limit in self.limits.iter().filter(|limit| limit.limit.conditions.match_facts(&facts)) {
            match self.rule(limit, &facts, host, &mut now) {
                Ruling::Pass => {}
                Ruling::TooMany(wait) => return Flow::Reply(too_many(wait)),
                Ruling::Failed => return Flow::Reply(undecided()),
            }
        }
        Flow::Continue
    }
}

impl RateLimit {
    /// `now` is asked for once per request, and only if a limit applies.
    fn rule(
        &self,
        compiled: &Compiled,
        facts: &Facts<'_>,
        host: &dyn Host,
        now: &mut Option<Timestamp>,
    ) -> Ruling {
        let Compiled { limit, table, metrics } = compiled;
        let count = |metric: Option<MetricId>| {
            if let Some(metric) = metric {
                host.add(metric, 1);
            }
        };
        let refuse = |ruling: Ruling| match limit.mode {
            Mode::Enforce => {
                count(metrics.denied);
                ruling
            }
            Mode::Shadow => {
                count(metrics.shadow_denied);
                Ruling::Pass
            }
        };
        let Some(key) = self.digester.digest(&limit.key, facts, host) else {
            return match limit.on_missing {
                Otherwise::Allow => Ruling::Pass,
                Otherwise::Deny => refuse(Ruling::TooMany(None)),
            };
        };
        let now = *now.get_or_insert_with(|| host.now());
        match table.decide(key, now, host) {
            Ok(Outcome::Admitted) => {
                count(metrics.allowed);
                Ruling::Pass
            }
            Ok(Outcome::Refused(wait)) => refuse(Ruling::TooMany(Some(wait))),
            Ok(Outcome::Full) => {
                count(metrics.table_full);
                match self.on_full {
                    Otherwise::Allow => Ruling::Pass,
                    Otherwise::Deny => refuse(Ruling::TooMany(None)),
                }
            }
            Err(error) => {
                log::warn!("rate_limit: {}: shared data: {error}", limit.name);
                count(metrics.errors);
                match self.on_error {
                    Otherwise::Allow => Ruling::Pass,
                    Otherwise::Deny => refuse(Ruling::Failed),
                }
            }
        }
    }
}

impl Metrics {
    fn define(limit: &str, host: &dyn Host) -> Self {
        let define = |event: &str| {
            host.define_metric(MetricKind::Counter, &format!("tidegate.rate_limit.{limit}.{event}")).ok()
        };
        Self {
            allowed: define("allowed"),
            denied: define("denied"),
            shadow_denied: define("shadow_denied"),
            errors: define("errors"),
            table_full: define("table_full"),
        }
    }
}

/// What the shared keys of a limit start with.
fn prefix(plugin: &[u8], limit: &Limit, max_keys: u64) -> Vec<u8> {
    let mut hasher = SipHasher13::new();
    hasher.write(plugin);
    hasher.write(format!("{max_keys} {limit:?}").as_bytes());
    [b"tg.rl.".as_slice(), &hasher.finish128().as_bytes()].concat()
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

fn too_many(wait: Option<u64>) -> LocalReply {
    const SECOND: u64 = 1_000_000_000;
    let mut headers = Vec::new();
    if let (Some(wait), Ok(name)) = (wait, HeaderName::new("retry-after")) {
        // Whole seconds (RFC 9110 section 10.2.3), rounded up: who comes then is admitted.
        headers.push((name, HeaderValue::from(wait.div_ceil(SECOND))));
    }
    if let (Ok(name), Ok(value)) = (HeaderName::new("x-envoy-ratelimited"), HeaderValue::new(*b"true")) {
        // Tells Envoys on the way that a retry would only add to the load.
        headers.push((name, value));
    }
    LocalReply {
        status: 429,
        grpc_status: GrpcStatus::ResourceExhausted,
        headers,
        body: "too many requests\n".into(),
        details: "tidegate_rate_limited",
    }
}

fn undecided() -> LocalReply {
    LocalReply {
        status: 503,
        grpc_status: GrpcStatus::Unavailable,
        headers: Vec::new(),
        body: "the rate limit could not be checked\n".into(),
        details: "tidegate_rate_limit_error",
    }
}
