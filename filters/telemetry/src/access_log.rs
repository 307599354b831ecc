//! Access logs: which exchanges are written, and where to.

use std::time::Duration;

use tidegate_filter_api::{CallToken, CalloutResult, Host};

use crate::config::access_log::AccessLog;
use crate::otlp::{self, Counters, Exporter, Message, Preamble, Signal};
use crate::record;
use crate::trace::Context;
use crate::view::View;

/// One access log at work.
#[derive(Debug)]
pub(crate) struct Log {
    config: AccessLog,
    /// `None`: Envoy's own log.
    exporter: Option<Exporter>,
}

impl Log {
    pub(crate) fn new(config: AccessLog, preamble: &Preamble, counters: Counters, host: &dyn Host) -> Self {
        let exporter = config
            .to
            .as_ref()
            .map(|(endpoint, queue)| Exporter::new(endpoint, *queue, Signal::Logs, preamble, counters, host));
        Self { config, exporter }
    }

    /// Writes an exchange that has ended, if its conditions hold.
    pub(crate) fn write(&self, view: &View<'_>, now: Duration) {
        // Not even looked at where nobody would see it.
        if self.exporter.is_none() && !log::log_enabled!(log::Level::Info) {
            return;
        }
        if self.config.when.as_ref().is_some_and(|when| !view.satisfies(when)) {
            return;
        }
        match &self.exporter {
            None => {
                let line = record::json(&self.config.fields, &self.config.redact, view);
                log::info!("{}", String::from_utf8_lossy(&line));
            }
            Some(exporter) => exporter.push(self.record(view), now, view.host),
        }
    }

    pub(crate) fn exporter(&self) -> Option<&Exporter> {
        self.exporter.as_ref()
    }

    /// A `LogRecord`.
    fn record(&self, view: &View<'_>) -> Vec<u8> {
        const INFO: (u64, &str) = (9, "INFO");
        const ERROR: (u64, &str) = (17, "ERROR");
        let mut message = Message::new();
        let start = view.start().unwrap_or_default();
        let duration = view.duration().and_then(|duration| u64::try_from(duration.as_nanos()).ok());
        let end = start.saturating_add(duration.unwrap_or_default());
        message.fixed64(1, start);
        let (number, text) = if view.status().is_none_or(|status| status >= 500) { ERROR } else { INFO };
        message.varint(2, number);
        message.bytes(3, text.as_bytes());
        otlp::nested(&mut message, 5, |body| {
            body.bytes(1, b"HTTP request");
        });
        record::attributes(&self.config.fields, &self.config.redact, view, 6, &mut message);
        if let Some(Context { trace_id, span_id, sampled, .. }) = view.context() {
            message.fixed32(8, u32::from(*sampled));
            message.bytes(9, trace_id);
            message.bytes(10, span_id);
        }
        message.fixed64(11, end);
        message.into_bytes()
    }
}

/// Hands the end of a call to the log that made it.
pub(crate) fn ended(
    logs: &[Log],
    token: CallToken,
    result: &CalloutResult,
    now: Duration,
    host: &dyn Host,
) -> bool {
    logs.iter().filter_map(Log::exporter).any(|exporter| exporter.ended(token, result, now, host))
}
