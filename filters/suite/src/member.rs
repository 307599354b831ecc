//! One filter of the suite: which it is, and each phase handed to it.

use std::time::Duration;

use tidegate_auth::Auth;
use tidegate_filter_api::{BodyPiece, CallToken, CalloutResult, Exchange, Filter, Flow, Host};
use tidegate_header_routing::HeaderRouting;
use tidegate_rate_limit::RateLimit;
use tidegate_telemetry::Telemetry;

/// Which filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Auth,
    RateLimit,
    HeaderRouting,
    Telemetry,
}

/// A configured filter.
#[expect(clippy::large_enum_variant, reason = "there are four of them, once per configuration")]
pub(crate) enum Member {
    Auth(Auth),
    RateLimit(RateLimit),
    HeaderRouting(HeaderRouting),
    Telemetry(Telemetry),
}

/// What the filters keep of one exchange.
#[derive(Default)]
pub(crate) struct States {
    auth: <Auth as Filter>::Stream,
    rate_limit: <RateLimit as Filter>::Stream,
    header_routing: <HeaderRouting as Filter>::Stream,
    telemetry: <Telemetry as Filter>::Stream,
}

/// Calls a method of whichever filter it is, with that filter's state where one is named.
macro_rules! each {
    ($member:expr, $filter:ident => $call:expr) => {
        match $member {
            Member::Auth($filter) => $call,
            Member::RateLimit($filter) => $call,
            Member::HeaderRouting($filter) => $call,
            Member::Telemetry($filter) => $call,
        }
    };
    ($member:expr, $states:expr, ($filter:ident, $state:ident) => $call:expr) => {
        match $member {
            Member::Auth($filter) => {
                let $state = &mut $states.auth;
                $call
            }
            Member::RateLimit($filter) => {
                let $state = &mut $states.rate_limit;
                $call
            }
            Member::HeaderRouting($filter) => {
                let $state = &mut $states.header_routing;
                $call
            }
            Member::Telemetry($filter) => {
                let $state = &mut $states.telemetry;
                $call
            }
        }
    };
}

impl Member {
    pub(crate) fn reads_request(&self) -> bool {
        each!(self, filter => filter.reads_request())
    }

    pub(crate) fn reads_response(&self) -> bool {
        each!(self, filter => filter.reads_response())
    }

    pub(crate) fn tick_period(&self) -> Option<Duration> {
        each!(self, filter => filter.tick_period())
    }

    pub(crate) fn on_tick(&self, host: &dyn Host) {
        each!(self, filter => filter.on_tick(host));
    }

    pub(crate) fn on_end(&self, host: &dyn Host) {
        each!(self, filter => filter.on_end(host));
    }

    pub(crate) fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        each!(self, filter => filter.on_dispatched(host, token, result));
    }

    pub(crate) fn on_request(&self, states: &mut States, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        each!(self, states, (filter, state) => filter.on_request(state, exchange, host))
    }

    pub(crate) fn on_callout(
        &self,
        states: &mut States,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        each!(self, states, (filter, state) => filter.on_callout(state, exchange, host, result))
    }

    pub(crate) fn on_awaited(&self, states: &mut States, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        each!(self, states, (filter, state) => filter.on_awaited(state, exchange, host))
    }

    pub(crate) fn on_request_body(
        &self,
        states: &mut States,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: BodyPiece<'_>,
    ) -> Flow {
        each!(self, states, (filter, state) => filter.on_request_body(state, exchange, host, piece))
    }

    pub(crate) fn on_response(&self, states: &mut States, exchange: &mut Exchange, host: &dyn Host) {
        each!(self, states, (filter, state) => filter.on_response(state, exchange, host));
    }

    pub(crate) fn reads_response_body(&self, states: &States) -> bool {
        match self {
            Self::Auth(filter) => filter.reads_response_body(&states.auth),
            Self::RateLimit(filter) => filter.reads_response_body(&states.rate_limit),
            Self::HeaderRouting(filter) => filter.reads_response_body(&states.header_routing),
            Self::Telemetry(filter) => filter.reads_response_body(&states.telemetry),
        }
    }

    pub(crate) fn on_response_body(
        &self,
        states: &mut States,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: &[u8],
    ) {
        each!(self, states, (filter, state) => filter.on_response_body(state, exchange, host, piece));
    }

    pub(crate) fn on_log(&self, states: &mut States, exchange: &Exchange, host: &dyn Host) {
        each!(self, states, (filter, state) => filter.on_log(state, exchange, host));
    }
}
