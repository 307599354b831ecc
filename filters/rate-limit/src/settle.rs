//! What is still to be done about a request when its response is there, and when it has ended.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Headers, Host};

use crate::config::CostSource;
use crate::filter::{RateLimit, Stream, Subject};
use crate::limiter::Limiter;
use crate::metrics::Event;
use crate::usage::Usage;

impl RateLimit {
    /// A client that takes compressed bodies would hide what a request cost, so upstreams are asked for none.
    pub(crate) fn ask_for_plain_bodies(&self, stream: &Stream, exchange: &mut Exchange) {
        let reads = |subject: &Subject| {
            let limiter = self.limits.get(subject.limit).filter(|_| subject.due);
            limiter.is_some_and(|limiter| matches!(limiter.limit.cost.source, CostSource::JsonField(_)))
        };
        if !stream.subjects.iter().any(reads) {
            return;
        }
        if let (Ok(name), Ok(plain)) = (HeaderName::new("accept-encoding"), HeaderValue::new(*b"identity"))
            && exchange.request().values(name.as_str()).next().is_some()
        {
            exchange.request_mut().set(&name, &plain);
        }
    }

    /// The response's headers are there: costs that they tell are charged, and those that its body tells are waited for.
    pub(crate) fn settle(&self, stream: &mut Stream, exchange: &Exchange, host: &dyn Host) {
        if !stream.subjects.iter().any(|subject| subject.due) {
            return;
        }
        // Read here and not for every response: most have nothing due.
        let read;
        let headers = if exchange.response().received().next().is_some() {
            exchange.response()
        } else {
            read = Headers::new(host.response_headers().unwrap_or_default());
            &read
        };
        let status =
            headers.first(":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        for subject in stream.subjects.iter_mut().filter(|subject| subject.due) {
            let Some(limiter) = self.limits.get(subject.limit) else { continue };
            // Headers that the host does not give hide what a request cost, which is then not nothing.
            let counts = match &limiter.limit.count_when {
                Some(when) => status.is_some_and(|status| when.matches(status)),
                None => true,
            };
            if !counts {
                subject.due = false;
                continue;
            }
            let cost = &limiter.limit.cost;
            let measured = match &cost.source {
                CostSource::Fixed | CostSource::RequestHeader(_) => {
                    self.owe(subject, limiter, subject.units.unwrap_or(0), host);
                    continue;
                }
                CostSource::ResponseHeader(name) => cost.of_header(headers.values(name.as_str())),
                CostSource::JsonField(_) => {
                    let first = |name: &str| headers.first(name);
                    subject.usage = Usage::begin(first("content-type"), first("content-encoding"));
                    if subject.usage.is_some() {
                        continue;
                    }
                    cost.of_number(None)
                }
            };
            if measured.faulty {
                limiter.count(Event::Error, host);
            }
            self.owe(subject, limiter, measured.units, host);
        }
    }

    /// A piece of the response's body passes.
    pub(crate) fn read_usage(&self, stream: &mut Stream, piece: &[u8]) {
        for subject in &mut stream.subjects {
            let cost = self.limits.get(subject.limit).map(|limiter| &limiter.limit.cost.source);
            if let (Some(usage), Some(CostSource::JsonField(paths))) = (&mut subject.usage, cost) {
                usage.read(paths, piece);
            }
        }
    }

    /// The request has ended, however it did: what its response's body told is charged, and leases are given back.
    pub(crate) fn end(&self, stream: &mut Stream, host: &dyn Host) {
        for subject in &mut stream.subjects {
            let Some(limiter) = self.limits.get(subject.limit) else { continue };
            let cost = &limiter.limit.cost;
            let measured = match subject.usage.take() {
                Some(usage) => Some(cost.of_number(usage.total())),
                // No response came to tell: a client that leaves before it is there would otherwise pay nothing.
                None if subject.due && cost.is_late() && limiter.limit.count_when.is_none() => {
                    Some(cost.of_number(None))
                }
                None => None,
            };
            if let Some(measured) = measured {
                if measured.faulty {
                    limiter.count(Event::Error, host);
                }
                self.owe(subject, limiter, measured.units, host);
            }
            if let Some(lease) = subject.lease.take() {
                limiter.give_back(subject.key, lease, host);
            }
        }
    }

    /// Charges what a request turned out to cost.
    fn owe(&self, subject: &mut Subject, limiter: &Limiter, units: u64, host: &dyn Host) {
        subject.due = false;
        // Requests were charged on arrival, unless it was left open whether this one counts.
        let requests = u64::from(limiter.limit.count_when.is_some());
        if limiter.limit.is_local() && (units > 0 || requests > 0) {
            let now = host.now();
            if let Some(state) = limiter.charge(subject.key, requests, units, now, host) {
                subject.state = Some((state, now));
            }
        }
        if let Some(descriptor) = &subject.descriptor {
            self.tell_service(subject.limit, descriptor, units, host);
        }
    }
}
