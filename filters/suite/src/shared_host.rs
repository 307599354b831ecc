//! The host as one filter of the suite sees it: its dispatched calls are known to be its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidegate_config::HeaderName;
use tidegate_filter_api::{
    CallToken, Callout, Cas, Clock, HeaderBlock, Headers, Host, HostError, MetricId, MetricKind, Property,
    SharedValue, Timestamp,
};

/// Which filter, by its place in the order, dispatched a call that has not ended.
pub(crate) type Dispatched = RefCell<BTreeMap<CallToken, usize>>;

/// A host that notes who dispatches, and that is not asked for what the suite knows.
pub(crate) struct SharedHost<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) place: usize,
    pub(crate) dispatched: &'a Dispatched,
    /// The request's headers as the suite sent them on, once the exchange has ended: a module of telemetry's own has to ask.
    pub(crate) sent: Option<&'a Headers>,
}

impl SharedHost<'_> {
    fn sent(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.sent?.values(name);
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Some(joined)
    }
}

impl Clock for SharedHost<'_> {
    fn now(&self) -> Timestamp {
        self.host.now()
    }
}

impl Host for SharedHost<'_> {
    fn dispatch(&self, callout: &Callout) -> Result<CallToken, HostError> {
        let token = self.host.dispatch(callout)?;
        self.dispatched.borrow_mut().insert(token, self.place);
        Ok(token)
    }

    fn shared(&self, key: &[u8]) -> Result<Option<SharedValue>, HostError> {
        self.host.shared(key)
    }

    fn set_shared(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> Result<(), HostError> {
        self.host.set_shared(key, value, expected)
    }

    fn random(&self) -> Result<[u8; 16], HostError> {
        self.host.random()
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.host.variable(name)
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        // Host and scheme may be rewritten by the route.
        let known = if property == Property::REQUEST_METHOD { self.sent(":method") } else { None };
        known.or_else(|| self.host.property(property))
    }

    fn set_property(&self, property: Property, value: &[u8]) -> Result<(), HostError> {
        self.host.set_property(property, value)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        self.host.define_metric(kind, name)
    }

    fn add(&self, metric: MetricId, delta: i64) {
        self.host.add(metric, delta);
    }

    fn record(&self, metric: MetricId, value: u64) {
        self.host.record(metric, value);
    }

    fn request_headers(&self) -> Result<HeaderBlock, HostError> {
        self.host.request_headers()
    }

    fn request_header(&self, name: &HeaderName) -> Option<Vec<u8>> {
        // What is not there may have been added behind the suite.
        self.sent(name.as_str()).or_else(|| self.host.request_header(name))
    }

    fn response_status(&self) -> Option<u16> {
        self.host.response_status()
    }

    fn response_headers(&self) -> Result<HeaderBlock, HostError> {
        self.host.response_headers()
    }

    fn call_foreign(&self, function: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        self.host.call_foreign(function, arguments)
    }
}
