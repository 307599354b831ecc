//! What a filter may ask of its host.

use std::fmt;

use tidegate_config::HeaderName;

use crate::flow::{CallToken, Callout};
use crate::headers::HeaderBlock;

/// A point in time: nanoseconds since 1970-01-01 UTC, as the host's clock tells it. It can jump both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to here; zero if the clock went backwards in between.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time.
pub trait Clock {
    /// Now. In Envoy a host call (0.6 µs): ask once, and only where the answer counts.
    fn now(&self) -> Timestamp;
}

/// A host call that did not do what was asked: the status as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// There is no such thing (status 1).
    NotFound,
    /// The host did not like an argument, such as an unknown cluster (status 2).
    BadArgument,
    /// Another worker changed the value in between (status 8).
    CasMismatch,
    /// The host could not do it now, such as calling a dead cluster (status 10).
    InternalFailure,
    /// The host does not offer this call (status 12).
    Unimplemented,
    /// Any other status, including those that no ABI names.
    Other(u32),
}

impl HostError {
    /// The error that `status` stands for; 0 is success and not an error.
    #[must_use]
    pub fn from_status(status: u32) -> Option<Self> {
        Some(match status {
            0 => return None,
            1 => Self::NotFound,
            2 => Self::BadArgument,
            8 => Self::CasMismatch,
            10 => Self::InternalFailure,
            12 => Self::Unimplemented,
            other => Self::Other(other),
        })
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("not found"),
            Self::BadArgument => formatter.write_str("bad argument"),
            Self::CasMismatch => formatter.write_str("changed in between"),
            Self::InternalFailure => formatter.write_str("internal failure"),
            Self::Unimplemented => formatter.write_str("not offered by this host"),
            Self::Other(status) => write!(formatter, "status {status}"),
        }
    }
}

impl std::error::Error for HostError {}

/// The version of a shared value, for compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cas(pub u32);

/// A value that all workers of the process share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedValue {
    /// Whatever was stored: check before believing it, other plugins may share the namespace.
    pub bytes: Vec<u8>,
    /// The value's version.
    pub cas: Cas,
}

/// An attribute of Envoy, its path serialised once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property(&'static [u8]);

impl Property {
    /// Address and port of the peer: `127.0.0.1:4321`.
    pub const SOURCE_ADDRESS: Self = Self(b"source\0address");
    /// Name of the route chosen; empty if it has none.
    pub const ROUTE_NAME: Self = Self(b"xds\0route_name");
    /// Name of the cluster that the request went to, or was to go to.
    pub const UPSTREAM_CLUSTER: Self = Self(b"xds\0cluster_name");
    /// Address and port of the upstream host.
    pub const UPSTREAM_ADDRESS: Self = Self(b"upstream\0address");
    /// Why the response is what it is: `via_upstream`, `cluster_not_found`, `route_not_found`, a filter's own word…
    pub const RESPONSE_CODE_DETAILS: Self = Self(b"response\0code_details");
    /// Time from the request's start to its end in nanoseconds, as a little-endian 64-bit integer.
    pub const REQUEST_DURATION: Self = Self(b"request\0duration");
    /// When the request's first byte arrived: nanoseconds since 1970, as a little-endian 64-bit integer.
    pub const REQUEST_TIME: Self = Self(b"request\0time");
    /// `:method`; like all that is said of the request's headers, gone between request and log phase.
    pub const REQUEST_METHOD: Self = Self(b"request\0method");
    /// `:authority`.
    pub const REQUEST_HOST: Self = Self(b"request\0host");
    /// `:scheme`.
    pub const REQUEST_SCHEME: Self = Self(b"request\0scheme");
    /// The request's `content-type`.
    pub const REQUEST_CONTENT_TYPE: Self = Self(b"request\0headers\0content-type");
    /// `HTTP/1.1`, `HTTP/2`
    pub const REQUEST_PROTOCOL: Self = Self(b"request\0protocol");
    /// Bytes of the request's body as received (while its headers are there: as announced), as a little-endian 64-bit
    /// integer.
    pub const REQUEST_SIZE: Self = Self(b"request\0size");
    /// Bytes of the response's body, as a little-endian 64-bit integer.
    pub const RESPONSE_SIZE: Self = Self(b"response\0size");
    /// The status of a gRPC call, as a little-endian 64-bit integer. Of other requests Envoy says what the HTTP status
    /// would be in gRPC.
    pub const GRPC_STATUS: Self = Self(b"response\0grpc_status");
    /// What went wrong, as a little-endian 64-bit integer: a bit for each of Envoy's response flags.
    pub const RESPONSE_FLAGS: Self = Self(b"response\0flags");
    /// The region that the proxy was told it runs in.
    pub const NODE_REGION: Self = Self(b"xds\0node\0locality\0region");
    /// The zone that the proxy was told it runs in.
    pub const NODE_ZONE: Self = Self(b"xds\0node\0locality\0zone");
    /// The part of the zone that the proxy was told it runs in.
    pub const NODE_SUB_ZONE: Self = Self(b"xds\0node\0locality\0sub_zone");
    /// The service that the proxy was told it belongs to.
    pub const NODE_CLUSTER: Self = Self(b"xds\0node\0cluster");
    /// What the proxy was told it is called.
    pub const NODE_ID: Self = Self(b"xds\0node\0id");
    /// The name of the plugin's configuration: what tells two plugins of a proxy apart.
    pub const PLUGIN_NAME: Self = Self(b"plugin_name");
    /// Whether the peer presented a certificate: one byte, 1 if so.
    pub const PEER_HAS_CERTIFICATE: Self = Self(b"connection\0mtls");
    /// The first URI among the names of the peer's certificate.
    pub const PEER_URI: Self = Self(b"connection\0uri_san_peer_certificate");
    /// The version of TLS, where Envoy itself decrypts the connection.
    pub const TLS_VERSION: Self = Self(b"connection\0tls_version");
    /// The principal that `auth` established, as filter state: no client can set it.
    pub const PRINCIPAL: Self = Self(b"tg.principal");
    /// The claims of the principal, a JSON object, as filter state.
    pub const CLAIMS: Self = Self(b"tg.claims");
    /// The route that `header-routing` chose, as filter state: Envoy sees it as `wasm.tg.route`.
    pub const ROUTE: Self = Self(b"tg.route");
    /// Name of the rule by which `header-routing` chose, or the rule's mark, as filter state.
    pub const ROUTING_RULE: Self = Self(b"tg.routing_rule");
    /// Name of the arm of a split that `header-routing` chose, as filter state.
    pub const ROUTING_ARM: Self = Self(b"tg.routing_arm");
    /// Name of the rule by which `auth` decided, as filter state.
    pub const AUTH_RULE: Self = Self(b"tg.auth_rule");
    /// Name of the limit by which `rate-limit` refused, or would have in shadow mode, as filter state.
    pub const LIMIT: Self = Self(b"tg.limit");

    /// The path as the ABI wants it: its parts, NUL between them.
    #[must_use]
    pub fn path(self) -> &'static [u8] {
        self.0
    }
}

/// A metric that was defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub u32);

/// What a metric does with the numbers it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Adds them.
    Counter,
    /// Goes up and down; one value for all workers.
    Gauge,
    /// Keeps their distribution; whole numbers only.
    Histogram,
}

/// What a filter may ask of its host.
pub trait Host: Clock {
    /// The shared value under `key`, or `None` if nobody has stored one.
    ///
    /// # Errors
    /// Whatever the host answers but success and "not found".
    fn shared(&self, key: &[u8]) -> Result<Option<SharedValue>, HostError>;

    /// Stores a shared value, if its version is still `expected`; `None` expects that nobody has stored one. Keys are
    /// never freed: the set of keys must be bounded.
    ///
    /// # Errors
    /// [`HostError::CasMismatch`] if another worker was faster.
    fn set_shared(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> Result<(), HostError>;

    /// Sixteen bytes that nobody can guess.
    ///
    /// # Errors
    /// If the host has no source of randomness.
    fn random(&self) -> Result<[u8; 16], HostError>;

    /// A variable of the environment that the module was given (`vm_config.environment_variables`): the same in every
    /// worker.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;

    /// An attribute; `None` if it is not there.
    fn property(&self, property: Property) -> Option<Vec<u8>>;

    /// Sets filter state of this exchange, which Envoy's routes and later filters can see and clients cannot forge.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn set_property(&self, property: Property, value: &[u8]) -> Result<(), HostError>;

    /// Defines a metric. Each call makes a new id that is never freed, even for a name defined before: define once.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;

    /// Adds to a counter or gauge.
    fn add(&self, metric: MetricId, delta: i64);

    /// Records a value in a histogram, or sets a gauge, which has one value for all workers.
    fn record(&self, metric: MetricId, value: u64);

    /// Reads request headers: when they arrive, and when the exchange has ended, as the upstream got them. In between the
    /// host no longer gives them. Empty, not an error, where there are none.
    ///
    /// # Errors
    /// Whatever the host answers but success, and [`HostError::Other`] for a malformed map.
    fn request_headers(&self) -> Result<HeaderBlock, HostError>;

    /// One header of the request, its values joined by commas: where one or two are wanted, it costs less than reading all
    /// of them. Given when [`Host::request_headers`] is.
    fn request_header(&self, name: &HeaderName) -> Option<Vec<u8>>;

    /// The status that the client got, when the exchange has ended; `None` if it got none.
    fn response_status(&self) -> Option<u16>;

    /// Reads response headers: when they arrive, and when the exchange has ended.
    ///
    /// # Errors
    /// Whatever the host answers but success.
    fn response_headers(&self) -> Result<HeaderBlock, HostError>;

    /// Starts a call on no exchange's behalf; its end is told to [`crate::Filter::on_dispatched`].
    ///
    /// # Errors
    /// Whatever the host answers but success: an unknown or dead cluster.
    fn dispatch(&self, callout: &Callout) -> Result<CallToken, HostError>;

    /// Calls a function that this host offers beyond the ABI, such as Envoy's `verify_signature`.
    ///
    /// # Errors
    /// [`HostError::NotFound`] where the host has no such function, and whatever else it answers but success.
    fn call_foreign(&self, function: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError>;
}
