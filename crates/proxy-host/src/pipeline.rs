//! Runs one filter over one stream and performs what it decides.
//!
//! Fails closed: where the host will not do what a decision needs (an edit, a snapshot of the headers), the request is
//! answered with 500, and where not even that works, reset. Nothing here panics.

use std::rc::Rc;
use std::time::Duration;

use tidegate_config::Errors;
use tidegate_filter_api::{
    BodyPiece, CallToken, Callbacks, CalloutFailure, CalloutResult, Exchange, Filter, Flow, GrpcStatus,
    Headers, Host, HostError, LocalReply, MetricId, MetricKind,
};

use crate::wire::{Map, Wire};

/// A filter with the configuration it runs under, shared by all its streams.
pub struct Plugin<F> {
    filter: F,
    host_errors: Option<MetricId>,
}

impl<F: Filter> Plugin<F> {
    /// Configures a filter. Whether it succeeds depends on `document` and the module's environment alone.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn configure(document: &[u8], host: &dyn Host) -> Result<Self, Errors> {
        let config = tidegate_config::decode_in(document, &|name| host.variable(name))?;
        let name = format!("tidegate.{}.host_errors", F::NAME);
        let host_errors = host.define_metric(MetricKind::Counter, &name).ok();
        Ok(Self { filter: F::new(config, host), host_errors })
    }

    /// How often [`Plugin::on_tick`] is to be called.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        self.filter.tick_period()
    }

    /// Time has passed.
    pub fn on_tick(&self, host: &dyn Host) {
        self.filter.on_tick(host);
    }

    /// The plugin goes.
    pub fn on_end(&self, host: &dyn Host) {
        self.filter.on_end(host);
    }

    /// A dispatched call has ended. Streams that wait for it are to be told afterwards.
    pub fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        self.filter.on_dispatched(host, token, result);
    }

    fn count_host_error(&self, wire: &dyn Wire, call: &str, error: HostError) {
        log::error!("{}: {call}: {error}", F::NAME);
        if let Some(metric) = self.host_errors {
            wire.add(metric, 1);
        }
    }
}

/// Whether the host shall go on with the request or hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Hold: from now on it waits for the end of this call.
    Wait(CallToken),
    /// Hold: pieces of its body are wanted, or it waits for a call still.
    Hold,
    /// Hold: it has been answered.
    Answered,
}

/// What a request is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    /// A call of its own.
    Call(CallToken),
    /// A call that others may wait for too.
    Dispatched(CallToken),
    /// Its body, of which so much has been seen.
    Body(usize),
    /// For good: it has been answered.
    Answered,
}

/// One stream under one filter.
pub struct Stream<F: Filter> {
    plugin: Rc<Plugin<F>>,
    exchange: Exchange,
    state: F::Stream,
    held: Held,
}

/// A filter that calls out again and again without an answer in between is a defect; this ends it.
const MOST_CALLS_AT_ONCE: usize = 8;

impl<F: Filter> Stream<F> {
    /// A stream that begins.
    #[must_use]
    pub fn new(plugin: Rc<Plugin<F>>) -> Self {
        Self { plugin, exchange: Exchange::default(), state: F::Stream::default(), held: Held::No }
    }

    /// Request headers have arrived; with `end`, nothing follows them.
    pub fn on_request(&mut self, end: bool, wire: &dyn Wire) -> Verdict {
        if self.plugin.filter.reads_request() {
            match wire.request_headers() {
                Ok(block) => self.exchange = Exchange::new(Headers::new(block)),
                Err(error) => return self.give_up(wire, "reading request headers", error),
            }
        } else {
            self.exchange = Exchange::new(Headers::unread());
        }
        let flow = self.plugin.filter.on_request(&mut self.state, &mut self.exchange, wire.as_host());
        match flow {
            Flow::ReadBody if end => self.read_body(&[], true, wire),
            Flow::ReadBody => self.hold_for_body(0, wire),
            other => self.perform(other, wire),
        }
    }

    /// So many bytes of the request's body are there in all; with `end`, nothing follows them.
    pub fn on_request_body(&mut self, available: usize, end: bool, wire: &dyn Wire) -> Verdict {
        let seen = match self.held {
            Held::No => return Verdict::Continue,
            Held::Answered => return Verdict::Answered,
            Held::Call(_) | Held::Dispatched(_) => return Verdict::Hold,
            Held::Body(seen) => seen,
        };
        // Only what is new: reading all of it at every piece would be quadratic.
        match wire.request_body(seen, available.saturating_sub(seen)) {
            Ok(bytes) => {
                self.held = Held::Body(available);
                self.read_body(&bytes, end, wire)
            }
            Err(error) => self.give_up(wire, "reading the request's body", error),
        }
    }

    /// The request's trailers have arrived: its body has ended without a last piece.
    pub fn on_request_trailers(&mut self, wire: &dyn Wire) -> Verdict {
        match self.held {
            Held::No => Verdict::Continue,
            Held::Answered => Verdict::Answered,
            Held::Call(_) | Held::Dispatched(_) => Verdict::Hold,
            Held::Body(_) => self.read_body(&[], true, wire),
        }
    }

    /// The call under `token` has ended. Ignored unless the stream made it and waits for it.
    pub fn on_callout(
        &mut self,
        token: CallToken,
        result: CalloutResult,
        wire: &dyn Wire,
    ) -> Option<Verdict> {
        if self.held != Held::Call(token) {
            return None;
        }
        let filter = &self.plugin.filter;
        let flow = filter.on_callout(&mut self.state, &mut self.exchange, wire.as_host(), result);
        Some(self.perform_and_resume(flow, wire))
    }

    /// The dispatched call under `token` has ended, and the filter has heard of it. Ignored unless the stream waits for
    /// it.
    pub fn on_awaited(&mut self, token: CallToken, wire: &dyn Wire) -> Option<Verdict> {
        if self.held != Held::Dispatched(token) {
            return None;
        }
        let flow = self.plugin.filter.on_awaited(&mut self.state, &mut self.exchange, wire.as_host());
        Some(self.perform_and_resume(flow, wire))
    }

    /// Response headers have arrived.
    pub fn on_response(&mut self, wire: &dyn Wire) {
        if self.plugin.filter.reads_response() {
            match wire.response_headers() {
                Ok(block) => self.exchange.set_response(Headers::new(block)),
                Err(error) => self.plugin.count_host_error(wire, "reading response headers", error),
            }
        }
        self.plugin.filter.on_response(&mut self.state, &mut self.exchange, wire.as_host());
        let edits = self.exchange.response_mut().take_pending();
        for edit in edits {
            if let Err(error) = wire.edit(Map::Response, edit) {
                self.plugin.count_host_error(wire, "editing response headers", error);
            }
        }
    }

    /// So many bytes of the response's body pass.
    pub fn on_response_body(&mut self, available: usize, wire: &dyn Wire) {
        let filter = &self.plugin.filter;
        if available == 0 || !filter.reads_response_body(&self.state) {
            return;
        }
        match wire.response_body(available) {
            Ok(bytes) => {
                filter.on_response_body(&mut self.state, &mut self.exchange, wire.as_host(), &bytes);
            }
            Err(error) => self.plugin.count_host_error(wire, "reading the response's body", error),
        }
    }

    /// The stream has ended.
    pub fn on_log(&mut self, wire: &dyn Wire) {
        self.plugin.filter.on_log(&mut self.state, &self.exchange, wire.as_host());
    }

    fn hold_for_body(&mut self, seen: usize, wire: &dyn Wire) -> Verdict {
        if !F::CALLBACKS.contains(Callbacks::REQUEST_BODY) {
            // A defect of the filter: no piece would ever come.
            return self.give_up(wire, "reading the request's body", HostError::Unimplemented);
        }
        self.held = Held::Body(seen);
        Verdict::Hold
    }

    fn read_body(&mut self, bytes: &[u8], end: bool, wire: &dyn Wire) -> Verdict {
        let piece = BodyPiece { bytes, end };
        let filter = &self.plugin.filter;
        match filter.on_request_body(&mut self.state, &mut self.exchange, wire.as_host(), piece) {
            Flow::ReadBody if !end => Verdict::Hold,
            flow => self.perform(flow, wire),
        }
    }

    fn perform_and_resume(&mut self, flow: Flow, wire: &dyn Wire) -> Verdict {
        let verdict = self.perform(flow, wire);
        if verdict == Verdict::Continue {
            wire.resume();
        }
        verdict
    }

    fn perform(&mut self, mut flow: Flow, wire: &dyn Wire) -> Verdict {
        for _ in 0..MOST_CALLS_AT_ONCE {
            let callout = match flow {
                Flow::Continue => return self.go_on(wire),
                Flow::Reply(reply) => return self.answer(&reply, wire),
                Flow::Await(token) if wire.is_under_way(token) => {
                    self.held = Held::Dispatched(token);
                    return Verdict::Wait(token);
                }
                // Nothing would ever wake it: both are defects of the filter.
                Flow::Await(_) => return self.give_up(wire, "awaiting a call", HostError::NotFound),
                Flow::ReadBody => {
                    return self.give_up(wire, "reading the request's body", HostError::NotFound);
                }
                Flow::Call(callout) => callout,
            };
            match wire.call(&callout) {
                Ok(token) => {
                    self.held = Held::Call(token);
                    return Verdict::Wait(token);
                }
                // Unknown and dead clusters fail at once; the filter hears of it like of any other failure.
                Err(error) => {
                    let result = Err(CalloutFailure::NotSent(error));
                    let filter = &self.plugin.filter;
                    flow = filter.on_callout(&mut self.state, &mut self.exchange, wire.as_host(), result);
                }
            }
        }
        self.give_up(wire, "calling out", HostError::InternalFailure)
    }

    fn go_on(&mut self, wire: &dyn Wire) -> Verdict {
        self.held = Held::No;
        let failed =
            self.exchange.request_mut().take_pending().find_map(|edit| wire.edit(Map::Request, edit).err());
        if let Some(error) = failed {
            return self.give_up(wire, "editing request headers", error);
        }
        if self.exchange.take_reroute()
            && let Err(error) = wire.clear_route_cache()
        {
            return self.give_up(wire, "choosing the route again", error);
        }
        Verdict::Continue
    }

    fn answer(&mut self, reply: &LocalReply, wire: &dyn Wire) -> Verdict {
        self.held = Held::Answered;
        if let Err(error) = wire.reply(reply) {
            self.plugin.count_host_error(wire, "replying", error);
            wire.reset();
        }
        Verdict::Answered
    }

    fn give_up(&mut self, wire: &dyn Wire, call: &str, error: HostError) -> Verdict {
        self.plugin.count_host_error(wire, call, error);
        let reply = LocalReply {
            status: 500,
            grpc_status: GrpcStatus::Unavailable,
            headers: Vec::new(),
            body: "the request could not be processed\n".into(),
            details: "tidegate_host_error",
        };
        self.answer(&reply, wire)
    }
}
