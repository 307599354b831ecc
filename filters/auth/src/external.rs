//! Decisions of a service: over HTTP, or over gRPC by `envoy.service.auth.v3` (as OPA answers it).
//!
//! Whatever the service is told is a part of the key that its answer is remembered under, so no answer is given to a request
//! that the service might have answered otherwise.

mod grpc;
mod http;

use std::rc::Rc;
use std::time::Duration;

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Callout, CalloutResult, Exchange, Host, Timestamp};
use tidegate_matchers::ClientAddress;

use crate::bounded::{Bounded, Digest, Digester};
use crate::identity::{Denial, Identity, Verdict};

/// A decision service.
#[derive(Debug)]
pub(crate) struct External {
    service: Service,
    timeout: Duration,
    allow_on_error: bool,
    /// Which request headers it is told; `None`: all.
    headers: Option<Vec<HeaderName>>,
    /// The header of its answer that names the caller.
    principal_header: Option<HeaderName>,
    /// Headers of its answer that the upstream gets.
    pub(crate) upstream_headers: Vec<HeaderName>,
    /// Headers of its refusal that the client gets.
    client_headers: Vec<HeaderName>,
    remembered: Option<Remembered>,
}

#[derive(Debug)]
enum Service {
    Http(http::Http),
    Grpc(grpc::Grpc),
}

#[derive(Debug)]
struct Remembered {
    ttl: Duration,
    answers: Bounded<(Verdict, Timestamp)>,
    digester: Option<Digester>,
}

/// What the service is told.
struct Question<'e> {
    method: &'e [u8],
    path: &'e [u8],
    host: &'e [u8],
    /// Without port: it changes from connection to connection and says nothing.
    source: Option<String>,
    headers: Vec<(&'e [u8], &'e [u8])>,
}

/// What it said.
enum Answer {
    Allowed(Vec<(String, Vec<u8>)>),
    Denied(u16, Vec<(String, Vec<u8>)>),
}

/// A call whose answer is to be remembered under this digest.
pub(crate) struct Asked {
    pub(crate) callout: Callout,
    pub(crate) digest: Option<Digest>,
}

/// Headers that differ from request to request: with them nothing would ever be remembered, so nothing is told of them.
const PER_REQUEST: [&str; 11] = [
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "b3",
    "x-envoy-attempt-count",
    "x-envoy-expected-rq-timeout-ms",
    "content-length",
];

/// Headers that concern one connection (RFC 9110 section 7.6.1), and those that the client of the call sets itself.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
    "http2-settings",
];

impl External {
    pub(crate) fn start(&mut self, host: &dyn Host) {
        if let Some(remembered) = &mut self.remembered {
            remembered.digester = Digester::new(host);
        }
    }

    /// What is remembered of such a request, or the call that finds out. It is told nothing of headers that are not
    /// `believed`: who is called so by the client alone.
    pub(crate) fn ask(
        &self,
        exchange: &Exchange,
        host: &dyn Host,
        addresses: ClientAddress,
        believed: &dyn Fn(&[u8]) -> bool,
        now: Timestamp,
    ) -> Result<Verdict, Box<Asked>> {
        let question = self.question(exchange, host, addresses, believed);
        let digest = self.remembered.as_ref().and_then(|remembered| {
            remembered.digester.as_ref().map(|digester| digester.digest(question.parts()))
        });
        if let (Some(remembered), Some(digest)) = (&self.remembered, &digest)
            && let Some((verdict, since)) = remembered.answers.get(digest)
            && now >= since
            && now.since(since) < remembered.ttl
        {
            return Ok(verdict);
        }
        let callout = match &self.service {
            Service::Http(http) => http.callout(&question, self.timeout),
            Service::Grpc(grpc) => grpc.callout(&question, self.timeout),
        };
        Err(Box::new(Asked { callout, digest }))
    }

    /// What the answer means. Only an answer that was one is remembered.
    pub(crate) fn answered(&self, result: CalloutResult, digest: Option<Digest>, now: Timestamp) -> Verdict {
        let answer = match &self.service {
            Service::Http(_) => http::answer(result),
            Service::Grpc(_) => grpc::answer(result),
        };
        let verdict = match answer {
            Some(Answer::Allowed(headers)) => self.allowed(&headers),
            Some(Answer::Denied(status, headers)) => {
                Verdict::Denied(Rc::new(Denial { status, headers: chosen(&headers, &self.client_headers) }))
            }
            None if self.allow_on_error => return Verdict::Known(Rc::new(Identity::default())),
            None => return Verdict::Failed("the decision service gives no answer"),
        };
        if let (Some(remembered), Some(digest)) = (&self.remembered, digest) {
            remembered.answers.insert(digest, (verdict.clone(), now));
        }
        verdict
    }

    fn allowed(&self, headers: &[(String, Vec<u8>)]) -> Verdict {
        let named = |header: &HeaderName| {
            let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header.as_str()));
            let value = values.next().map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())?;
            values.next().is_none().then(|| HeaderValue::new(value).ok())?
        };
        let principal = self.principal_header.as_ref().and_then(named);
        Verdict::Known(Rc::new(Identity {
            principal,
            claims: None,
            headers: chosen(headers, &self.upstream_headers),
            parts: Vec::new(),
        }))
    }

    fn question<'e>(
        &self,
        exchange: &'e Exchange,
        host: &dyn Host,
        addresses: ClientAddress,
        believed: &dyn Fn(&[u8]) -> bool,
    ) -> Question<'e> {
        let told = |name: &[u8]| {
            let is = |other: &str| other.as_bytes() == name;
            match &self.headers {
                Some(names) => names.iter().any(|header| is(header.as_str())),
                None => self.remembered.is_none() || !PER_REQUEST.iter().any(|header| is(header)),
            }
        };
        let told = |name: &[u8]| !name.starts_with(b":") && told(name) && believed(name);
        let headers = exchange.request().pairs().filter(|(name, _)| told(name));
        Question {
            method: exchange.method(),
            path: exchange.path(),
            host: exchange.authority(),
            source: addresses.of(exchange, host).map(|address| address.to_string()),
            headers: headers.collect(),
        }
    }
}

impl Question<'_> {
    /// All of it, for a digest.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let source = self.source.as_deref().unwrap_or_default().as_bytes();
        let headers = self.headers.iter().flat_map(|(name, value)| [*name, *value]);
        [self.method, self.path, self.host, source].into_iter().chain(headers)
    }
}

/// The headers of these names, as far as they can stand in a message.
fn chosen(headers: &[(String, Vec<u8>)], names: &[HeaderName]) -> Vec<(HeaderName, HeaderValue)> {
    let wanted = |name: &str| names.iter().find(|wanted| wanted.as_str().eq_ignore_ascii_case(name));
    headers
        .iter()
        .filter_map(|(name, value)| Some((wanted(name)?.clone(), HeaderValue::new(value.as_slice()).ok()?)))
        .collect()
}

impl Decode for External {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        const MOST: i64 = 1_000_000;
        let mut object = cursor.object()?;
        let service = object.one_of(&["http", "grpc"]);
        let service = service.and_then(|variant| {
            let mut object = variant.cursor.object()?;
            let timeout = object.or("timeout", tidegate_config::Duration::from_secs(1));
            let service = match variant.key {
                "http" => http::Http::decode(&mut object).map(Service::Http),
                _ => grpc::Grpc::decode(&mut object).map(Service::Grpc),
            };
            object.finish();
            Some((service?, timeout?.get()))
        });
        let allow_on_error = object
            .get("on_error")
            .map_or(Some(false), |cursor| cursor.word(&[("deny", false), ("allow", true)]));
        let headers = object.get("headers").map_or(Some(None), |cursor| cursor.decode().map(Some));
        let principal_header: Option<Option<HeaderName>> = object.optional("principal_header");
        let upstream_headers = object.or("upstream_headers", Vec::new());
        let client_headers = object
            .get("client_headers")
            .map_or_else(|| HeaderName::new("www-authenticate").ok().map(|name| vec![name]), Cursor::decode);
        let remembered = object.get("cache").map_or(Some(None), |cursor| {
            let mut cache = cursor.object()?;
            let ttl: Option<tidegate_config::Duration> = cache.required("ttl");
            let max = cache.require("max").and_then(|cursor| cursor.integer(1, MOST));
            cache.finish();
            let max = usize::try_from(max?).ok()?;
            Some(Some(Remembered { ttl: ttl?.get(), answers: Bounded::new(max), digester: None }))
        });
        object.finish();
        let (service, timeout) = service?;
        Some(Self {
            service,
            timeout,
            allow_on_error: allow_on_error?,
            headers: headers?,
            principal_header: principal_header?,
            upstream_headers: upstream_headers?,
            client_headers: client_headers?,
            remembered: remembered?,
        })
    }
}
