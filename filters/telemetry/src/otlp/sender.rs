//! One call at a time to one collector, with patience.

use std::cell::Cell;
use std::time::Duration;

use tidegate_filter_api::{
    CallToken, Callout, CalloutFailure, CalloutResult, Host, HttpCall, Timestamp, http_date,
};
use tidegate_protobuf::{Value, fields};

use super::Signal;
use crate::config::endpoint::Endpoint;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A collector that asks for more patience than this gets this much.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Taken, but for so many records.
    Taken { rejected: u64 },
    /// To be tried again, after a pause.
    TryAgain,
    /// Refused for good.
    Refused,
}

/// One call at a time to one collector.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Without a body.
    call: HttpCall,
    signal: Signal,
    under_way: Cell<Option<CallToken>>,
    /// In a row.
    failures: Cell<u32>,
    /// By the steady clock of [`crate::clock::Steady`].
    not_before: Cell<Duration>,
}

impl Sender {
    pub(crate) fn new(endpoint: &Endpoint, signal: Signal) -> Self {
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let path = endpoint.path.as_deref().unwrap_or(signal.path());
        let mut headers = vec![
            header(":method", b"POST"),
            header(":path", path.as_bytes()),
            header(":authority", endpoint.authority.as_bytes()),
            header("content-type", b"application/x-protobuf"),
        ];
        headers.extend(endpoint.headers.iter().map(|(name, value)| header(name.as_str(), value.as_bytes())));
        let call = HttpCall {
            cluster: endpoint.cluster.clone(),
            headers,
            body: Vec::new(),
            timeout: endpoint.timeout,
        };
        Self {
            call,
            signal,
            under_way: Cell::new(None),
            failures: Cell::new(0),
            not_before: Cell::new(Duration::ZERO),
        }
    }

    /// Whether a message may be sent now.
    pub(crate) fn is_ready(&self, now: Duration) -> bool {
        self.under_way.get().is_none() && now >= self.not_before.get()
    }

    /// Sends a message; if that fails at once, as to an unknown cluster, there is a pause too.
    pub(crate) fn send(&self, body: Vec<u8>, now: Duration, host: &dyn Host) -> bool {
        let call = HttpCall { body, ..self.call.clone() };
        match host.dispatch(&Callout::Http(call)) {
            Ok(token) => {
                self.under_way.set(Some(token));
                true
            }
            Err(error) => {
                self.fail(now, None, &error);
                false
            }
        }
    }

    /// Takes the end of a call, if it was this one's.
    pub(crate) fn ended(
        &self,
        token: CallToken,
        result: &CalloutResult,
        now: Duration,
        host: &dyn Host,
    ) -> Option<Ending> {
        if self.under_way.get() != Some(token) {
            return None;
        }
        self.under_way.set(None);
        let response = match result {
            Ok(response) => response,
            Err(CalloutFailure::NotSent(error)) => {
                self.fail(now, None, error);
                return Some(Ending::TryAgain);
            }
            Err(_) => {
                self.fail(now, None, &"no answer");
                return Some(Ending::TryAgain);
            }
        };
        Some(match response.status().unwrap_or_default() {
            200..=299 => {
                if self.failures.replace(0) > 0 {
                    log::info!("telemetry: {} are taken again by {}", self.signal.records(), self.cluster());
                }
                self.not_before.set(Duration::ZERO);
                Ending::Taken { rejected: rejected(&response.body) }
            }
            // Those that the specification lists ("Retryable response codes"). Envoy says 504 for a timeout, 503 for a
            // reset or a collector that is down, 502 for garbage.
            status @ (429 | 502 | 503 | 504) => {
                let wish = response.headers.iter().find(|(name, _)| *name == b"retry-after");
                let wish = wish.and_then(|(_, value)| patience(value, host));
                self.fail(now, wish, &format_args!("status {status}"));
                Ending::TryAgain
            }
            status => {
                self.fail(now, None, &format_args!("status {status}"));
                Ending::Refused
            }
        })
    }

    fn fail(&self, now: Duration, wish: Option<Duration>, why: &dyn std::fmt::Display) {
        let failures = self.failures.get();
        if failures == 0 {
            // Once, not at each attempt: the counters tell the rest.
            log::warn!("telemetry: {} are not taken by {}: {why}", self.signal.records(), self.cluster());
        }
        self.failures.set(failures.saturating_add(1));
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(5)).min(LONGEST_PAUSE);
        let pause = wish.map_or(pause, |wish| wish.min(LONGEST_WISH).max(FIRST_PAUSE));
        self.not_before.set(now.saturating_add(pause));
    }

    fn cluster(&self) -> &str {
        &self.call.cluster
    }
}

/// `Retry-After`: seconds, or the date after which to come again (RFC 9110 section 10.2.3).
fn patience(value: &[u8], host: &dyn Host) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = Timestamp(http_date(text)?.checked_mul(1_000_000_000)?);
            Some(date.since(host.now()))
        }
    }
}

/// How many records the answer says were rejected: `partial_success`, its first field.
fn rejected(body: &[u8]) -> u64 {
    match first(body) {
        Some(Value::Bytes(partial)) => match first(partial) {
            Some(Value::Varint(rejected)) => rejected,
            _ => 0,
        },
        _ => 0,
    }
}

/// The first field with the number 1, as far as the message can be read.
fn first(message: &[u8]) -> Option<Value<'_>> {
    fields(message).map_while(Result::ok).find(|(number, _)| *number == 1).map(|(_, value)| value)
}
