//! The telemetry filter, for tests only: a request with `x-trap` makes it trap, as a defect would. What it had told by then
//! stays told; what becomes of the rest is the test's question.

use std::time::Duration;

use tidegate_filter_api::{CallToken, Callbacks, CalloutResult, Exchange, Filter, Flow, Host};
use tidegate_telemetry::{Config, Stream, Telemetry};

/// The filter.
pub struct Trapping(Telemetry);

impl Filter for Trapping {
    const NAME: &'static str = Telemetry::NAME;
    const CALLBACKS: Callbacks = Telemetry::CALLBACKS;
    type Config = Config;
    type Stream = Stream;

    fn new(config: Config, host: &dyn Host) -> Self {
        Self(Telemetry::new(config, host))
    }

    #[expect(clippy::panic, reason = "what it is for")]
    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        if exchange.request().first("x-trap").is_some() {
            panic!("telemetry was told to trap");
        }
        self.0.on_request(stream, exchange, host)
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) {
        self.0.on_response(stream, exchange, host);
    }

    fn on_log(&self, stream: &mut Stream, exchange: &Exchange, host: &dyn Host) {
        self.0.on_log(stream, exchange, host);
    }

    fn tick_period(&self) -> Option<Duration> {
        self.0.tick_period()
    }

    fn on_tick(&self, host: &dyn Host) {
        self.0.on_tick(host);
    }

    fn on_end(&self, host: &dyn Host) {
        self.0.on_end(host);
    }

    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        self.0.on_dispatched(host, token, result);
    }
}

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Trapping);
