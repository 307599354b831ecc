//! The host behind the module, as filters and pipeline see it.

use std::time::Duration;

use tidegate_config::HeaderName;
use tidegate_filter_api::{
    CallToken, Callout, Cas, Clock, Edit, EditKind, HeaderBlock, Host, HostError, LocalReply, MetricId,
    MetricKind, Property, SharedValue, Timestamp,
};

use super::{abi, callouts};
use crate::wire::{Map, Wire};

/// The host behind the module. Calls concern the context that the host has made active.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envoy;

/// What a header map that does not follow the ABI is counted as: no ABI uses this number.
const MALFORMED: HostError = HostError::Other(u32::MAX);

pub(super) fn header_block(map: u32) -> Result<HeaderBlock, HostError> {
    HeaderBlock::new(abi::header_pairs(map)?).map_err(|_| MALFORMED)
}

impl Clock for Envoy {
    fn now(&self) -> Timestamp {
        Timestamp(abi::now())
    }
}

impl Host for Envoy {
    fn shared(&self, key: &[u8]) -> Result<Option<SharedValue>, HostError> {
        match abi::shared_data(key) {
            Ok((bytes, cas)) => Ok(Some(SharedValue { bytes: bytes.into_vec(), cas: Cas(cas) })),
            Err(HostError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_shared(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> Result<(), HostError> {
        // 0 would overwrite whatever is there. An absent key takes any number, and no present one has this: the host
        // counts versions up from 1. So it says "only if absent", which the ABI has no call for.
        const NO_VERSION: u32 = u32::MAX;
        abi::set_shared_data(key, value, expected.map_or(NO_VERSION, |cas| cas.0))
    }

    fn random(&self) -> Result<[u8; 16], HostError> {
        abi::random()
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        abi::environment().ok()?.into_iter().find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(value.to_vec())
        })
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        abi::property(property.path()).ok().map(<[u8]>::into_vec)
    }

    fn set_property(&self, property: Property, value: &[u8]) -> Result<(), HostError> {
        abi::set_property(property.path(), value)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 2,
        };
        abi::define_metric(kind, name).map(MetricId)
    }

    fn add(&self, metric: MetricId, delta: i64) {
        // Envoy takes an increment by nothing for a bad argument.
        if delta != 0 {
            abi::increment_metric(metric.0, delta);
        }
    }

    fn record(&self, metric: MetricId, value: u64) {
        abi::record_metric(metric.0, value);
    }

    fn request_headers(&self) -> Result<HeaderBlock, HostError> {
        header_block(abi::REQUEST_HEADERS)
    }

    fn request_header(&self, name: &HeaderName) -> Option<Vec<u8>> {
        let path = [b"request\0headers\0", name.as_str().as_bytes()].concat();
        abi::property(&path).ok().map(<[u8]>::into_vec)
    }

    fn response_status(&self) -> Option<u16> {
        // The attribute says the same, and costs Envoy half a microsecond more. Envoy 1.37 gives no headers any more by then.
        let header = abi::header(abi::RESPONSE_HEADERS, ":status").ok();
        let status = header.and_then(|status| std::str::from_utf8(&status).ok()?.parse().ok());
        status.or_else(|| {
            let code = i64::from_le_bytes(abi::property(b"response\0code").ok()?.as_ref().try_into().ok()?);
            u16::try_from(code).ok().filter(|code| *code > 0)
        })
    }

    fn response_headers(&self) -> Result<HeaderBlock, HostError> {
        header_block(abi::RESPONSE_HEADERS)
    }

    fn dispatch(&self, callout: &Callout) -> Result<CallToken, HostError> {
        self.call(callout).inspect(|token| callouts::dispatched(*token))
    }

    fn call_foreign(&self, function: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        abi::foreign_function(function, arguments).map(<[u8]>::into_vec)
    }
}

fn serialised(pairs: &[(String, Vec<u8>)]) -> HeaderBlock {
    HeaderBlock::from_pairs(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
}

/// Less than a millisecond would mean no timeout at all.
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_nanos().div_ceil(1_000_000).max(1)).unwrap_or(u32::MAX)
}

impl Wire for Envoy {
    fn edit(&self, map: Map, edit: Edit<'_>) -> Result<(), HostError> {
        let map = match map {
            Map::Request => abi::REQUEST_HEADERS,
            Map::Response => abi::RESPONSE_HEADERS,
        };
        match edit.kind {
            EditKind::Set => abi::replace_header(map, edit.name, edit.value),
            EditKind::Append => abi::add_header(map, edit.name, edit.value),
            EditKind::Remove => abi::remove_header(map, edit.name),
        }
    }

    fn clear_route_cache(&self) -> Result<(), HostError> {
        abi::foreign_function("clear_route_cache", &[]).map(drop)
    }

    fn reply(&self, reply: &LocalReply) -> Result<(), HostError> {
        let pairs = reply.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let headers = HeaderBlock::from_pairs(pairs);
        let grpc_status = i32::from(reply.grpc_status as u8);
        abi::local_response(reply.status, reply.details, &reply.body, headers.as_bytes(), grpc_status)
    }

    fn reset(&self) {
        abi::close_request();
    }

    fn call(&self, callout: &Callout) -> Result<CallToken, HostError> {
        match callout {
            Callout::Http(call) => {
                let (headers, timeout) = (serialised(&call.headers), milliseconds(call.timeout));
                abi::http_call(&call.cluster, headers.as_bytes(), &call.body, timeout).map(CallToken::Http)
            }
            Callout::Grpc(call) => {
                let (metadata, timeout) = (serialised(&call.metadata), milliseconds(call.timeout));
                let (service, method) = (call.service, call.method);
                abi::grpc_call(&call.cluster, service, method, metadata.as_bytes(), &call.message, timeout)
                    .map(CallToken::Grpc)
            }
        }
    }

    fn is_under_way(&self, token: CallToken) -> bool {
        callouts::is_under_way(token)
    }

    fn request_body(&self, start: usize, most: usize) -> Result<Box<[u8]>, HostError> {
        body(abi::REQUEST_BODY, start, most)
    }

    fn response_body(&self, most: usize) -> Result<Box<[u8]>, HostError> {
        body(abi::RESPONSE_BODY, 0, most)
    }

    fn resume(&self) {
        abi::continue_request();
    }

    fn as_host(&self) -> &dyn Host {
        self
    }
}

/// Envoy takes a request for no bytes for a bad argument.
fn body(kind: u32, start: usize, most: usize) -> Result<Box<[u8]>, HostError> {
    if most == 0 { Ok(Box::default()) } else { abi::buffer(kind, start, most) }
}
