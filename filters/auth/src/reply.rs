//! Replies to refused requests. None hints at which part was wrong beyond what the standards ask for.
//!
//! Bodies are problem details (RFC 9457) of type `about:blank`, which say what the status says. A gRPC caller gets the body
//! as its message, so there it is a plain text.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, GrpcStatus, LocalReply};

use crate::identity::Denial;

/// What a refusal looks like.
struct Face {
    status: u16,
    grpc: GrpcStatus,
    text: &'static str,
    problem: &'static str,
    details: &'static str,
}

const UNAUTHENTICATED: Face = Face {
    status: 401,
    grpc: GrpcStatus::Unauthenticated,
    text: "authentication is required",
    problem: r#"{"type":"about:blank","title":"Unauthorized","status":401}"#,
    details: "tidegate_unauthenticated",
};

const FORBIDDEN: Face = Face {
    status: 403,
    grpc: GrpcStatus::PermissionDenied,
    text: "this is not allowed",
    problem: r#"{"type":"about:blank","title":"Forbidden","status":403}"#,
    details: "tidegate_forbidden",
};

const AMBIGUOUS_PATH: Face = Face {
    status: 400,
    grpc: GrpcStatus::PermissionDenied,
    text: "the path is ambiguous",
    problem: r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"the path is ambiguous"}"#,
    details: "tidegate_ambiguous_path",
};

const UNDECIDED: Face = Face {
    status: 503,
    grpc: GrpcStatus::Unavailable,
    text: "the request could not be checked",
    problem: r#"{"type":"about:blank","title":"Service Unavailable","status":503}"#,
    details: "tidegate_auth_undecided",
};

const BROKEN: Face = Face {
    status: 500,
    grpc: GrpcStatus::Unavailable,
    text: "the request could not be checked",
    problem: r#"{"type":"about:blank","title":"Internal Server Error","status":500}"#,
    details: "tidegate_auth_error",
};

impl Face {
    fn reply(&self, exchange: &Exchange, headers: Vec<(HeaderName, HeaderValue)>) -> LocalReply {
        let mut headers = headers;
        let grpc = is_grpc(exchange);
        if !grpc {
            headers.extend(header("content-type", b"application/problem+json"));
        }
        LocalReply {
            status: self.status,
            grpc_status: self.grpc,
            headers,
            body: if grpc { self.text } else { self.problem }.into(),
            details: self.details,
        }
    }
}

/// No credential, or a bad one. RFC 9110 section 15.5.2 wants a challenge with each.
pub(crate) fn unauthenticated(exchange: &Exchange, challenges: &[&HeaderValue]) -> LocalReply {
    UNAUTHENTICATED.reply(exchange, challenged(challenges))
}

/// An identity without the right, or nobody's right.
pub(crate) fn forbidden(exchange: &Exchange, challenges: &[&HeaderValue]) -> LocalReply {
    FORBIDDEN.reply(exchange, challenged(challenges))
}

/// The path can be read in more than one way, so no rule can be sure to have looked at what will be served.
pub(crate) fn ambiguous_path(exchange: &Exchange) -> LocalReply {
    AMBIGUOUS_PATH.reply(exchange, Vec::new())
}

/// What is needed to decide does not answer.
pub(crate) fn undecided(exchange: &Exchange) -> LocalReply {
    UNDECIDED.reply(exchange, Vec::new())
}

/// The host does not do what handing on needs.
pub(crate) fn broken(exchange: &Exchange) -> LocalReply {
    BROKEN.reply(exchange, Vec::new())
}

/// A decision service's refusal, as it wants it.
pub(crate) fn denied(exchange: &Exchange, denial: &Denial) -> LocalReply {
    let face = if denial.status == 401 { UNAUTHENTICATED } else { FORBIDDEN };
    let mut reply = face.reply(exchange, denial.headers.clone());
    if denial.status != reply.status {
        reply.status = denial.status;
        // The problem's own status would be another.
        reply.body = face.text.into();
        reply.headers.retain(|(name, _)| name.as_str() != "content-type");
    }
    reply
}

fn challenged(challenges: &[&HeaderValue]) -> Vec<(HeaderName, HeaderValue)> {
    let Ok(name) = HeaderName::new("www-authenticate") else { return Vec::new() };
    challenges.iter().map(|challenge| (name.clone(), (*challenge).clone())).collect()
}

fn header(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    HeaderName::new(name).ok().zip(HeaderValue::new(value).ok())
}

fn is_grpc(exchange: &Exchange) -> bool {
    exchange.request().first("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
