//! What a filter answers: go on, reply, or ask somebody first.

use std::borrow::Cow;
use std::time::Duration;

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
    /// It waits for the end of a call that was dispatched already, on nobody's behalf or somebody else's. When
    /// [`crate::Filter::on_dispatched`] has seen the answer, [`crate::Filter::on_awaited`] goes on.
    Await(CallToken),
    /// It is held until its body has been read, which arrives in [`crate::Filter::on_request_body`]. Envoy calls that
    /// for a held request only where the plugin's configuration has `allow_on_headers_stop_iteration: true`.
    ReadBody,
}

/// A piece of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPiece<'a> {
    /// What arrived since the last piece. May be empty.
    pub bytes: &'a [u8],
    /// Whether nothing follows.
    pub end: bool,
}

/// Status codes of gRPC that a filter replies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum GrpcStatus {
    /// Nothing else fits.
    Unknown = 2,
    /// The identity lacks the right.
    PermissionDenied = 7,
    /// A quota is used up.
    ResourceExhausted = 8,
    /// There is no such method.
    Unimplemented = 12,
    /// The request is not as it has to be.
    Internal = 13,
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
    /// Body, and message of a gRPC status.
    pub body: Cow<'static, str>,
    /// Response code details in Envoy's access log.
    pub details: &'static str,
}

/// A call to a named cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callout {
    /// An HTTP request.
    Http(HttpCall),
    /// A unary gRPC call.
    Grpc(GrpcCall),
}

/// An HTTP request to a named cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// Envoy's name of the cluster.
    pub cluster: String,
    /// Headers, with `:method`, `:path` and `:authority` among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
    /// How long to wait; rounded up to whole milliseconds, since less than one means none.
    pub timeout: Duration,
}

/// A unary gRPC call to a named cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// Envoy's name of the cluster.
    pub cluster: String,
    /// `envoy.service.ratelimit.v3.RateLimitService`
    pub service: &'static str,
    /// `ShouldRateLimit`
    pub method: &'static str,
    /// Metadata sent with it.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// The request, serialised.
    pub message: Vec<u8>,
    /// How long to wait; rounded up to whole milliseconds, since less than one means none.
    pub timeout: Duration,
}

/// A call on its way. The host numbers HTTP and gRPC calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallToken {
    /// An HTTP request.
    Http(u32),
    /// A gRPC call.
    Grpc(u32),
}

/// How a callout ended.
pub type CalloutResult = Result<CalloutResponse, CalloutFailure>;

/// An answer to a callout.
#[derive(Debug)]
pub struct CalloutResponse {
    /// Headers, `:status` among them; of a gRPC call none.
    pub headers: HeaderBlock,
    /// Body; of a gRPC call the message, serialised.
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
    /// It was sent, and no whole answer came. Envoy answers most failures of HTTP calls itself, as it would a client: 504
    /// for a timeout, 503 for a reset, 502 for garbage.
    NoAnswer,
    /// The gRPC call ended with this status and without a message. Envoy makes 14 of a reset and of a timeout alike.
    Grpc(u32),
}
