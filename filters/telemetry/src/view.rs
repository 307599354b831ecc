//! One exchange as labels, fields, conditions and spans see it.
//!
//! What costs a host call is asked for when first wanted, and once. Envoy gives the request's headers again when an
//! exchange has ended, so that they are read for those exchanges only that are written about; they are then as the
//! upstream got them.

mod made_out;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use tidegate_filter_api::{Claims, Exchange, Headers, Host, Property};
use tidegate_matchers::{ClientAddress, Facts, TemplateSet, canonical_host, cookie_values, normalise};

use crate::attribute::{Attribute, GRPC_STATUSES, method_label, status_class};
use crate::ids::Ids;
use crate::redact::Redaction;
use crate::source::Source;
use crate::trace::{self, Context};

/// What all exchanges have around them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) client_address: ClientAddress,
    pub(crate) templates: TemplateSet,
    /// Whether something is always read from the map of the request's headers: then it gives the rest as well.
    pub(crate) header_map: bool,
    pub(crate) ids: Ids,
    pub(crate) locality: OnceCell<Option<Vec<u8>>>,
}

/// What was found out about an exchange before its end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) time_to_first_byte: Option<Duration>,
    pub(crate) context: Option<Context>,
}

/// The exchange with its request's headers as they are now.
pub(crate) struct Now<'a> {
    kept: &'a Exchange,
    host: &'a dyn Host,
    ended: bool,
    at_end: OnceCell<Option<Exchange>>,
}

impl<'a> Now<'a> {
    /// A request that arrives.
    pub(crate) fn arriving(exchange: &'a Exchange, host: &'a dyn Host) -> Self {
        Self { kept: exchange, host, ended: false, at_end: OnceCell::new() }
    }

    /// An exchange that has ended.
    pub(crate) fn ended(exchange: &'a Exchange, host: &'a dyn Host) -> Self {
        Self { kept: exchange, host, ended: true, at_end: OnceCell::new() }
    }

    fn exchange(&self) -> &Exchange {
        if !self.ended {
            return self.kept;
        }
        let read = || {
            let block = self.host.request_headers().ok()?;
            // A host that no longer has them gives none: then those of the arrival are what there is.
            block.iter().next()?;
            Some(self.kept.with_request(Headers::new(block)))
        };
        self.at_end.get_or_init(read).as_ref().unwrap_or(self.kept)
    }
}

/// A value of a label or a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value<'v> {
    Nothing,
    Text(Cow<'v, [u8]>),
    Number(u64),
    /// Several values where there should be one: nobody's, since which of them the upstream took is not known here.
    Several,
}

/// One exchange as labels, fields, conditions and spans see it.
pub(crate) struct View<'a> {
    pub(crate) host: &'a dyn Host,
    now: &'a Now<'a>,
    around: &'a Surroundings,
    found: &'a Found,
    facts: OnceCell<Facts<'a>>,
    status: OnceCell<Option<u16>>,
    duration: OnceCell<Option<Duration>>,
    response: OnceCell<Headers>,
    principal: OnceCell<Option<Vec<u8>>>,
    claims: OnceCell<Option<Rc<Claims>>>,
    sampled_by: OnceCell<[u8; 16]>,
}

impl<'a> View<'a> {
    pub(crate) fn new(now: &'a Now<'a>, around: &'a Surroundings, found: &'a Found) -> Self {
        Self {
            host: now.host,
            now,
            around,
            found,
            facts: OnceCell::new(),
            status: OnceCell::new(),
            duration: OnceCell::new(),
            response: OnceCell::new(),
            principal: OnceCell::new(),
            claims: OnceCell::new(),
            sampled_by: OnceCell::new(),
        }
    }

    /// The trace context that was decided on when the request arrived.
    pub(crate) fn context(&self) -> Option<&'a Context> {
        self.found.context.as_ref()
    }

    /// The response's status; `None` if there was no response.
    pub(crate) fn status(&self) -> Option<u16> {
        *self.status.get_or_init(|| self.host.response_status())
    }

    /// From the request's first byte to the response's last.
    pub(crate) fn duration(&self) -> Option<Duration> {
        *self.duration.get_or_init(|| self.number(Property::REQUEST_DURATION).map(Duration::from_nanos))
    }

    /// From the request's arrival at this filter to the response's headers.
    pub(crate) fn time_to_first_byte(&self) -> Option<Duration> {
        self.found.time_to_first_byte
    }

    /// When the request's first byte arrived, in nanoseconds since 1970.
    pub(crate) fn start(&self) -> Option<u64> {
        self.number(Property::REQUEST_TIME)
    }

    pub(crate) fn request_bytes(&self) -> Option<u64> {
        self.number(Property::REQUEST_SIZE)
    }

    pub(crate) fn response_bytes(&self) -> Option<u64> {
        self.number(Property::RESPONSE_SIZE)
    }

    /// The request's headers as they are now.
    pub(crate) fn request(&self) -> &'a Headers {
        self.exchange().request()
    }

    /// The response's headers, when the exchange has ended.
    pub(crate) fn response(&self) -> &Headers {
        self.response
            .get_or_init(|| self.host.response_headers().map_or_else(|_| Headers::unread(), Headers::new))
    }

    /// The value of a label.
    pub(crate) fn value<'v>(&'v self, source: &'v Source) -> Value<'v> {
        match source {
            Source::Attribute(attribute) => self.attribute(*attribute),
            Source::Header(name) if self.reads_map() => {
                harmless(only(&mut self.request().values(name.as_str())))
            }
            Source::Header(name) => harmless(owned(self.host.request_header(name))),
            Source::ResponseHeader(name) => harmless(only(&mut self.response().values(name.as_str()))),
            Source::Cookie(name) => harmless(only(&mut cookie_values(self.request().values("cookie"), name))),
            Source::Claim(name) => self.claim(name),
            Source::Text(text) => Value::Text(Cow::Borrowed(text.as_bytes())),
        }
    }

    /// The value of an attribute, as a label has it: a method is one of those that an RFC names.
    pub(crate) fn attribute(&self, attribute: Attribute) -> Value<'_> {
        match attribute {
            Attribute::RouteName => self.text(Property::ROUTE_NAME),
            Attribute::UpstreamCluster => self.text(Property::UPSTREAM_CLUSTER),
            Attribute::UpstreamAddress => self.text(Property::UPSTREAM_ADDRESS),
            // One label for all ways to write a host.
            Attribute::Host => match self.authority() {
                Value::Text(host) => Value::Text(Cow::Owned(canonical_host(&host))),
                other => other,
            },
            Attribute::Method => match self.method() {
                Value::Text(method) => known(method_label(&method)),
                other => other,
            },
            Attribute::Scheme => self.header(":scheme", Property::REQUEST_SCHEME),
            Attribute::Protocol => self.text(Property::REQUEST_PROTOCOL),
            Attribute::ProtocolVersion => match self.host.property(Property::REQUEST_PROTOCOL) {
                Some(protocol) => match protocol.strip_prefix(b"HTTP/") {
                    Some(version) => Value::Text(Cow::Owned(version.to_vec())),
                    None => Value::Nothing,
                },
                None => Value::Nothing,
            },
            Attribute::Path => borrowed(self.path_and_query().0),
            Attribute::Query => borrowed(self.path_and_query().1),
            Attribute::PathTemplate => known(Some(self.template().unwrap_or("other"))),
            Attribute::Status => self.status().map_or(Value::Nothing, |status| Value::Number(status.into())),
            Attribute::StatusClass => known(self.status().and_then(status_class)),
            Attribute::GrpcStatus => known(self.grpc_status()),
            Attribute::ErrorType => self.error_type(),
            Attribute::ResponseFlags => self.flags(),
            Attribute::ResponseDetails => self.text(Property::RESPONSE_CODE_DETAILS),
            Attribute::Duration => milliseconds(self.duration()),
            Attribute::TimeToFirstByte => milliseconds(self.time_to_first_byte()),
            Attribute::RequestBytes => self.request_bytes().map_or(Value::Nothing, Value::Number),
            Attribute::ResponseBytes => self.response_bytes().map_or(Value::Nothing, Value::Number),
            Attribute::Time => self.start().map_or(Value::Nothing, |nanos| {
                Value::Text(Cow::Owned(crate::time::rfc3339(nanos).into_bytes()))
            }),
            Attribute::Source => match self.facts().source() {
                Some(address) => Value::Text(Cow::Owned(address.to_string().into_bytes())),
                None => Value::Nothing,
            },
            Attribute::SourceLocality => self.locality(),
            Attribute::Principal => match self.principal() {
                Some(name) => borrowed(name),
                None => Value::Nothing,
            },
            Attribute::Limit => self.text(Property::LIMIT),
            Attribute::AuthRule => self.text(Property::AUTH_RULE),
            Attribute::RoutingRule => self.text(Property::ROUTING_RULE),
            Attribute::RoutingArm => self.text(Property::ROUTING_ARM),
            // A list of the four above, for logs, which write it themselves.
            Attribute::Decision => Value::Nothing,
            Attribute::TraceId => match self.trace_id() {
                Some(id) => Value::Text(Cow::Owned(trace::hex_text(&id))),
                None => Value::Nothing,
            },
            Attribute::SpanId => match self.context().filter(|context| context.recorded) {
                Some(context) => Value::Text(Cow::Owned(trace::hex_text(&context.span_id))),
                None => Value::Nothing,
            },
        }
    }

    /// The template that the path fits, if any does.
    pub(crate) fn template(&self) -> Option<&'a str> {
        let templates = &self.around.templates;
        if templates.templates().is_empty() {
            return None;
        }
        let path = normalise(self.path_and_query().0);
        templates.templates().get(templates.find(&path)?).map(|template| template.as_str())
    }

    /// The host as sent.
    pub(crate) fn authority(&self) -> Value<'_> {
        self.header(":authority", Property::REQUEST_HOST)
    }

    /// The method as sent.
    pub(crate) fn method(&self) -> Value<'_> {
        self.header(":method", Property::REQUEST_METHOD)
    }

    /// Path and query as the client sent them: where the path was rewritten on its way, the one before.
    pub(crate) fn path_and_query(&self) -> (&'a [u8], &'a [u8]) {
        let request = self.request();
        let path =
            request.first("x-envoy-original-path").or_else(|| request.first(":path")).unwrap_or_default();
        let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
        match path.iter().position(|byte| *byte == b'?').and_then(|at| path.split_at_checked(at)) {
            Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
            None => (path, b""),
        }
    }

    /// The id of the trace: as decided here, or as the request has it.
    pub(crate) fn trace_id(&self) -> Option<[u8; 16]> {
        match self.context() {
            Some(context) => Some(context.trace_id),
            None => trace::trace_id(self.request()),
        }
    }

    /// The status of a gRPC call; `None` for other requests.
    pub(crate) fn grpc_status(&self) -> Option<&'static str> {
        let number = usize::try_from(self.grpc_number()?).ok()?;
        Some(GRPC_STATUSES.get(number).copied().unwrap_or("UNKNOWN"))
    }

    fn grpc_number(&self) -> Option<u64> {
        // Envoy says of any request what its HTTP status would be in gRPC.
        let kind = match self.reads_map() {
            true => self.request().first("content-type").map(Cow::Borrowed),
            false => self.host.property(Property::REQUEST_CONTENT_TYPE).map(Cow::Owned),
        };
        kind.filter(|kind| kind.starts_with(b"application/grpc"))?;
        self.number(Property::GRPC_STATUS)
    }

    fn exchange(&self) -> &'a Exchange {
        self.now.exchange()
    }

    fn facts(&self) -> &Facts<'a> {
        self.facts.get_or_init(|| Facts::new(self.exchange(), self.host, self.around.client_address))
    }

    fn nanos(&self) -> Option<u64> {
        u64::try_from(self.duration()?.as_nanos()).ok()
    }

    /// What decides whether the exchange belongs to a sample: the id of its trace, so that all that see it agree; without
    /// one, chance.
    fn sampled_by(&self) -> [u8; 16] {
        *self.sampled_by.get_or_init(|| self.trace_id().unwrap_or_else(|| self.around.ids.next()))
    }

    fn principal(&self) -> Option<&[u8]> {
        self.principal.get_or_init(|| self.now.kept.principal(self.host)).as_deref()
    }

    /// Whether the map of the request's headers is read, or has to be, in any case.
    fn reads_map(&self) -> bool {
        self.around.header_map || !self.now.ended || self.now.at_end.get().is_some()
    }

    fn header(&self, name: &str, property: Property) -> Value<'_> {
        if self.reads_map() {
            return self.request().first(name).map_or(Value::Nothing, borrowed);
        }
        self.text(property)
    }

    fn text(&self, property: Property) -> Value<'_> {
        owned(self.host.property(property))
    }

    fn number(&self, property: Property) -> Option<u64> {
        let bytes = self.host.property(property)?;
        u64::try_from(i64::from_le_bytes(bytes.try_into().ok()?)).ok()
    }
}

fn owned(text: Option<Vec<u8>>) -> Value<'static> {
    match text {
        Some(text) if !text.is_empty() => Value::Text(Cow::Owned(text)),
        _ => Value::Nothing,
    }
}

fn borrowed(text: &[u8]) -> Value<'_> {
    if text.is_empty() { Value::Nothing } else { Value::Text(Cow::Borrowed(text)) }
}

fn known(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Nothing, |text| borrowed(text.as_bytes()))
}

fn only<'v>(values: &mut dyn Iterator<Item = &'v [u8]>) -> Value<'v> {
    match (values.next(), values.next()) {
        (None, _) => Value::Nothing,
        (Some(value), None) => borrowed(value),
        (Some(_), Some(_)) => Value::Several,
    }
}

/// What goes into labels and baggage goes to everybody: no token of a URL, whatever the header is called.
fn harmless(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(text) => Value::Text(Redaction::STANDARD.value(&text).map_or(text, Cow::Owned)),
        other => other,
    }
}

fn milliseconds(duration: Option<Duration>) -> Value<'static> {
    let milliseconds = duration.and_then(|duration| u64::try_from(duration.as_millis()).ok());
    milliseconds.map_or(Value::Nothing, Value::Number)
}
