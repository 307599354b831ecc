//! What labels and log fields can say about an exchange that has ended.

use std::borrow::Cow;
use std::time::Duration;

use tidegate_filter_api::{Exchange, Host, Property};

/// An attribute, by the name it has in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    RouteName,
    Method,
    Host,
    Path,
    Status,
    StatusClass,
    Duration,
    Principal,
}

/// What a metric's label shows where there is no value.
pub(crate) const UNKNOWN: &str = "unknown";

/// Methods that get a label of their own (RFC 9110 section 9, RFC 5789): any other is `_OTHER`, as in OpenTelemetry's
/// conventions, because a client can make up as many as it likes.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// One exchange that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) host: &'a dyn Host,
}

impl Ended<'_> {
    /// The response's status; `None` if there was no response.
    pub(crate) fn status(&self) -> Option<u64> {
        self.number(Property::RESPONSE_CODE).filter(|status| *status > 0)
    }

    /// From the request's first byte to the response's last.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.number(Property::REQUEST_DURATION).map(Duration::from_nanos)
    }

    fn number(&self, property: Property) -> Option<u64> {
        let bytes = self.host.property(property)?;
        let number = i64::from_le_bytes(bytes.try_into().ok()?);
        u64::try_from(number).ok()
    }

    /// An attribute as text; `None` if the exchange has none. Text from clients is not bounded yet.
    pub(crate) fn text(&self, attribute: Attribute) -> Option<Cow<'_, str>> {
        let bytes = |bytes: &[u8]| {
            (!bytes.is_empty()).then(|| Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
        };
        match attribute {
            Attribute::RouteName => bytes(&self.host.property(Property::ROUTE_NAME)?),
            Attribute::Method => self.method(),
            Attribute::Host => bytes(self.exchange.authority()),
            Attribute::Path => bytes(self.exchange.path().split(|byte| *byte == b'?').next()?),
            Attribute::Status => self.status().map(|status| status.to_string().into()),
            Attribute::StatusClass => self.status_class().map(Cow::Borrowed),
            Attribute::Duration => self.duration().map(|duration| duration.as_millis().to_string().into()),
            Attribute::Principal => bytes(&self.exchange.principal(self.host)?),
        }
    }

    fn method(&self) -> Option<Cow<'static, str>> {
        let method = self.exchange.method();
        if method.is_empty() {
            return None;
        }
        let known = METHODS.iter().find(|known| known.as_bytes() == method);
        Some(Cow::Borrowed(known.unwrap_or(&"_OTHER")))
    }

    fn status_class(&self) -> Option<&'static str> {
        Some(match self.status()? / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => return None,
        })
    }
}
