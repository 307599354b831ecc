//! Ways to prove an identity: one of each configured under `providers`.

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue, Name};
use tidegate_filter_api::{Exchange, Headers, Host, MetricId, MetricKind};

use crate::api_key::ApiKeys;
use crate::basic::Basic;
use crate::credential::Place;
use crate::external::External;
use crate::identity::Verdict;
use crate::jwt::Jwt;
use crate::peer::Peer;
use crate::signed_request::SignedRequests;
use crate::source::Source;

/// A way to prove an identity; its name is a key of the configuration, which rules refer to.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: Name,
    pub(crate) method: Method,
    pub(crate) challenge: Option<Challenge>,
}

/// How an identity is proved.
#[derive(Debug)]
pub(crate) enum Method {
    Jwt(Box<Jwt>),
    ApiKey(ApiKeys),
    Basic(Basic),
    SignedRequest(Box<SignedRequests>),
    Peer(Peer),
    Source(Source),
    External(Box<External>),
}

/// What a 401 says of a provider (RFC 9110 section 11.6.1).
#[derive(Debug)]
pub(crate) struct Challenge {
    /// To a request without credential.
    pub(crate) missing: HeaderValue,
    /// To one with a bad one.
    pub(crate) refused: HeaderValue,
    /// To an identity without the right, in a 403 (RFC 6750 section 3.1).
    pub(crate) forbidden: Option<HeaderValue>,
}

/// What is counted of a provider.
#[derive(Debug)]
pub(crate) struct Counters {
    accepted: Option<MetricId>,
    missing: Option<MetricId>,
    refused: Option<MetricId>,
    failed: Option<MetricId>,
}

impl Provider {
    /// Decodes what stands under `name`.
    pub(crate) fn decode(name: &str, cursor: Cursor<'_>) -> Option<Self> {
        let checked = Name::new(name);
        if checked.is_none() {
            cursor.expected_found::<()>(
                "a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\"",
                format_args!("\"{name}\""),
            );
        }
        let mut object = cursor.object()?;
        let variant = object.one_of(&["jwt", "api_key", "basic", "hmac", "mtls", "source", "external"]);
        object.finish();
        let variant = variant?;
        let called = checked.as_ref();
        let at = match variant.key {
            // Somebody pastes a credential where its digest belongs, or one level too high.
            "api_key" | "basic" | "hmac" => variant.cursor.secret(),
            _ => variant.cursor,
        };
        let method = match variant.key {
            "jwt" => Jwt::decode(at).map(Box::new).map(Method::Jwt),
            "api_key" => ApiKeys::decode(at).map(Method::ApiKey),
            "basic" => Basic::decode(at).map(Method::Basic),
            "hmac" => SignedRequests::decode(at, called).map(Box::new).map(Method::SignedRequest),
            "mtls" => Peer::decode(at).map(Method::Peer),
            "source" => Source::decode(at, called).map(Method::Source),
            _ => External::decode(at).map(Box::new).map(Method::External),
        };
        let (name, method) = (checked?, method?);
        Some(Self { challenge: Challenge::of(&method, &name), name, method })
    }

    /// Takes what only the host has.
    pub(crate) fn start(&mut self, host: &dyn Host) {
        match &mut self.method {
            Method::Jwt(jwt) => jwt.start(host),
            Method::External(external) => external.start(host),
            Method::ApiKey(keys) => keys.start(host),
            Method::Basic(basic) => basic.start(host),
            Method::SignedRequest(_) | Method::Peer(_) | Method::Source(_) => {}
        }
    }

    /// Where its credentials stand.
    pub(crate) fn places(&self) -> &[Place] {
        match &self.method {
            Method::Jwt(jwt) => &jwt.from,
            Method::ApiKey(keys) => &keys.from,
            Method::Basic(basic) => &basic.from,
            Method::SignedRequest(signed) => std::slice::from_ref(&signed.from),
            Method::Peer(_) | Method::Source(_) | Method::External(_) => &[],
        }
    }

    /// Headers that only this filter and what it trusts may write.
    pub(crate) fn identity_headers(&self) -> &[HeaderName] {
        match &self.method {
            Method::External(external) => &external.upstream_headers,
            _ => &[],
        }
    }

    /// Takes headers away that name a workload and come from a peer that is not trusted to; from one that is, what it would
    /// never write: other spellings of them.
    pub(crate) fn remove_untrusted(&self, exchange: &mut Exchange, host: &dyn Host) {
        if let Method::Peer(peer) = &self.method {
            let headers: Vec<HeaderName> = peer.untrusted(exchange, host).cloned().collect();
            let request: &mut Headers = exchange.request_mut();
            headers.iter().for_each(|header| request.remove(header));
            peer.header_names().for_each(|header| request.remove_twins(header));
        }
    }

    /// Whether there are peers whose word in this header counts.
    pub(crate) fn may_believe(&self, header: &HeaderName) -> bool {
        matches!(&self.method, Method::Peer(peer) if peer.header_names().any(|name| name == header))
    }

    /// Whether the request's header of this name may be believed, as far as this provider can tell.
    pub(crate) fn believes(&self, name: &[u8], exchange: &Exchange, host: &dyn Host) -> bool {
        match &self.method {
            Method::Peer(peer) => peer.believes(name, exchange, host),
            _ => true,
        }
    }
}

impl Challenge {
    fn of(method: &Method, name: &Name) -> Option<Self> {
        let value = |text: String| HeaderValue::new(text.into_bytes()).ok();
        let alike = |text: String| {
            let value = value(text)?;
            Some(Self { missing: value.clone(), refused: value, forbidden: None })
        };
        match method {
            Method::Jwt(_) => Some(Self {
                // RFC 6750 section 3.1: no error code where there was no token.
                missing: value(format!("Bearer realm=\"{name}\""))?,
                refused: value(format!("Bearer realm=\"{name}\", error=\"invalid_token\""))?,
                forbidden: value(format!("Bearer realm=\"{name}\", error=\"insufficient_scope\"")),
            }),
            Method::Basic(_) => alike(format!("Basic realm=\"{name}\", charset=\"UTF-8\"")),
            // No scheme is registered for these two.
            Method::ApiKey(_) => alike("ApiKey".to_owned()),
            Method::SignedRequest(_) => alike("Hmac".to_owned()),
            Method::Peer(_) | Method::Source(_) | Method::External(_) => None,
        }
    }
}

impl Counters {
    pub(crate) fn define(provider: &Name, host: &dyn Host) -> Self {
        let define = |what: &str| {
            let name = format!("tidegate.auth.provider.{provider}.{what}");
            host.define_metric(MetricKind::Counter, &name).ok()
        };
        Self {
            accepted: define("accepted"),
            missing: define("missing"),
            refused: define("refused"),
            failed: define("failed"),
        }
    }

    pub(crate) fn count(&self, verdict: &Verdict, host: &dyn Host) {
        let metric = match verdict {
            Verdict::Known(_) => self.accepted,
            Verdict::Missing => self.missing,
            Verdict::Refused(_) | Verdict::Denied(_) => self.refused,
            Verdict::Failed(_) => self.failed,
        };
        if let Some(metric) = metric {
            host.add(metric, 1);
        }
    }
}
