//! A fake host: the real pipeline over a host made of maps.

mod replay;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_filter_api::{
    Callout, CalloutResult, Cas, Clock, Edit, EditKind, Filter, HeaderBlock, Host, HostError, LocalReply,
    MetricId, MetricKind, Property, SharedValue, Timestamp,
};
use tidegate_proxy_host::pipeline::{Plugin, Stream, Verdict};
use tidegate_proxy_host::{Map, Wire};

pub use replay::replay_folder;

/// Header pairs, in order.
pub type Pairs = Vec<(String, Vec<u8>)>;

/// A shared value and its version.
type Versioned = (Vec<u8>, u32);

/// A host made of maps. Shared data, metrics and the clock are shared by all plugins on it, like a process's.
#[derive(Default)]
pub struct FakeHost {
    now: Cell<u64>,
    shared: RefCell<BTreeMap<Vec<u8>, Versioned>>,
    versions: Cell<u32>,
    metrics: RefCell<Vec<(MetricKind, String, i64)>>,
    properties: RefCell<BTreeMap<&'static [u8], Vec<u8>>>,
    request: RefCell<Pairs>,
    response: RefCell<Pairs>,
    reply: RefCell<Option<LocalReply>>,
    calls: RefCell<Vec<Callout>>,
    reroutes: Cell<usize>,
    resumed: Cell<bool>,
    was_reset: Cell<bool>,
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

    /// Makes a call fail: `shared`, `set_shared`, `set_property`, `request_headers`, `edit`, `reply` or `call`.
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

    /// The callouts made so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Callout> {
        self.calls.borrow().clone()
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
        Timestamp(self.now.get())
    }
}

impl Host for FakeHost {
    fn shared(&self, key: &[u8]) -> Result<Option<SharedValue>, HostError> {
        self.attempt("shared")?;
        let shared = self.shared.borrow();
        Ok(shared.get(key).map(|(bytes, version)| SharedValue { bytes: bytes.clone(), cas: Cas(*version) }))
    }

    fn set_shared(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> Result<(), HostError> {
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
        self.attempt("random")?;
        Ok([7; 16])
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.properties.borrow().get(property.path()).cloned()
    }

    fn set_property(&self, property: Property, value: &[u8]) -> Result<(), HostError> {
        self.attempt("set_property")?;
        self.set(property, value);
        Ok(())
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let mut metrics = self.metrics.borrow_mut();
        metrics.push((kind, name.to_owned(), 0));
        Ok(MetricId(u32::try_from(metrics.len() - 1).expect("few metrics")))
    }

    fn add(&self, metric: MetricId, delta: i64) {
        match self.metrics.borrow_mut().get_mut(metric.0 as usize) {
            Some((MetricKind::Histogram, name, _)) => panic!("{name} is a histogram and cannot be added to"),
            Some((_, _, value)) => *value += delta,
            None => panic!("metric {} was never defined", metric.0),
        }
    }

    /// Keeps the sum of what was recorded.
    fn record(&self, metric: MetricId, value: u64) {
        match self.metrics.borrow_mut().get_mut(metric.0 as usize) {
            Some((MetricKind::Histogram, _, sum)) => *sum += i64::try_from(value).expect("small values"),
            _ => panic!("metric {} is not a histogram", metric.0),
        }
    }

    fn response_headers(&self) -> Result<HeaderBlock, HostError> {
        Ok(block(&self.response.borrow()))
    }
}

impl Wire for FakeHost {
    fn request_headers(&self) -> Result<HeaderBlock, HostError> {
        self.attempt("request_headers")?;
        // Through the serialised form, as from a real host.
        HeaderBlock::new(block(&self.request.borrow()).as_bytes().into()).map_err(|_| HostError::Other(0))
    }

    fn edit(&self, map: Map, edit: Edit<'_>) -> Result<(), HostError> {
        self.attempt("edit")?;
        match map {
            Map::Request => apply(&mut self.request.borrow_mut(), edit),
            Map::Response => apply(&mut self.response.borrow_mut(), edit),
        }
        Ok(())
    }

    fn clear_route_cache(&self) -> Result<(), HostError> {
        self.reroutes.set(self.reroutes.get() + 1);
        Ok(())
    }

    fn reply(&self, reply: &LocalReply) -> Result<(), HostError> {
        self.attempt("reply")?;
        *self.reply.borrow_mut() = Some(reply.clone());
        Ok(())
    }

    fn reset(&self) {
        self.was_reset.set(true);
    }

    fn call(&self, callout: &Callout) -> Result<u32, HostError> {
        self.attempt("call")?;
        let mut calls = self.calls.borrow_mut();
        calls.push(callout.clone());
        Ok(u32::try_from(calls.len()).expect("few calls"))
    }

    fn resume(&self) {
        self.resumed.set(true);
    }

    fn as_host(&self) -> &dyn Host {
        self
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream gets it with these headers.
    Passed(Pairs),
    /// It was answered by the filter.
    Replied(LocalReply),
    /// It waits for the answer to a callout under this token.
    Waiting(u32),
    /// Its stream was reset.
    Reset,
}

impl Outcome {
    /// The status that the client sees, with 200 from the upstream.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Passed(_) => 200,
            Self::Replied(reply) => reply.status,
            Self::Waiting(_) => panic!("the request waits"),
            Self::Reset => panic!("the stream was reset"),
        }
    }

    /// The values of `name` that the upstream gets.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Vec<&[u8]> {
        let Self::Passed(pairs) = self else { panic!("the upstream got nothing: {self:?}") };
        pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of `name` in the filter's reply.
    #[must_use]
    pub fn reply_header(&self, name: &str) -> Option<&[u8]> {
        let Self::Replied(reply) = self else { panic!("no reply: {self:?}") };
        reply.headers.iter().find(|(found, _)| found.as_str() == name).map(|(_, value)| value.as_bytes())
    }
}

/// One worker that runs a filter on a fake host.
pub struct Worker<F: Filter> {
    host: Rc<FakeHost>,
    plugin: Rc<Plugin<F>>,
}

/// One exchange.
pub struct Exchange<F: Filter> {
    host: Rc<FakeHost>,
    stream: Stream<F>,
}

/// Configures `F` on a host of its own.
///
/// # Panics
/// With the errors, if the configuration is refused.
#[must_use]
pub fn worker<F: Filter>(configuration: &str) -> Worker<F> {
    worker_on(&FakeHost::new(), configuration)
}

/// Configures `F` on `host`.
///
/// # Panics
/// With the errors, if the configuration is refused.
#[must_use]
pub fn worker_on<F: Filter>(host: &Rc<FakeHost>, configuration: &str) -> Worker<F> {
    match Plugin::configure(configuration.as_bytes(), &**host) {
        Ok(plugin) => Worker { host: Rc::clone(host), plugin: Rc::new(plugin) },
        Err(errors) => panic!("{errors}"),
    }
}

/// The errors that `configuration` is refused with, one a line.
///
/// # Panics
/// If it is accepted.
#[must_use]
pub fn refusal<F: Filter>(configuration: &str) -> String {
    match Plugin::<F>::configure(configuration.as_bytes(), &*FakeHost::new()) {
        Ok(_) => panic!("accepted"),
        Err(errors) => errors.to_string(),
    }
}

impl<F: Filter> Worker<F> {
    /// The host, to look at and to move its clock.
    #[must_use]
    pub fn host(&self) -> &FakeHost {
        &self.host
    }

    /// Sends a GET with further headers and returns what became of it.
    #[must_use]
    pub fn get(&self, path: &str, headers: &[(&str, &[u8])]) -> Outcome {
        self.send("GET", path, headers).0
    }

    /// Sends a request and returns what became of it, and the exchange to go on with.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> (Outcome, Exchange<F>) {
        let mut pairs: Pairs = [(":method", method), (":path", path), (":authority", "shop.example.com")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .into();
        pairs.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())));
        self.send_pairs(pairs)
    }

    fn send_pairs(&self, pairs: Pairs) -> (Outcome, Exchange<F>) {
        *self.host.request.borrow_mut() = pairs;
        // Filter state belongs to one exchange.
        for property in [Property::PRINCIPAL, Property::ROUTE] {
            self.host.properties.borrow_mut().remove(property.path());
        }
        let mut exchange =
            Exchange { host: Rc::clone(&self.host), stream: Stream::new(Rc::clone(&self.plugin)) };
        let verdict = exchange.stream.on_request(&*self.host);
        (exchange.outcome(verdict), exchange)
    }
}

impl<F: Filter> Exchange<F> {
    /// Answers the callout under `token`; `None` if the exchange does not wait for it.
    pub fn answer(&mut self, token: u32, result: CalloutResult) -> Option<Outcome> {
        let host = Rc::clone(&self.host);
        self.stream.on_callout(token, result, &*host).map(|verdict| self.outcome(verdict))
    }

    /// Ends the exchange: `status` is the response's, if there was one.
    pub fn end(mut self, status: Option<u16>, duration: std::time::Duration) {
        let number = |number: i64| number.to_le_bytes();
        if let Some(status) = status {
            self.host.set(Property::RESPONSE_CODE, &number(status.into()));
        } else {
            self.host.properties.borrow_mut().remove(Property::RESPONSE_CODE.path());
        }
        let nanos = i64::try_from(duration.as_nanos()).expect("centuries are not tested");
        self.host.set(Property::REQUEST_DURATION, &number(nanos));
        let host = Rc::clone(&self.host);
        self.stream.on_log(&*host);
    }

    fn outcome(&self, verdict: Verdict) -> Outcome {
        match verdict {
            Verdict::Wait(token) => Outcome::Waiting(token),
            Verdict::Continue => Outcome::Passed(self.host.request.borrow().clone()),
            Verdict::Answered => match self.host.reply.borrow_mut().take() {
                Some(reply) => Outcome::Replied(reply),
                None => Outcome::Reset,
            },
        }
    }
}
