//! Clients that can send what well-behaved ones cannot.

mod http1;
mod http2;

pub use http1::{Connection, get};
pub use http2::{Multiplexed, http2};

use std::time::Duration;

/// How long a client waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Without chunk framing.
    pub body: Vec<u8>,
    /// HTTP/2 only.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Reply {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        first(&self.headers, name)
    }

    /// From the trailers, or from the headers of a response without body.
    #[must_use]
    pub fn grpc_status(&self) -> Option<u32> {
        let status = first(&self.trailers, "grpc-status").or_else(|| self.header("grpc-status"))?;
        std::str::from_utf8(status).ok()?.parse().ok()
    }
}

fn first<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
}

impl From<Reply> for tidegate_testkit::scenario::Response {
    fn from(reply: Reply) -> Self {
        let grpc_status = reply.grpc_status();
        let Reply { status, headers, body, .. } = reply;
        Self { status, headers, body, grpc_status, ..Self::default() }.with_echo()
    }
}
