//! Filters on a fake host: what tests call.

use std::rc::Rc;
use std::time::Duration;

use tidegate_filter_api::{CallToken, CalloutResult, Filter, LocalReply, Property};
use tidegate_proxy_host::pipeline::{Plugin, Stream, Verdict};

use super::{FakeHost, Pairs};
use crate::allocations::Uncounted;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream gets it with these headers.
    Passed(Pairs),
    /// It was answered by the filter.
    Replied(LocalReply),
    /// It waits for the end of the call under this token.
    Waiting(CallToken),
    /// It is held: its body is wanted, or it waits still.
    Held,
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
            Self::Waiting(_) | Self::Held => panic!("the request is held"),
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
    pub(super) host: Rc<FakeHost>,
    pub(super) plugin: Rc<Plugin<F>>,
}

/// One exchange.
pub struct Exchange<F: Filter> {
    host: Rc<FakeHost>,
    stream: Stream<F>,
    /// As the upstream got them, or as the filter left them.
    request: Pairs,
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

    /// Sends a request without a body; returns what became of it, and the exchange to go on with.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> (Outcome, Exchange<F>) {
        self.send_pairs(pairs(method, path, headers), true)
    }

    /// Sends the headers of a request whose body follows.
    #[must_use]
    pub fn begin(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> (Outcome, Exchange<F>) {
        self.send_pairs(pairs(method, path, headers), false)
    }

    pub(super) fn send_pairs(&self, pairs: Pairs, end: bool) -> (Outcome, Exchange<F>) {
        let client = Uncounted::begin();
        *self.host.request.borrow_mut() = pairs;
        self.host.request_body.borrow_mut().clear();
        // Filter state belongs to one exchange.
        let mut properties = self.host.properties.borrow_mut();
        properties.retain(|path, _| !path.starts_with(b"tg."));
        properties.append(&mut self.host.left.borrow_mut());
        drop(properties);
        let mut exchange = Exchange {
            host: Rc::clone(&self.host),
            stream: Stream::new(Rc::clone(&self.plugin)),
            request: Pairs::new(),
        };
        drop(client);
        let verdict = self.host.spend(|| exchange.stream.on_request(end, &*self.host));
        (exchange.outcome(verdict), exchange)
    }

    /// Lets the worker do what belongs to no exchange, as at a tick.
    pub fn tick(&self) {
        self.plugin.on_tick(&*self.host);
    }

    /// Takes the plugin away, as a new configuration does.
    pub fn end(self) {
        self.plugin.on_end(&*self.host);
    }

    /// An exchange whose request never got to the filter: malformed, or refused by a filter in front.
    #[must_use]
    pub fn unseen(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> Exchange<F> {
        Exchange {
            host: Rc::clone(&self.host),
            stream: Stream::new(Rc::clone(&self.plugin)),
            request: if method.is_empty() { Pairs::new() } else { pairs(method, path, headers) },
        }
    }

    /// How often ticks are wanted.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        self.plugin.tick_period()
    }

    /// Ends a dispatched call; exchanges that await it are to be woken afterwards, with [`Exchange::wake`].
    ///
    /// # Panics
    /// If no such call is under way.
    pub fn end_dispatched(&self, token: CallToken, result: CalloutResult) {
        assert!(self.host.under_way.borrow_mut().remove(&token), "{token:?} is not under way");
        self.plugin.on_dispatched(&*self.host, token, result);
    }
}

fn pairs(method: &str, path: &str, headers: &[(&str, &[u8])]) -> Pairs {
    let _client = Uncounted::begin();
    let usual = [(":method", method), (":path", path), (":authority", "shop.example.com")];
    let given = |name: &str| headers.iter().any(|(other, _)| *other == name);
    let mut pairs: Pairs = usual
        .into_iter()
        .filter(|(name, _)| !given(name))
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .collect();
    pairs.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())));
    pairs
}

impl<F: Filter> Exchange<F> {
    /// Ends the call under `token`; `None` if the exchange does not wait for it.
    pub fn answer(&mut self, token: CallToken, result: CalloutResult) -> Option<Outcome> {
        let host = Rc::clone(&self.host);
        self.stream.on_callout(token, result, &*host).map(|verdict| self.outcome(verdict))
    }

    /// Tells that a dispatched call has ended; `None` if the exchange does not wait for it.
    pub fn wake(&mut self, token: CallToken) -> Option<Outcome> {
        let host = Rc::clone(&self.host);
        self.stream.on_awaited(token, &*host).map(|verdict| self.outcome(verdict))
    }

    /// Sends a piece of the request's body.
    pub fn body(&mut self, piece: &[u8], end: bool) -> Outcome {
        let host = Rc::clone(&self.host);
        host.request_body.borrow_mut().extend_from_slice(piece);
        let available = host.request_body.borrow().len();
        let verdict = host.spend(|| self.stream.on_request_body(available, end, &*host));
        self.outcome(verdict)
    }

    /// Sends the request's trailers.
    pub fn trailers(&mut self) -> Outcome {
        let host = Rc::clone(&self.host);
        let verdict = self.stream.on_request_trailers(&*host);
        self.outcome(verdict)
    }

    /// Lets a response's headers pass and returns them as the client gets them.
    pub fn response(&mut self, headers: &[(&str, &[u8])]) -> Pairs {
        let upstream = Uncounted::begin();
        let pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        drop(upstream);
        self.response_pairs(pairs)
    }

    pub(super) fn response_pairs(&mut self, pairs: Pairs) -> Pairs {
        let host = Rc::clone(&self.host);
        *host.response.borrow_mut() = pairs;
        host.spend(|| self.stream.on_response(&*host));
        let _client = Uncounted::begin();
        host.response.borrow().clone()
    }

    /// Lets a piece of the response's body pass.
    pub fn response_body(&mut self, piece: &[u8]) {
        let host = Rc::clone(&self.host);
        *host.response_body.borrow_mut() = piece.to_vec();
        host.spend(|| self.stream.on_response_body(piece.len(), &*host));
    }

    /// Ends the exchange: `status` is the response's, if there was one.
    pub fn end(mut self, status: Option<u16>, duration: Duration) {
        let attributes = Uncounted::begin();
        let number = |number: i64| number.to_le_bytes();
        self.host.status.set(status);
        let nanos = i64::try_from(duration.as_nanos()).expect("centuries are not tested");
        self.host.set(Property::REQUEST_DURATION, &number(nanos));
        drop(attributes);
        let host = Rc::clone(&self.host);
        *host.request.borrow_mut() = self.request;
        host.spend(|| self.stream.on_log(&*host));
    }

    fn outcome(&mut self, verdict: Verdict) -> Outcome {
        let _client = Uncounted::begin();
        self.request.clone_from(&self.host.request.borrow());
        match verdict {
            Verdict::Wait(token) => Outcome::Waiting(token),
            Verdict::Hold => Outcome::Held,
            Verdict::Continue => Outcome::Passed(self.host.request.borrow().clone()),
            Verdict::Answered => match self.host.reply.borrow_mut().take() {
                Some(reply) => Outcome::Replied(reply),
                None => Outcome::Reset,
            },
        }
    }
}
