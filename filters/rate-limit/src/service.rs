//! Envoy's rate limit protocol: `envoy.service.ratelimit.v3` over gRPC.
//!
//! The messages are those of `envoy/service/ratelimit/v3/rls.proto` and
//! `envoy/extensions/common/ratelimit/v3/ratelimit.proto`.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Callout, GrpcCall};
use tidegate_protobuf::{Malformed, Message, Value, fields};

use crate::config;

/// What a limit asks the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Keys and values.
    pub(crate) entries: Vec<(String, String)>,
    /// How much the request costs; 0 only looks whether something is left.
    pub(crate) hits: u64,
}

/// What the service said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    over_limit: bool,
    /// One for each descriptor, in their order.
    pub(crate) statuses: Vec<Status>,
    pub(crate) response_headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) request_headers: Vec<(HeaderName, HeaderValue)>,
    /// A body for refusals.
    pub(crate) body: Vec<u8>,
}

/// What the service said of one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Status {
    over_limit: bool,
    /// Requests per unit of time, and that unit in seconds; none if no limit of the service applies.
    pub(crate) limit: Option<(u64, u64)>,
    pub(crate) remaining: u64,
    /// Nanoseconds until the limit is whole again.
    pub(crate) until_reset: Option<u64>,
}

/// The call that asks the service about these descriptors.
pub(crate) fn call(service: &config::Service, descriptors: &[Descriptor]) -> Callout {
    Callout::Grpc(GrpcCall {
        cluster: service.cluster.clone(),
        service: "envoy.service.ratelimit.v3.RateLimitService",
        method: "ShouldRateLimit",
        metadata: Vec::new(),
        message: request(&service.domain, descriptors),
        timeout: service.timeout,
    })
}

/// `RateLimitRequest { domain = 1; repeated descriptors = 2; uint32 hits_addend = 3; }`
fn request(domain: &str, descriptors: &[Descriptor]) -> Vec<u8> {
    let mut request = Message::new();
    request.bytes(1, domain.as_bytes());
    // Services from before descriptors had costs of their own know only one for all of them. There 0 means 1.
    let first = descriptors.first().map_or(1, |descriptor| descriptor.hits);
    let common = u32::try_from(first)
        .ok()
        .filter(|hits| *hits > 0 && descriptors.iter().all(|descriptor| descriptor.hits == u64::from(*hits)));
    for Descriptor { entries, hits } in descriptors {
        // `RateLimitDescriptor { repeated Entry entries = 1; UInt64Value hits_addend = 3; }`
        let mut descriptor = Message::new();
        for (key, value) in entries {
            let mut entry = Message::new();
            entry.bytes(1, key.as_bytes()).bytes(2, value.as_bytes());
            descriptor.message(1, &entry);
        }
        if common.is_none() {
            let mut wrapped = Message::new();
            wrapped.varint(1, *hits);
            descriptor.message(3, &wrapped);
        }
        request.message(2, &descriptor);
    }
    if let Some(hits) = common {
        request.varint(3, hits.into());
    }
    request.into_bytes()
}

/// `enum Code { UNKNOWN = 0; OK = 1; OVER_LIMIT = 2; }`
const OVER_LIMIT: u64 = 2;

impl Answer {
    /// Reads a `RateLimitResponse`. One without a code is none.
    pub(crate) fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut answer = Self::default();
        let mut code = 0;
        for field in fields(message) {
            match field? {
                (1, Value::Varint(value)) => code = value,
                (2, Value::Bytes(status)) => answer.statuses.push(Status::read(status)?),
                (3, Value::Bytes(header)) => answer.response_headers.extend(read_header(header)?),
                (4, Value::Bytes(header)) => answer.request_headers.extend(read_header(header)?),
                (5, Value::Bytes(body)) => body.clone_into(&mut answer.body),
                _ => {}
            }
        }
        answer.over_limit = code == OVER_LIMIT;
        if code == 0 { Err(Malformed) } else { Ok(answer) }
    }

    /// What was said of the descriptor in this place: by its own status where there is one, else by the code for all.
    pub(crate) fn status(&self, place: usize) -> Status {
        let overall = Status { over_limit: true, ..Status::default() };
        let status = self.statuses.get(place).copied().unwrap_or(overall);
        // Who is over a limit without saying which refuses by all of them.
        let any = !self.statuses.iter().any(|status| status.over_limit);
        // The service as a whole may be in shadow mode: then nothing is over its limit, whatever the statuses say.
        Status { over_limit: self.over_limit && (status.over_limit || any), ..status }
    }
}

impl Status {
    /// Whether a request is refused. One that only looked is, where nothing is left.
    pub(crate) fn refuses(&self, hits: u64) -> bool {
        self.over_limit || (hits == 0 && self.limit.is_some() && self.remaining == 0)
    }

    /// `DescriptorStatus { Code code = 1; RateLimit current_limit = 2; uint32 limit_remaining = 3; Duration
    /// duration_until_reset = 4; }`
    fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut status = Self::default();
        for field in fields(message) {
            match field? {
                (1, Value::Varint(code)) => status.over_limit = code == OVER_LIMIT,
                (2, Value::Bytes(limit)) => status.limit = read_limit(limit)?,
                (3, Value::Varint(remaining)) => status.remaining = remaining,
                (4, Value::Bytes(duration)) => status.until_reset = read_duration(duration)?,
                _ => {}
            }
        }
        Ok(status)
    }
}

/// `RateLimit { uint32 requests_per_unit = 1; Unit unit = 2; }`
fn read_limit(message: &[u8]) -> Result<Option<(u64, u64)>, Malformed> {
    const SECONDS: [u64; 8] = [0, 1, 60, 3_600, 86_400, 30 * 86_400, 365 * 86_400, 7 * 86_400];
    let (mut amount, mut unit) = (0, 0);
    for field in fields(message) {
        match field? {
            (1, Value::Varint(value)) => amount = value,
            (2, Value::Varint(value)) => unit = value,
            _ => {}
        }
    }
    let seconds = usize::try_from(unit).ok().and_then(|unit| SECONDS.get(unit)).copied();
    Ok(seconds.filter(|seconds| *seconds > 0).map(|seconds| (amount, seconds)))
}

/// `Duration { int64 seconds = 1; int32 nanos = 2; }`, in nanoseconds; `None` for one in the past.
fn read_duration(message: &[u8]) -> Result<Option<u64>, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(message) {
        match field? {
            (1, Value::Varint(value)) => seconds = value,
            (2, Value::Varint(value)) => nanos = value,
            _ => {}
        }
    }
    // Negative numbers are the upper half of 64 bits.
    let whole = seconds.checked_mul(1_000_000_000).filter(|_| nanos < 1_000_000_000);
    Ok(whole.and_then(|whole| whole.checked_add(nanos)))
}

/// `HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }`; `None` for what is no header.
fn read_header(message: &[u8]) -> Result<Option<(HeaderName, HeaderValue)>, Malformed> {
    let (mut name, mut value, mut raw): (&[u8], &[u8], &[u8]) = Default::default();
    for field in fields(message) {
        match field? {
            (1, Value::Bytes(bytes)) => name = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            (3, Value::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = std::str::from_utf8(name).ok().and_then(|name| HeaderName::new(name).ok());
    let value = HeaderValue::new(if value.is_empty() { raw } else { value }).ok();
    Ok(name.zip(value))
}

#[cfg(test)]
mod tests;
