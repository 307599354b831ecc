//! Runs one filter over one stream and performs what it decides.
//!
//! Fails closed: where the host will not do what a decision needs (an edit, a snapshot of the headers), the request is
//! answered with 500, and where not even that works, reset. Nothing here panics.

use std::rc::Rc;

use tidegate_config::Errors;
use tidegate_filter_api::{
    CalloutFailure, CalloutResult, Exchange, Filter, Flow, GrpcStatus, Headers, Host, HostError, LocalReply,
    MetricId, MetricKind,
};

use crate::wire::{Map, Wire};

/// A filter with the configuration it runs under, shared by all its streams.
pub struct Plugin<F> {
    filter: F,
    host_errors: Option<MetricId>,
}

impl<F: Filter> Plugin<F> {
    /// Configures a filter. Whether it succeeds depends on `document` alone.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn configure(document: &[u8], host: &dyn Host) -> Result<Self, Errors> {
        let config = tidegate_config::decode(document)?;
        let name = format!("tidegate.{}.host_errors", F::NAME);
        let host_errors = host.define_metric(MetricKind::Counter, &name).ok();
        Ok(Self { filter: F::new(config, host), host_errors })
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
    /// Hold: it waits for a callout under this token.
    Wait(u32),
    /// Hold: it has been answered.
    Answered,
}

/// One stream under one filter.
pub struct Stream<F: Filter> {
    plugin: Rc<Plugin<F>>,
    exchange: Exchange,
    state: F::Stream,
    /// The callout that a paused request waits for.
    waiting: Option<u32>,
}

/// A filter that calls out again and again without an answer in between is a defect; this ends it.
const MOST_CALLS_AT_ONCE: usize = 8;

impl<F: Filter> Stream<F> {
    /// A stream that begins.
    #[must_use]
    pub fn new(plugin: Rc<Plugin<F>>) -> Self {
        Self { plugin, exchange: Exchange::default(), state: F::Stream::default(), waiting: None }
    }

    /// Request headers have arrived.
    pub fn on_request(&mut self, wire: &dyn Wire) -> Verdict {
        if self.plugin.filter.reads_request() {
            match wire.request_headers() {
                Ok(block) => self.exchange = Exchange::new(Headers::new(block)),
                Err(error) => return self.give_up(wire, "reading request headers", error),
            }
        } else {
            self.exchange = Exchange::new(Headers::unread());
        }
        let flow = self.plugin.filter.on_request(&mut self.state, &mut self.exchange, wire.as_host());
        self.perform(flow, wire)
    }

    /// The callout under `token` has ended. Ignored unless the stream waits for it.
    pub fn on_callout(&mut self, token: u32, result: CalloutResult, wire: &dyn Wire) -> Option<Verdict> {
        if self.waiting != Some(token) {
            return None;
        }
        self.waiting = None;
        let filter = &self.plugin.filter;
        let flow = filter.on_callout(&mut self.state, &mut self.exchange, wire.as_host(), result);
        let verdict = self.perform(flow, wire);
        if verdict == Verdict::Continue {
            wire.resume();
        }
        Some(verdict)
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

    /// The stream has ended.
    pub fn on_log(&mut self, wire: &dyn Wire) {
        self.plugin.filter.on_log(&mut self.state, &self.exchange, wire.as_host());
    }

    fn perform(&mut self, mut flow: Flow, wire: &dyn Wire) -> Verdict {
        for _ in 0..MOST_CALLS_AT_ONCE {
            let callout = match flow {
                Flow::Continue => return self.go_on(wire),
                Flow::Reply(reply) => return self.answer(&reply, wire),
                Flow::Call(callout) => callout,
            };
            match wire.call(&callout) {
                Ok(token) => {
                    self.waiting = Some(token);
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

    fn answer(&self, reply: &LocalReply, wire: &dyn Wire) -> Verdict {
        if let Err(error) = wire.reply(reply) {
            self.plugin.count_host_error(wire, "replying", error);
            wire.reset();
        }
        Verdict::Answered
    }

    fn give_up(&self, wire: &dyn Wire, call: &str, error: HostError) -> Verdict {
        self.plugin.count_host_error(wire, call, error);
        let reply = LocalReply {
            status: 500,
            grpc_status: GrpcStatus::Unavailable,
            headers: Vec::new(),
            body: "the request could not be processed\n",
            details: "tidegate_host_error",
        };
        self.answer(&reply, wire)
    }
}
