//! What the pipeline asks of the host on a filter's behalf.

use tidegate_filter_api::{Callout, Edit, HeaderBlock, Host, HostError, LocalReply};

/// A header map of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
}

/// A host that carries out decisions. Filters see only its [`Host`] half.
pub trait Wire: Host {
    /// The request's headers, all in one call. Empty, not an error, where there are none.
    ///
    /// # Errors
    /// Whatever the host answers but success, and [`HostError::Other`] for a malformed map.
    fn request_headers(&self) -> Result<HeaderBlock, HostError>;

    /// Performs one edit.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn edit(&self, map: Map, edit: Edit<'_>) -> Result<(), HostError>;

    /// Makes Envoy choose the route again.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn clear_route_cache(&self) -> Result<(), HostError>;

    /// Answers in the upstream's stead.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn reply(&self, reply: &LocalReply) -> Result<(), HostError>;

    /// Resets the stream: the last resort when not even a reply can be sent.
    fn reset(&self);

    /// Sends a request to a cluster; the answer arrives later under the token returned.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn call(&self, callout: &Callout) -> Result<u32, HostError>;

    /// Lets a paused request go on.
    fn resume(&self);

    /// The half that filters see.
    fn as_host(&self) -> &dyn Host;
}
