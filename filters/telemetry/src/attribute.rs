//! What labels, log fields and spans can say about an exchange.

/// An attribute, by the name it has in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Attribute {
    RouteName,
    UpstreamCluster,
    UpstreamAddress,
    Host,
    Method,
    Scheme,
    Protocol,
    ProtocolVersion,
    Path,
    Query,
    PathTemplate,
    Status,
    StatusClass,
    GrpcStatus,
    ErrorType,
    ResponseFlags,
    ResponseDetails,
    Duration,
    TimeToFirstByte,
    RequestBytes,
    ResponseBytes,
    Time,
    Source,
    SourceLocality,
    Principal,
    Limit,
    AuthRule,
    RoutingRule,
    RoutingArm,
    Decision,
    TraceId,
    SpanId,
}

/// How many values an attribute has, and when it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Few values, known when the request arrives.
    Early,
    /// Few values, known when the exchange has ended.
    Late,
    /// A value of its own for nearly every request: in logs only.
    Single,
}

const ALL: [(&str, Attribute, Nature); 32] = [
    ("route_name", Attribute::RouteName, Nature::Early),
    ("upstream_cluster", Attribute::UpstreamCluster, Nature::Late),
    ("upstream_address", Attribute::UpstreamAddress, Nature::Late),
    ("host", Attribute::Host, Nature::Early),
    ("method", Attribute::Method, Nature::Early),
    ("scheme", Attribute::Scheme, Nature::Early),
    ("protocol", Attribute::Protocol, Nature::Early),
    ("protocol_version", Attribute::ProtocolVersion, Nature::Early),
    ("path", Attribute::Path, Nature::Single),
    ("query", Attribute::Query, Nature::Single),
    ("path_template", Attribute::PathTemplate, Nature::Early),
    ("status", Attribute::Status, Nature::Late),
    ("status_class", Attribute::StatusClass, Nature::Late),
    ("grpc_status", Attribute::GrpcStatus, Nature::Late),
    ("error_type", Attribute::ErrorType, Nature::Late),
    ("response_flags", Attribute::ResponseFlags, Nature::Late),
    ("response_details", Attribute::ResponseDetails, Nature::Late),
    ("duration", Attribute::Duration, Nature::Single),
    ("time_to_first_byte", Attribute::TimeToFirstByte, Nature::Single),
    ("request_bytes", Attribute::RequestBytes, Nature::Single),
    ("response_bytes", Attribute::ResponseBytes, Nature::Single),
    ("time", Attribute::Time, Nature::Single),
    ("source", Attribute::Source, Nature::Single),
    ("source_locality", Attribute::SourceLocality, Nature::Early),
    ("principal", Attribute::Principal, Nature::Late),
    ("limit", Attribute::Limit, Nature::Late),
    ("auth_rule", Attribute::AuthRule, Nature::Late),
    ("routing_rule", Attribute::RoutingRule, Nature::Late),
    ("routing_arm", Attribute::RoutingArm, Nature::Late),
    ("decision", Attribute::Decision, Nature::Single),
    ("trace_id", Attribute::TraceId, Nature::Single),
    ("span_id", Attribute::SpanId, Nature::Single),
];

impl Attribute {
    /// The attribute of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, ..)| *known == name).map(|(_, attribute, _)| *attribute)
    }

    /// The name of each attribute that `wanted` says yes to.
    pub(crate) fn names(wanted: impl Fn(Self) -> bool) -> impl Iterator<Item = &'static str> {
        ALL.into_iter().filter(move |(_, attribute, _)| wanted(*attribute)).map(|(name, ..)| name)
    }

    /// Whether it has few values, so that it can be a label.
    pub(crate) fn is_bounded(self) -> bool {
        self.nature() != Nature::Single
    }

    /// Whether it is known when the request arrives.
    pub(crate) fn is_early(self) -> bool {
        self.nature() == Nature::Early
    }

    /// Whether it is read from the request's headers.
    pub(crate) fn is_of_request_headers(self) -> bool {
        matches!(
            self,
            Self::Host | Self::Method | Self::Scheme | Self::Path | Self::Query | Self::PathTemplate
        )
    }

    fn nature(self) -> Nature {
        let found = ALL.iter().find(|(_, attribute, _)| *attribute == self);
        found.map_or(Nature::Single, |(_, _, nature)| *nature)
    }
}

/// Methods that get a label of their own (RFC 9110 section 9, RFC 5789): any other is `_OTHER`, as in OpenTelemetry's
/// conventions, because a client can make up as many as it likes.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// A method as a label; `None` for none at all.
pub(crate) fn method_label(method: &[u8]) -> Option<&'static str> {
    if method.is_empty() {
        return None;
    }
    Some(METHODS.iter().find(|known| known.as_bytes() == method).unwrap_or(&"_OTHER"))
}

/// `2xx`
pub(crate) fn status_class(status: u16) -> Option<&'static str> {
    Some(match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => return None,
    })
}

/// Statuses of gRPC by number (google.rpc.Code).
pub(crate) const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Envoy's response flags, by the number of their bit (`envoy/stream_info/stream_info.h`), as its access log writes them.
const RESPONSE_FLAGS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// The names of the flags that are set, commas between them; `None` if there are none.
pub(crate) fn response_flags(bits: u64) -> Option<String> {
    let set = RESPONSE_FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_one_name() {
        for (name, attribute, _) in ALL {
            assert_eq!(Attribute::named(name), Some(attribute));
        }
    }

    #[test]
    fn methods_that_no_rfc_names_share_a_label() {
        assert_eq!(method_label(b"GET"), Some("GET"));
        assert_eq!(method_label(b"get"), Some("_OTHER"));
        assert_eq!(method_label(b""), None);
    }

    #[test]
    fn flags_are_named_as_in_an_access_log() {
        assert_eq!(response_flags(0), None);
        assert_eq!(response_flags(1 << 8).as_deref(), Some("NR"));
        assert_eq!(response_flags(1 << 5 | 1 << 15).as_deref(), Some("UF,URX"));
    }
}
