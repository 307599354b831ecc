//! What a filter answers: go on, reply, or ask somebody first.

use tidegate_config::{HeaderName, HeaderValue};

use crate::headers::HeaderBlock;

/// What shall happen to the request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It goes on, with the edits collected on the exchange.
    Continue,
    /// It is answered here; edits to it are dropped.
    Reply(LocalReply),
    /// It waits for an answer, which arrives in [`crate::Filter::on_callout`].
    Call(Callout),
}

/// Status codes of gRPC that a filter replies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum GrpcStatus {
    /// The identity lacks the right.
    PermissionDenied = 7,
    /// A quota is used up.
    ResourceExhausted = 8,
    /// The filter could not decide.
    Unavailable = 14,
    /// No credential, or a bad one.
    Unauthenticated = 16,
}

/// A reply in the upstream's stead. To a gRPC request Envoy sends it as a trailers-only response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub status: u16,
    /// gRPC status: explicit, since Envoy's own mapping makes UNAVAILABLE of a 429.
    pub grpc_status: GrpcStatus,
    /// Headers beside those that Envoy sets itself.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body, and message of a gRPC status. One line of text.
    pub body: &'static str,
    /// Response code details in Envoy's access log.
    pub details: &'static str,
}

/// A request to a named cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callout {
    /// Envoy's name of the cluster.
    pub cluster: String,
    /// Headers, with `:method`, `:path` and `:authority` among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
    /// How long to wait; rounded up to whole milliseconds, since less than one means none.
    pub timeout: std::time::Duration,
}

/// How a callout ended.
pub type CalloutResult = Result<CalloutResponse, CalloutFailure>;

/// An answer to a callout.
#[derive(Debug)]
pub struct CalloutResponse {
    /// Headers, `:status` among them.
    pub headers: HeaderBlock,
    /// Body.
    pub body: Vec<u8>,
}

impl CalloutResponse {
    /// The answer's status, if it has a usable one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let (_, value) = self.headers.iter().find(|(name, _)| *name == b":status")?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

/// Why a callout was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalloutFailure {
    /// It could not be sent: unknown or dead cluster.
    NotSent(crate::HostError),
    /// It was sent, and no whole answer came: timeout, reset, truncation.
    NoAnswer,
}
