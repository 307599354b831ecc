//! The trait that each filter implements.

use tidegate_config::Decode;

use crate::callbacks::Callbacks;
use crate::exchange::Exchange;
use crate::flow::{CalloutResult, Flow};
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

    /// Looks at a response and edits it. Local replies, one's own included, pass here as well.
    fn on_response(&self, stream: &mut Self::Stream, exchange: &mut Exchange, host: &dyn Host) {
        let _ = (stream, exchange, host);
    }

    /// Looks back at an exchange that has ended. The request may never have had headers.
    fn on_log(&self, stream: &mut Self::Stream, exchange: &Exchange, host: &dyn Host) {
        let _ = (stream, exchange, host);
    }
}
