//! The decision on one request.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Callbacks, Exchange, Filter, Flow, Host, MetricId, MetricKind, Property};
use tidegate_matchers::{ClientAddress, Facts, TextMatch, is_ambiguous};

use crate::api_key::Identity;
use crate::config::{Action, Config, Provider, Rule};
use crate::reply;

/// The auth filter.
pub struct Auth {
    providers: Vec<Provider>,
    rules: Vec<Counted>,
    default_allow: bool,
    principal_header: Option<HeaderName>,
    strip_credentials: bool,
    client_address: ClientAddress,
    /// Whether any rule speaks of paths: only then can an ambiguous one get round it.
    rules_name_paths: bool,
    refused_ambiguous: Option<MetricId>,
    refused_default: Option<MetricId>,
}

struct Counted {
    rule: Rule,
    allowed: Option<MetricId>,
    denied: Option<MetricId>,
}

/// What is decided about a request.
enum Ruling {
    Allow(Option<HeaderValue>),
    /// No credential, or a bad one: 401.
    Unauthenticated,
    /// An identity without the right, or nobody's right: 403.
    Forbidden,
}

impl Filter for Auth {
    const NAME: &'static str = "auth";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Config = Config;
    type Stream = ();

    fn new(config: Config, host: &dyn Host) -> Self {
        let define =
            |name: &str| host.define_metric(MetricKind::Counter, &format!("tidegate.auth.{name}")).ok();
        let rules_name_paths = config.rules.iter().any(|rule| rule.conditions.name_paths());
        let rules = config.rules.into_iter().map(|rule| Counted {
            allowed: define(&format!("{}.allowed", rule.name)),
            denied: define(&format!("{}.denied", rule.name)),
            rule,
        });
        Self {
            providers: config.providers,
            rules: rules.collect(),
            default_allow: config.default_allow,
            principal_header: config.principal_header,
            strip_credentials: config.strip_credentials,
            client_address: config.client_address,
            rules_name_paths,
            refused_ambiguous: define("ambiguous_path"),
            refused_default: define("default_denied"),
        }
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let count = |metric: Option<MetricId>| {
            if let Some(metric) = metric {
                host.add(metric, 1);
            }
        };
        if self.rules_name_paths && is_ambiguous(exchange.path()) {
            count(self.refused_ambiguous);
            return Flow::Reply(reply::ambiguous_path());
        }
        let facts = Facts::new(exchange, host, self.client_address);
        let Some(counted) = self.deciding_rule(&facts) else {
            if self.default_allow {
                return self.forward(None, exchange, host);
            }
            count(self.refused_default);
            return Flow::Reply(reply::forbidden());
        };
        let ruling = self.rule(&counted.rule.action, exchange);
        count(if matches!(ruling, Ruling::Allow(_)) { counted.allowed } else { counted.denied });
        match ruling {
            Ruling::Allow(principal) => self.forward(principal, exchange, host),
            Ruling::Unauthenticated => Flow::Reply(reply::unauthenticated()),
            Ruling::Forbidden => Flow::Reply(reply::forbidden()),
        }
    }
}

impl Auth {
    /// A rule that denies, wherever it stands; else the first that matches.
    fn deciding_rule(&self, facts: &Facts<'_>) -> Option<&Counted> {
        let matching = || self.rules.iter().filter(|counted| counted.rule.conditions.match_facts(facts));
        let denies = |counted: &&Counted| matches!(counted.rule.action, Action::Deny);
        let denying =
            self.rules.iter().filter(denies).find(|counted| counted.rule.conditions.match_facts(facts));
        denying.or_else(|| matching().find(|counted| !denies(counted)))
    }

    fn rule(&self, action: &Action, exchange: &Exchange) -> Ruling {
        match action {
            Action::AllowAnyone => Ruling::Allow(None),
            Action::Deny => Ruling::Forbidden,
            Action::Require { provider, principals } => {
                // The index was checked when the configuration was decoded; a provider that is not there lets nobody in.
                let identity =
                    self.providers.get(*provider).map(|provider| provider.keys.identify(exchange.request()));
                match identity {
                    Some(Identity::Known(name)) if allows(principals, name.as_str().as_bytes()) => {
                        Ruling::Allow(Some(HeaderValue::from(name)))
                    }
                    Some(Identity::Known(_)) => Ruling::Forbidden,
                    Some(Identity::Missing | Identity::Bad) | None => Ruling::Unauthenticated,
                }
            }
        }
    }

    /// Lets a request pass with its identity as established here, whatever the client wrote in those places.
    fn forward(&self, principal: Option<HeaderValue>, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        if let Some(header) = &self.principal_header {
            match &principal {
                Some(principal) => exchange.request_mut().set(header, principal),
                None => exchange.request_mut().remove(header),
            }
        }
        if self.strip_credentials {
            let credentials = self.providers.iter().flat_map(|provider| &provider.keys.from);
            credentials.for_each(|header| exchange.request_mut().remove(header));
        }
        if let Some(principal) = principal {
            // Later filters decide by it: without it they would take the caller for nobody.
            if let Err(error) = host.set_property(Property::PRINCIPAL, principal.as_bytes()) {
                log::error!("auth: setting filter state: {error}");
                return Flow::Reply(reply::undecided());
            }
            exchange.set_principal(principal);
        }
        Flow::Continue
    }
}

fn allows(principals: &[TextMatch], name: &[u8]) -> bool {
    principals.is_empty() || principals.iter().any(|principal| principal.matches(name))
}
