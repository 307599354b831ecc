//! A host made of maps.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tidegate_config::HeaderName;
use tidegate_filter_api::{
    CallToken, Callout, Cas, Clock, Edit, EditKind, HeaderBlock, Host, HostError, LocalReply, MetricId,
    MetricKind, Property, SharedValue, Timestamp,
};
use tidegate_proxy_host::{Map, Wire};

use crate::allocations::{self, Uncounted};

/// Header pairs, in order.
pub type Pairs = Vec<(String, Vec<u8>)>;

/// A shared value and its version.
type Versioned = (Vec<u8>, u32);

/// A function beyond the ABI.
type Foreign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, HostError>>;

/// A host made of maps. Shared data, metrics and the clock are shared by all plugins on it, like a process's.
#[derive(Default)]
pub struct FakeHost {
    now: Cell<u64>,
    shared: RefCell<BTreeMap<Vec<u8>, Versioned>>,
    versions: Cell<u32>,
    pub(super) metrics: RefCell<Vec<(MetricKind, String, i64)>>,
    variables: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(super) properties: RefCell<BTreeMap<&'static [u8], Vec<u8>>>,
    /// Filter state of the next exchange.
    pub(super) left: RefCell<BTreeMap<&'static [u8], Vec<u8>>>,
    pub(super) request: RefCell<Pairs>,
    pub(super) request_body: RefCell<Vec<u8>>,
    pub(super) response: RefCell<Pairs>,
    pub(super) response_body: RefCell<Vec<u8>>,
    /// What the client got in the end.
    pub(super) status: Cell<Option<u16>>,
    pub(super) reply: RefCell<Option<LocalReply>>,
    calls: RefCell<Vec<Callout>>,
    pub(super) under_way: RefCell<BTreeSet<CallToken>>,
    foreign: RefCell<BTreeMap<&'static str, Foreign>>,
    reroutes: Cell<usize>,
    resumed: Cell<bool>,
    was_reset: Cell<bool>,
    /// How often each call was made.
    made: RefCell<BTreeMap<&'static str, usize>>,
    /// How often the filter asked for memory, where the program counts that.
    allocated: Cell<u64>,
    /// Calls that fail until further notice, by name, and the error they fail with.
    failing: RefCell<BTreeMap<&'static str, HostError>>,
}

impl FakeHost {
    /// A host at a time well after 1970, as a real one's.
    #[must_use]
    pub fn new() -> Rc<Self> {
        let host = Self::default();
        host.now.set(1_700_000_000_000_000_000);
        host.set(Property::SOURCE_ADDRESS, b"192.0.2.1:1234");
        Rc::new(host)
    }

    /// Moves the clock on.
    pub fn advance(&self, by: std::time::Duration) {
        let nanos = u64::try_from(by.as_nanos()).expect("centuries are not tested");
        self.now.set(self.now.get() + nanos);
    }

    /// Moves the clock back.
    pub fn rewind(&self, by: std::time::Duration) {
        let nanos = u64::try_from(by.as_nanos()).expect("centuries are not tested");
        self.now.set(self.now.get() - nanos);
    }

    /// Gives an attribute a value.
    pub fn set(&self, property: Property, value: &[u8]) {
        self.properties.borrow_mut().insert(property.path(), value.to_vec());
    }

    /// Gives the next exchange filter state, as a filter in front of this one would.
    pub fn leave_for_next(&self, property: Property, value: &[u8]) {
        self.left.borrow_mut().insert(property.path(), value.to_vec());
    }

    /// Gives the module an environment variable.
    pub fn set_variable(&self, name: &str, value: &[u8]) {
        self.variables.borrow_mut().insert(name.to_owned(), value.to_vec());
    }

    /// Takes an attribute away.
    pub fn unset(&self, property: Property) {
        self.properties.borrow_mut().remove(property.path());
    }

    /// Offers a function beyond the ABI.
    pub fn offer(
        &self,
        name: &'static str,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, HostError> + 'static,
    ) {
        self.foreign.borrow_mut().insert(name, Box::new(function));
    }

    /// Makes a call fail: `shared`, `set_shared`, `random`, `set_property`, `request_headers`, `edit`, `reply`, `call` or
    /// `request_body`.
    pub fn fail(&self, call: &'static str, error: HostError) {
        self.failing.borrow_mut().insert(call, error);
    }

    /// Makes all calls work again.
    pub fn heal(&self) {
        self.failing.borrow_mut().clear();
    }

    /// The sum of all metrics with this name; 0 if there is none.
    #[must_use]
    pub fn metric(&self, name: &str) -> i64 {
        self.metrics.borrow().iter().filter(|metric| metric.1 == name).map(|metric| metric.2).sum()
    }

    /// Names of all metrics, once for each definition.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics.borrow().iter().map(|metric| metric.1.clone()).collect()
    }

    /// How many keys and how many bytes shared data holds.
    #[must_use]
    pub fn shared_size(&self) -> (usize, usize) {
        let shared = self.shared.borrow();
        (shared.len(), shared.iter().map(|(key, (value, _))| key.len() + value.len()).sum())
    }

    /// Overwrites every shared value, as another plugin in the same namespace might.
    pub fn overwrite_shared(&self, with: &[u8]) {
        for (value, version) in self.shared.borrow_mut().values_mut() {
            *value = with.to_vec();
            *version += 1;
        }
    }

    /// The calls made so far, dispatched ones among them. The n-th (from 1) has the token n.
    #[must_use]
    pub fn calls(&self) -> Vec<Callout> {
        self.calls.borrow().clone()
    }

    /// The calls that filters have made since this was last asked, by name and with their number: `"now 1, shared 1"`. Each
    /// costs a request a crossing out of the VM.
    #[must_use]
    pub fn take_made(&self) -> String {
        let made = self.made.take();
        made.iter().map(|(call, times)| format!("{call} {times}")).collect::<Vec<_>>().join(", ")
    }

    /// Lets the filter work and counts how often it asks for memory.
    pub(super) fn spend<T>(&self, work: impl FnOnce() -> T) -> T {
        let (result, allocated) = allocations::count(work);
        self.allocated.set(self.allocated.get() + allocated);
        result
    }

    /// What was spent since the last call: `add 2, now 1; 7 allocations`.
    pub(super) fn take_spent(&self) -> String {
        format!("{}; {} allocations", self.take_made(), self.allocated.take())
    }

    /// How often the route was to be chosen again.
    #[must_use]
    pub fn reroutes(&self) -> usize {
        self.reroutes.get()
    }

    /// Whether a stream was reset.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.was_reset.get()
    }

    /// What Envoy's attributes say of the request's headers.
    fn request_property(&self, property: Property) -> Option<Vec<u8>> {
        match property.path() {
            b"request\0method" => self.joined(":method"),
            b"request\0host" => self.joined(":authority"),
            b"request\0scheme" => self.joined(":scheme"),
            path => self.joined(std::str::from_utf8(path.strip_prefix(b"request\0headers\0")?).ok()?),
        }
    }

    /// The values of a header of the request, commas between them.
    fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let request = self.request.borrow();
        let values = request.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_slice());
        let values: Vec<&[u8]> = values.collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    /// Counts the call; until the guard is dropped, what is allocated is the host's.
    fn enter(&self, call: &'static str) -> Uncounted {
        let uncounted = Uncounted::begin();
        *self.made.borrow_mut().entry(call).or_default() += 1;
        uncounted
    }

    fn attempt(&self, call: &'static str) -> Result<(), HostError> {
        self.failing.borrow().get(call).map_or(Ok(()), |error| Err(*error))
    }
}

/// Applies an edit as Envoy does.
fn apply(pairs: &mut Pairs, edit: Edit<'_>) {
    if edit.kind != EditKind::Append {
        pairs.retain(|(name, _)| name != edit.name);
    }
    if edit.kind != EditKind::Remove {
        pairs.push((edit.name.to_owned(), edit.value.to_vec()));
    }
}

fn block(pairs: &Pairs) -> HeaderBlock {
    HeaderBlock::from_pairs(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
}

impl Clock for FakeHost {
    fn now(&self) -> Timestamp {
        let _host = self.enter("now");
        Timestamp(self.now.get())
    }
}

impl Host for FakeHost {
    fn shared(&self, key: &[u8]) -> Result<Option<SharedValue>, HostError> {
        let _host = self.enter("shared");
        self.attempt("shared")?;
        let shared = self.shared.borrow();
        Ok(shared.get(key).map(|(bytes, version)| SharedValue { bytes: bytes.clone(), cas: Cas(*version) }))
    }

    fn set_shared(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> Result<(), HostError> {
        let _host = self.enter("set_shared");
        self.attempt("set_shared")?;
        let mut shared = self.shared.borrow_mut();
        let current = shared.get(key).map(|(_, version)| Cas(*version));
        // As in Envoy, an absent key takes any version.
        if current.is_some() && current != expected {
            return Err(HostError::CasMismatch);
        }
        self.versions.set(self.versions.get() + 1);
        shared.insert(key.to_vec(), (value.to_vec(), self.versions.get()));
        Ok(())
    }

    fn random(&self) -> Result<[u8; 16], HostError> {
        let _host = self.enter("random");
        self.attempt("random")?;
        Ok([7; 16])
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.variables.borrow().get(name).cloned()
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let _host = self.enter("property");
        let set = self.properties.borrow().get(property.path()).cloned();
        set.or_else(|| self.request_property(property))
    }

    fn set_property(&self, property: Property, value: &[u8]) -> Result<(), HostError> {
        let _host = self.enter("set_property");
        self.attempt("set_property")?;
        self.set(property, value);
        Ok(())
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let _host = self.enter("define_metric");
        let mut metrics = self.metrics.borrow_mut();
        metrics.push((kind, name.to_owned(), 0));
        Ok(MetricId(u32::try_from(metrics.len() - 1).expect("few metrics")))
    }

    fn add(&self, metric: MetricId, delta: i64) {
        let _host = self.enter("add");
        match self.metrics.borrow_mut().get_mut(metric.0 as usize) {
            Some((MetricKind::Histogram, name, _)) => panic!("{name} is a histogram and cannot be added to"),
            Some((_, _, value)) => *value += delta,
            None => panic!("metric {} was never defined", metric.0),
        }
    }

    /// Keeps the sum of what was recorded; a gauge is set, whoever defined it.
    fn record(&self, metric: MetricId, value: u64) {
        let _host = self.enter("record");
        let value = i64::try_from(value).expect("small values");
        let mut metrics = self.metrics.borrow_mut();
        let name = match metrics.get_mut(metric.0 as usize) {
            None => panic!("metric {} was never defined", metric.0),
            Some((MetricKind::Counter, name, _)) => panic!("{name} is a counter and only grows"),
            Some((MetricKind::Histogram, _, sum)) => {
                *sum += value;
                return;
            }
            Some((MetricKind::Gauge, name, _)) => name.clone(),
        };
        // Defined twice, it is one gauge: its value is the sum over all definitions.
        let mut others = metrics.iter_mut().filter(|metric| metric.1 == name);
        others.next().expect("it is among them").2 = value;
        others.for_each(|metric| metric.2 = 0);
    }

    fn request_headers(&self) -> Result<HeaderBlock, HostError> {
        let _host = self.enter("request_headers");
        self.attempt("request_headers")?;
        // Through the serialised form, as from a real host.
        HeaderBlock::new(block(&self.request.borrow()).as_bytes().into()).map_err(|_| HostError::Other(0))
    }

    fn request_header(&self, name: &HeaderName) -> Option<Vec<u8>> {
        let _host = self.enter("request_header");
        self.joined(name.as_str())
    }

    fn response_status(&self) -> Option<u16> {
        let _host = self.enter("response_status");
        self.status.get()
    }

    fn response_headers(&self) -> Result<HeaderBlock, HostError> {
        let _host = self.enter("response_headers");
        Ok(block(&self.response.borrow()))
    }

    fn dispatch(&self, callout: &Callout) -> Result<CallToken, HostError> {
        let token = self.call(callout)?;
        self.under_way.borrow_mut().insert(token);
        Ok(token)
    }

    fn call_foreign(&self, function: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        let _host = self.enter("call_foreign");
        self.foreign.borrow().get(function).map_or(Err(HostError::NotFound), |function| function(arguments))
    }
}

impl Wire for FakeHost {
    fn edit(&self, map: Map, edit: Edit<'_>) -> Result<(), HostError> {
        let _host = self.enter("edit");
        self.attempt("edit")?;
        match map {
            Map::Request => apply(&mut self.request.borrow_mut(), edit),
            Map::Response => apply(&mut self.response.borrow_mut(), edit),
        }
        Ok(())
    }

    fn clear_route_cache(&self) -> Result<(), HostError> {
        let _host = self.enter("clear_route_cache");
        self.reroutes.set(self.reroutes.get() + 1);
        Ok(())
    }

    fn reply(&self, reply: &LocalReply) -> Result<(), HostError> {
        let _host = self.enter("reply");
        self.attempt("reply")?;
        *self.reply.borrow_mut() = Some(reply.clone());
        Ok(())
    }

    fn reset(&self) {
        self.was_reset.set(true);
    }

    fn call(&self, callout: &Callout) -> Result<CallToken, HostError> {
        let _host = self.enter("call");
        self.attempt("call")?;
        let mut calls = self.calls.borrow_mut();
        calls.push(callout.clone());
        let number = u32::try_from(calls.len()).expect("few calls");
        Ok(match callout {
            Callout::Http(_) => CallToken::Http(number),
            Callout::Grpc(_) => CallToken::Grpc(number),
        })
    }

    fn is_under_way(&self, token: CallToken) -> bool {
        self.under_way.borrow().contains(&token)
    }

    fn request_body(&self, start: usize, most: usize) -> Result<Box<[u8]>, HostError> {
        let _host = self.enter("request_body");
        self.attempt("request_body")?;
        Ok(self.request_body.borrow().iter().skip(start).take(most).copied().collect())
    }

    fn response_body(&self, most: usize) -> Result<Box<[u8]>, HostError> {
        let _host = self.enter("response_body");
        Ok(self.response_body.borrow().iter().take(most).copied().collect())
    }

    fn resume(&self) {
        let _host = self.enter("resume");
        self.resumed.set(true);
    }

    fn as_host(&self) -> &dyn Host {
        self
    }
}
