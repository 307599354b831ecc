//! The decision on one request.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{
    Callbacks, Exchange, Filter, Flow, GrpcStatus, Host, LocalReply, MetricId, MetricKind, Property,
};
use tidegate_matchers::{ClientAddress, Conditions, Facts};

use crate::config::Config;

/// The header-routing filter.
pub struct HeaderRouting {
    rules: Vec<Compiled>,
    default: Option<HeaderValue>,
    route_header: HeaderName,
    client_address: ClientAddress,
}

struct Compiled {
    conditions: Conditions,
    route: HeaderValue,
    matched: Option<MetricId>,
}

impl Filter for HeaderRouting {
    const NAME: &'static str = "header_routing";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Config = Config;
    type Stream = ();

    fn new(config: Config, host: &dyn Host) -> Self {
        let rules = config.rules.into_iter().map(|rule| {
            let metric = format!("tidegate.header_routing.{}.matched", rule.name);
            Compiled {
                conditions: rule.conditions,
                route: HeaderValue::from(&rule.route),
                matched: host.define_metric(MetricKind::Counter, &metric).ok(),
            }
        });
        Self {
            rules: rules.collect(),
            default: config.default.as_ref().map(HeaderValue::from),
            route_header: config.route_header,
            client_address: config.client_address,
        }
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let facts = Facts::new(exchange, host, self.client_address);
        let rule = self.rules.iter().find(|rule| rule.conditions.match_facts(&facts));
        if let Some(metric) = rule.and_then(|rule| rule.matched) {
            host.add(metric, 1);
        }
        match rule.map(|rule| &rule.route).or(self.default.as_ref()) {
            // Only a client can have put a route there: a rule that matches nothing must not let it choose.
            None => exchange.request_mut().remove(&self.route_header),
            Some(route) => {
                // Without the state, a route that trusts it would send the request elsewhere: fail closed.
                if let Err(error) = host.set_property(Property::ROUTE, route.as_bytes()) {
                    log::error!("header_routing: setting filter state: {error}");
                    return Flow::Reply(no_route());
                }
                exchange.request_mut().set(&self.route_header, route);
            }
        }
        // Envoy chose a route before this filter ran; by now it may be another one.
        exchange.reroute();
        Flow::Continue
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
