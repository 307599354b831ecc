//! Each phase, handed from filter to filter.

use std::time::Duration;

use tidegate_auth::Auth;
use tidegate_filter_api::{BodyPiece, CallToken, Callbacks, CalloutResult, Exchange, Filter, Flow, Host};
use tidegate_header_routing::HeaderRouting;
use tidegate_rate_limit::RateLimit;
use tidegate_telemetry::Telemetry;

use crate::config::Config;
use crate::member::{Kind, Member, States};
use crate::shared_host::{Dispatched, SharedHost};

/// All filters in one.
pub struct Suite {
    members: Vec<Member>,
    dispatched: Dispatched,
}

/// What is kept of one exchange: the filters' own, and how far the request has come.
#[derive(Default)]
pub struct Stream {
    states: States,
    /// The place of the filter that has the request, or had it last.
    place: usize,
}

impl Filter for Suite {
    const NAME: &'static str = "suite";
    const CALLBACKS: Callbacks =
        Auth::CALLBACKS.and(RateLimit::CALLBACKS).and(HeaderRouting::CALLBACKS).and(Telemetry::CALLBACKS);
    type Config = Config;
    type Stream = Stream;

    fn new(config: Config, host: &dyn Host) -> Self {
        let dispatched = Dispatched::default();
        let Config { mut auth, mut rate_limit, mut header_routing, mut telemetry, order } = config;
        let members = order.into_iter().enumerate().filter_map(|(place, kind)| {
            let host = &SharedHost { host, place, dispatched: &dispatched, sent: None };
            Some(match kind {
                Kind::Auth => Member::Auth(Auth::new(auth.take()?, host)),
                Kind::RateLimit => Member::RateLimit(RateLimit::new(rate_limit.take()?, host)),
                Kind::HeaderRouting => {
                    Member::HeaderRouting(HeaderRouting::new(header_routing.take()?, host))
                }
                Kind::Telemetry => Member::Telemetry(Telemetry::new(telemetry.take()?, host)),
            })
        });
        let members = members.collect();
        Self { members, dispatched }
    }

    fn reads_request(&self) -> bool {
        self.members.iter().any(Member::reads_request)
    }

    fn reads_response(&self) -> bool {
        self.members.iter().any(Member::reads_response)
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        self.go_on(0, stream, exchange, host)
    }

    fn on_callout(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        self.go_on_behind(stream, exchange, host, |member, states, exchange, host| {
            member.on_callout(states, exchange, host, result)
        })
    }

    fn on_awaited(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        self.go_on_behind(stream, exchange, host, |member, states, exchange, host| {
            member.on_awaited(states, exchange, host)
        })
    }

    fn on_request_body(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: BodyPiece<'_>,
    ) -> Flow {
        self.go_on_behind(stream, exchange, host, |member, states, exchange, host| {
            member.on_request_body(states, exchange, host, piece)
        })
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) {
        for (place, member) in self.met(stream.place) {
            member.on_response(&mut stream.states, exchange, &self.host(host, place));
        }
    }

    fn reads_response_body(&self, stream: &Stream) -> bool {
        self.met(stream.place).any(|(_, member)| member.reads_response_body(&stream.states))
    }

    fn on_response_body(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host, piece: &[u8]) {
        for (place, member) in self.met(stream.place) {
            if member.reads_response_body(&stream.states) {
                member.on_response_body(&mut stream.states, exchange, &self.host(host, place), piece);
            }
        }
    }

    fn on_log(&self, stream: &mut Stream, exchange: &Exchange, host: &dyn Host) {
        // Also those that the request never reached: telemetry counts what auth refused.
        let request = exchange.request();
        let sent = request.is_current().then_some(request);
        for (place, member) in self.members.iter().enumerate() {
            member.on_log(&mut stream.states, exchange, &SharedHost { sent, ..self.host(host, place) });
        }
    }

    fn tick_period(&self) -> Option<Duration> {
        self.members.iter().filter_map(Member::tick_period).min()
    }

    fn on_tick(&self, host: &dyn Host) {
        for (place, member) in self.members.iter().enumerate() {
            if member.tick_period().is_some() {
                member.on_tick(&self.host(host, place));
            }
        }
    }

    fn on_end(&self, host: &dyn Host) {
        for (place, member) in self.members.iter().enumerate() {
            member.on_end(&self.host(host, place));
        }
    }

    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        let Some(place) = self.dispatched.borrow_mut().remove(&token) else { return };
        if let Some(member) = self.members.get(place) {
            member.on_dispatched(&self.host(host, place), token, result);
        }
    }
}

impl Suite {
    fn host<'a>(&'a self, host: &'a dyn Host, place: usize) -> SharedHost<'a> {
        SharedHost { host, place, dispatched: &self.dispatched, sent: None }
    }

    /// The filters that a request has met up to `place`, in the order in which they meet its response: as in a chain of
    /// modules, the last first, and those behind one that answered not at all.
    fn met(&self, place: usize) -> impl Iterator<Item = (usize, &Member)> {
        self.members.iter().enumerate().take(place.saturating_add(1)).rev()
    }

    /// Hands the request to the filters from `place` on, until one does not let it go on.
    fn go_on(&self, place: usize, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        for (place, member) in self.members.iter().enumerate().skip(place) {
            stream.place = place;
            match member.on_request(&mut stream.states, exchange, &self.host(host, place)) {
                Flow::Continue => {}
                held_or_answered => return held_or_answered,
            }
        }
        Flow::Continue
    }

    /// Lets the filter that held the request decide, and goes on with those behind it.
    fn go_on_behind(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        decide: impl FnOnce(&Member, &mut States, &mut Exchange, &dyn Host) -> Flow,
    ) -> Flow {
        let place = stream.place;
        // Whoever held the request is there.
        let Some(member) = self.members.get(place) else { return Flow::Continue };
        match decide(member, &mut stream.states, exchange, &self.host(host, place)) {
            Flow::Continue => self.go_on(place.saturating_add(1), stream, exchange, host),
            held_or_answered => held_or_answered,
        }
    }
}
