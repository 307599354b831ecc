//! Replies to refused requests. None hints at which part was wrong.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{GrpcStatus, LocalReply};

/// RFC 9110 section 15.5.2 wants a challenge with each 401; API keys have no registered scheme.
pub(crate) fn unauthenticated() -> LocalReply {
    let challenge = HeaderName::new("www-authenticate").ok().zip(HeaderValue::new(*b"ApiKey").ok());
    LocalReply {
        status: 401,
        grpc_status: GrpcStatus::Unauthenticated,
        headers: challenge.into_iter().collect(),
        body: "authentication is required\n".into(),
        details: "tidegate_unauthenticated",
    }
}

pub(crate) fn forbidden() -> LocalReply {
    LocalReply {
        status: 403,
        grpc_status: GrpcStatus::PermissionDenied,
        headers: Vec::new(),
        body: "this is not allowed\n".into(),
        details: "tidegate_forbidden",
    }
}

/// The path can be read in more than one way, so no rule can be sure to have looked at what will be served.
pub(crate) fn ambiguous_path() -> LocalReply {
    LocalReply {
        status: 400,
        grpc_status: GrpcStatus::PermissionDenied,
        headers: Vec::new(),
        body: "the path is ambiguous\n".into(),
        details: "tidegate_ambiguous_path",
    }
}

pub(crate) fn undecided() -> LocalReply {
    LocalReply {
        status: 500,
        grpc_status: GrpcStatus::Unavailable,
        headers: Vec::new(),
        body: "the request could not be checked\n".into(),
        details: "tidegate_auth_error",
    }
}
