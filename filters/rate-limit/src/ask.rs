//! Global limits: the rate limit service is asked once about all of a request's, and told what became known later.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{CallToken, CalloutFailure, CalloutResult, Exchange, Flow, Headers, Host};

use crate::config::Otherwise;
use crate::filter::{RateLimit, Stream};
use crate::limiter::Ruling;
use crate::metrics::Event;
use crate::refusal::Cause;
use crate::service::{Answer, Descriptor, call};
use crate::view::View;

impl RateLimit {
    /// Asks about all limits that need it. A request that a limit here refuses never gets so far.
    pub(crate) fn ask_service(&self, stream: &Stream) -> Flow {
        let descriptors: Vec<Descriptor> =
            stream.subjects.iter().filter_map(|subject| subject.descriptor.clone()).collect();
        match &self.service {
            Some(service) if !descriptors.is_empty() => Flow::Call(call(service, &descriptors)),
            _ => Flow::Continue,
        }
    }

    /// Goes on with what the service said.
    pub(crate) fn hear_service(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
        result: CalloutResult,
    ) -> Flow {
        let answer = result.map_err(shown).and_then(|response| {
            Answer::read(&response.body).map_err(|_| "an answer that is none".to_owned())
        });
        match answer {
            Ok(answer) => self.heed(answer, stream, exchange, host),
            Err(failure) => self.do_without(&failure, stream, exchange, host),
        }
    }

    fn heed(&self, answer: Answer, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let (mut refusing, mut violated, mut wait) = (None, Vec::new(), Some(0));
        let asked = stream.subjects.iter_mut().filter(|subject| subject.descriptor.is_some());
        for (place, subject) in asked.enumerate() {
            let Some(limiter) = self.limits.get(subject.limit) else { continue };
            let status = answer.status(place);
            subject.status = Some(status);
            let hits = subject.descriptor.as_ref().map_or(1, |descriptor| descriptor.hits);
            if !status.refuses(hits) {
                limiter.count(Event::Allowed, host);
                continue;
            }
            match limiter.refuse(Cause::Undecided, None, host) {
                Ruling::Refuse(..) => {
                    refusing.get_or_insert(subject.limit);
                    violated.push(limiter.policies.service().to_owned());
                    wait = wait.zip(status.until_reset).map(|(wait, reset)| wait.max(reset));
                }
                _ => self.publish(limiter, host),
            }
        }
        stream.passed_on = answer.response_headers;
        let Some(place) = refusing else {
            put(&answer.request_headers, exchange.request_mut());
            return Flow::Continue;
        };
        let view = View::new(exchange, host, self.client);
        let cause = self.for_all(Cause::Exceeded(violated, wait), None, &view, Some(host.now()), host);
        let body = String::from_utf8(answer.body).ok().filter(|body| !body.is_empty());
        self.refuse(place, &cause, None, body, stream, exchange, host)
    }

    /// The service did not answer.
    fn do_without(
        &self,
        failure: &str,
        stream: &mut Stream,
        exchange: &mut Exchange,
        host: &dyn Host,
    ) -> Flow {
        log::warn!("rate_limit: the rate limit service: {failure}");
        let on_error = self.service.as_ref().map_or(Otherwise::Deny, |service| service.on_error);
        let mut refusing = None;
        for subject in stream.subjects.iter().filter(|subject| subject.descriptor.is_some()) {
            let Some(limiter) = self.limits.get(subject.limit) else { continue };
            limiter.count(Event::Error, host);
            if on_error == Otherwise::Deny
                && let Ruling::Refuse(..) = limiter.refuse(Cause::Undecided, None, host)
            {
                refusing.get_or_insert(subject.limit);
            }
        }
        match refusing {
            Some(place) => self.refuse(place, &Cause::Undecided, None, None, stream, exchange, host),
            None => Flow::Continue,
        }
    }

    /// Tells the service what a request turned out to cost; nobody waits for its answer.
    pub(crate) fn tell_service(&self, place: usize, asked: &Descriptor, hits: u64, host: &dyn Host) {
        let (Some(service), Some(limiter)) = (&self.service, self.limits.get(place)) else { return };
        if hits == 0 {
            return;
        }
        let descriptor = Descriptor { entries: asked.entries.clone(), hits };
        match host.dispatch(&call(service, &[descriptor])) {
            Ok(token) => self.told.borrow_mut().push((token, place)),
            Err(error) => {
                log::warn!("rate_limit: the rate limit service was not told of a cost: {error}");
                limiter.count(Event::Error, host);
            }
        }
    }

    /// Whether the service heard of a cost.
    pub(crate) fn heard_of_cost(&self, host: &dyn Host, token: CallToken, result: &CalloutResult) {
        let mut told = self.told.borrow_mut();
        let place = told.iter().position(|(other, _)| *other == token).map(|at| told.swap_remove(at).1);
        if let (Some(limiter), Err(failure)) = (place.and_then(|place| self.limits.get(place)), result) {
            log::warn!("rate_limit: the rate limit service was not told of a cost: {}", shown(*failure));
            limiter.count(Event::Error, host);
        }
    }
}

/// Puts the service's headers in the place of those that are there; it may send several of a name itself.
pub(crate) fn put(from: &[(HeaderName, HeaderValue)], to: &mut Headers) {
    for (place, (name, value)) in from.iter().enumerate() {
        if from.iter().take(place).any(|(earlier, _)| earlier == name) {
            to.append(name, value);
        } else {
            to.set(name, value);
        }
    }
}

fn shown(failure: CalloutFailure) -> String {
    match failure {
        CalloutFailure::NotSent(error) => format!("not asked: {error}"),
        CalloutFailure::NoAnswer => "no answer".to_owned(),
        CalloutFailure::Grpc(status) => format!("gRPC status {status}"),
    }
}
