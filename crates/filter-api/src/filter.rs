//! The trait that each filter implements.

use std::time::Duration;

use tidegate_config::Decode;

use crate::callbacks::Callbacks;
use crate::exchange::Exchange;
use crate::flow::{BodyPiece, CallToken, CalloutResult, Flow};
use crate::host::Host;

/// A filter: its configuration, its decisions, and what it keeps per exchange.
pub trait Filter: Sized + 'static {
    /// The filter's name in log lines and metrics: `rate_limit`.
    const NAME: &'static str;
    /// The callbacks it uses; others are not even exported.
    const CALLBACKS: Callbacks;
    /// The configuration. Decoding it is the only thing that may refuse it, and is a pure function of its bytes.
    type Config: Decode;
    /// What the filter keeps of one exchange from phase to phase.
    type Stream: Default + 'static;

    /// Starts with a configuration that is valid. Here metrics are defined; nothing here can fail.
    fn new(config: Self::Config, host: &dyn Host) -> Self;

    /// Whether this configuration looks at request headers: reading them costs a host call.
    fn reads_request(&self) -> bool {
        true
    }

    /// Whether this configuration looks at response headers.
    fn reads_response(&self) -> bool {
        false
    }

    /// Decides on a request.
    fn on_request(&self, stream: &mut Self::Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow;

    /// Goes on where [`Flow::Call`] left off. A failed, empty or late answer arrives here too.
    fn on_callout(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        let _ = (stream, exchange, host, result);
        Flow::Continue
    }

    /// Goes on where [`Flow::Await`] left off, after [`Filter::on_dispatched`] has seen the answer.
    fn on_awaited(&self, stream: &mut Self::Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let _ = (stream, exchange, host);
        Flow::Continue
    }

    /// Looks at a piece of the body of a request held by [`Flow::ReadBody`]. [`Flow::ReadBody`] asks for the next; behind
    /// the last there is none to ask for.
    fn on_request_body(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: BodyPiece<'_>,
    ) -> Flow {
        let _ = (stream, exchange, host, piece);
        Flow::Continue
    }

    /// Looks at a response and edits it. Local replies, one's own included, pass here as well.
    fn on_response(&self, stream: &mut Self::Stream, exchange: &mut Exchange, host: &dyn Host) {
        let _ = (stream, exchange, host);
    }

    /// Whether the body of this response is to be read: it costs a copy of each piece.
    fn reads_response_body(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// Looks at a piece of a response's body as it passes; nothing is held back. Its end is [`Filter::on_log`].
    fn on_response_body(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        piece: &[u8],
    ) {
        let _ = (stream, exchange, host, piece);
    }

    /// Looks back at an exchange that has ended. The request may never have had headers.
    fn on_log(&self, stream: &mut Self::Stream, exchange: &Exchange, host: &dyn Host) {
        let _ = (stream, exchange, host);
    }

    /// How often [`Filter::on_tick`] is wanted at least; `None`: never. In a module with other filters the shortest of all
    /// periods counts.
    fn tick_period(&self) -> Option<Duration> {
        None
    }

    /// Time has passed: each worker does what belongs to no exchange.
    fn on_tick(&self, host: &dyn Host) {
        let _ = host;
    }

    /// The plugin goes: its configuration was replaced, or the proxy shuts down. No stream is left, and calls made now are
    /// cancelled.
    fn on_end(&self, host: &dyn Host) {
        let _ = host;
    }

    /// A call made by [`Host::dispatch`] has ended.
    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        let _ = (host, token, result);
    }
}
