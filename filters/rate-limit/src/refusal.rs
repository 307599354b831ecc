//! What refused requests are answered with.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, GrpcStatus, LocalReply};

use crate::config::{Body, Reply};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Quotas of these names have too little left; how many nanoseconds to wait, if that is known.
    Exceeded(Vec<String>, Option<u64>),
    /// It lacks what it would be counted by.
    MissingKey,
    /// There is no room to count it in.
    TableFull,
    /// Its path can be read in more ways than can be looked at.
    Unreadable,
    /// Nobody could say.
    Undecided,
}

const SECOND: u64 = 1_000_000_000;

/// The reply to a request that is refused for `cause`, with `others` among its headers. A body that the rate limit
/// service sent stands where the configuration asks for nothing in particular.
pub(crate) fn refuse(
    reply: &Reply,
    cause: &Cause,
    others: Vec<(HeaderName, HeaderValue)>,
    body: Option<String>,
    exchange: &Exchange,
) -> LocalReply {
    let (status, grpc_status, details) = match cause {
        Cause::Undecided => (503, GrpcStatus::Unavailable, "tidegate_rate_limit_error"),
        Cause::Unreadable => (400, GrpcStatus::Internal, "tidegate_ambiguous_path"),
        _ => (reply.status, GrpcStatus::ResourceExhausted, "tidegate_rate_limited"),
    };
    let limited = !matches!(cause, Cause::Undecided | Cause::Unreadable);
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    let mut add = |name: &str, value: HeaderValue| {
        headers.extend(HeaderName::new(name).ok().map(|name| (name, value)));
    };
    if let Cause::Exceeded(_, Some(wait)) = cause {
        // Whole seconds (RFC 9110 section 10.2.3), rounded up: who comes then is admitted.
        add("retry-after", HeaderValue::from(wait.div_ceil(SECOND)));
    }
    if limited && let Ok(value) = HeaderValue::new(*b"true") {
        // Tells Envoys on the way that a retry would only add to the load.
        add("x-envoy-ratelimited", value);
    }
    // To a gRPC request the body becomes the status message, and Envoy sets the content type.
    let grpc = exchange.request().values("content-type").any(|kind| kind.starts_with(b"application/grpc"));
    let body = match (&reply.body, body) {
        (Body::Problem, _) if !grpc => {
            if let Ok(kind) = HeaderValue::new(*b"application/problem+json") {
                add("content-type", kind);
            }
            problem(status, cause).into()
        }
        (Body::Custom { text, content_type }, _) if limited => {
            if let Some(kind) = content_type.clone().filter(|_| !grpc) {
                add("content-type", kind);
            }
            text.clone().into()
        }
        (Body::Plain, Some(body)) => body.into(),
        _ => plain(cause).into(),
    };
    let own = headers.len();
    for (name, value) in others {
        // Never two of a name: the service may have sent one of these as well.
        if !headers.iter().take(own).any(|(own, _)| *own == name) {
            headers.push((name, value));
        }
    }
    LocalReply { status, grpc_status, headers, body, details }
}

fn plain(cause: &Cause) -> &'static str {
    match cause {
        Cause::Exceeded(..) => "too many requests\n",
        Cause::MissingKey => "the request lacks what it would be counted by\n",
        Cause::TableFull => "there is no room to count the request in\n",
        Cause::Unreadable => "the path can be read in too many ways\n",
        Cause::Undecided => "the rate limit could not be checked\n",
    }
}

/// Problem details (RFC 9457), with the types of draft-ietf-httpapi-ratelimit-headers-11 section 5 where they fit.
fn problem(status: u16, cause: &Cause) -> String {
    const TYPES: &str = "https://iana.org/assignments/http-problem-types#";
    let (kind, title, violated) = match cause {
        Cause::Exceeded(violated, _) => (
            "quota-exceeded",
            "Request cannot be satisfied as assigned quota has been exceeded",
            violated.as_slice(),
        ),
        Cause::TableFull => (
            "temporary-reduced-capacity",
            "Request cannot be satisfied due to temporary server capacity constraints",
            [].as_slice(),
        ),
        Cause::MissingKey => ("", "Request lacks what it would be counted by", [].as_slice()),
        Cause::Unreadable => ("", "The path can be read in too many ways", [].as_slice()),
        Cause::Undecided => ("", "The rate limit could not be checked", [].as_slice()),
    };
    let mut body = String::from("{\"type\":\"");
    body.push_str(if kind.is_empty() { "about:blank" } else { TYPES });
    body.push_str(kind);
    // Titles and names of policies hold nothing that JSON would escape.
    body.push_str("\",\"title\":\"");
    body.push_str(title);
    body.push_str(&format!("\",\"status\":{status}"));
    if !kind.is_empty() {
        let names: Vec<String> = violated.iter().map(|name| format!("\"{name}\"")).collect();
        body.push_str(&format!(",\"violated-policies\":[{}]", names.join(",")));
    }
    body.push_str("}\n");
    body
}
