//! What the pipeline asks of the host on a filter's behalf.

use tidegate_filter_api::{CallToken, Callout, Edit, Host, HostError, LocalReply};

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

    /// Makes a call on the stream's behalf; its end comes later, under the token returned.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn call(&self, callout: &Callout) -> Result<CallToken, HostError>;

    /// Whether a call made by [`Host::dispatch`] has not ended yet.
    fn is_under_way(&self, token: CallToken) -> bool;

    /// At most `most` bytes of the request's body as held so far, from byte `start` on.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn request_body(&self, start: usize, most: usize) -> Result<Box<[u8]>, HostError>;

    /// At most `most` bytes of the piece of the response's body that passes now.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn response_body(&self, most: usize) -> Result<Box<[u8]>, HostError>;

    /// Lets a paused request go on.
    fn resume(&self);

    /// The half that filters see.
    fn as_host(&self) -> &dyn Host;
}
