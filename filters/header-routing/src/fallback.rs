//! Which routes lead nowhere, as far as this worker has found out.
//!
//! The host does not tell a filter whether a cluster is there before it has chosen the route, and then it asks no filter
//! any more. So a worker learns it from the response (`cluster_not_found`), at the price of that one; or, where the rule
//! allows probes, from a call to the cluster, which fails at once if there is none. That a request found no route at all
//! (`route_not_found`) says nothing of the route chosen: whoever sends a host or a path that no route takes brings it about,
//! and would send everybody else to the fallback.

use std::cell::Cell;

use tidegate_config::{HeaderValue, Name};
use tidegate_filter_api::{Callout, Host, HostError, HttpCall, Property, Timestamp};
use tidegate_matchers::ByteMap;

use crate::actions::Fallback;

/// The routes that rules choose, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    names: ByteMap,
    /// By the number of the name.
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    name: Name,
    value: HeaderValue,
    known: Cell<Option<Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    leads_somewhere: bool,
    until: Timestamp,
}

impl Routes {
    pub(crate) fn new(names: Vec<Name>) -> Self {
        let mut routes = Self::default();
        for name in names {
            if routes.names.insert(name.as_str().as_bytes()) as usize == routes.routes.len() {
                routes.routes.push(Route { value: HeaderValue::from(&name), name, known: Cell::new(None) });
            }
        }
        routes
    }

    /// The number of a route.
    pub(crate) fn number(&self, name: &[u8]) -> Option<usize> {
        self.names.get(name).map(|number| number as usize)
    }

    /// The name of the route with this number, as a header's value.
    pub(crate) fn value(&self, number: usize) -> Option<&HeaderValue> {
        self.routes.get(number).map(|route| &route.value)
    }

    /// Whether a route leads somewhere, as far as is known. Asks for the time, and probes, only where that counts.
    pub(crate) fn leads_somewhere(&self, number: usize, fallback: &Fallback, host: &dyn Host) -> bool {
        let Some(route) = self.routes.get(number) else { return false };
        let known = route.known.get();
        if known.is_none() && fallback.probe.is_none() {
            return true;
        }
        let now = host.now();
        if let Some(known) = known.filter(|known| now < known.until) {
            return known.leads_somewhere;
        }
        let Some(path) = &fallback.probe else {
            // Time to try again.
            route.known.set(None);
            return true;
        };
        let leads_somewhere = probe(route, path, host);
        route.learn(leads_somewhere, now, fallback);
        leads_somewhere
    }

    /// Learns from the response to a request that took a route.
    pub(crate) fn learn(&self, number: usize, fallback: &Fallback, host: &dyn Host) {
        let Some(route) = self.routes.get(number) else { return };
        let details = host.property(Property::RESPONSE_CODE_DETAILS).unwrap_or_default();
        if details == b"cluster_not_found" {
            log::warn!(
                "header_routing: route \"{}\" leads nowhere: taking \"{}\"",
                route.name,
                fallback.route
            );
            route.learn(false, host.now(), fallback);
        }
    }
}

impl Route {
    fn learn(&self, leads_somewhere: bool, now: Timestamp, fallback: &Fallback) {
        let until = Timestamp(now.0.saturating_add(fallback.believed.as_nanos()));
        self.known.set(Some(Known { leads_somewhere, until }));
    }
}

/// Whether there is a cluster with the route's name. What it answers is of no interest.
fn probe(route: &Route, path: &str, host: &dyn Host) -> bool {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let call = HttpCall {
        cluster: route.name.as_str().to_owned(),
        headers: vec![
            header(":method", "HEAD"),
            header(":path", path),
            header(":authority", route.name.as_str()),
            header("user-agent", "tidegate"),
        ],
        body: Vec::new(),
        timeout: std::time::Duration::from_secs(1),
    };
    // A dead cluster is there; so is one that the host could not call for any other reason.
    host.dispatch(&Callout::Http(call)) != Err(HostError::BadArgument)
}
