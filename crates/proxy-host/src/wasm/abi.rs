//! Host calls of proxy-wasm ABI 0.2.1: bytes in, bytes out, the status as a value.
//!
//! The SDK's own calls panic on a status they do not expect and on text that is not UTF-8; a panic strands every paused
//! request of the worker. These do neither.
#![expect(unsafe_code, reason = "host calls cross the VM's boundary by pointer")]

use std::ptr;

use tidegate_filter_api::HostError;

use raw::*;

/// Kinds of header maps, as numbered by the ABI.
pub(super) const REQUEST_HEADERS: u32 = 0;
pub(super) const RESPONSE_HEADERS: u32 = 2;
pub(super) const CALL_RESPONSE_HEADERS: u32 = 6;
/// Kinds of buffers, as numbered by the ABI.
pub(super) const REQUEST_BODY: u32 = 0;
pub(super) const RESPONSE_BODY: u32 = 1;
pub(super) const CALL_RESPONSE_BODY: u32 = 4;
pub(super) const GRPC_MESSAGE: u32 = 5;
pub(super) const PLUGIN_CONFIGURATION: u32 = 7;
/// Kinds of streams, as numbered by the ABI.
pub(super) const REQUEST_STREAM: u32 = 0;

/// The imports, with statuses as the plain numbers they are: not all of them are in the SDK's enum.
mod raw {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_log_level(level: *mut u32) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            kind: u32,
            start: usize,
            most: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_add_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
            cas: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
        pub(super) fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, delta: i64) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_close_stream(stream: u32) -> u32;
        pub(super) fn proxy_http_call(
            cluster: *const u8,
            cluster_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_grpc_call(
            cluster: *const u8,
            cluster_size: usize,
            service: *const u8,
            service_size: usize,
            method: *const u8,
            method_size: usize,
            metadata: *const u8,
            metadata_size: usize,
            message: *const u8,
            message_size: usize,
            timeout: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_set_effective_context(context: u32) -> u32;
        pub(super) fn proxy_call_foreign_function(
            name: *const u8,
            name_size: usize,
            arguments: *const u8,
            arguments_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn random_get(data: *mut u8, size: usize) -> u32;
        pub(super) fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u32;
        pub(super) fn environ_get(entries: *mut *mut u8, data: *mut u8) -> u32;
    }
}

fn check(status: u32) -> Result<(), HostError> {
    HostError::from_status(status).map_or(Ok(()), Err)
}

/// Takes over a buffer that the host allocated through the module's `malloc`; no buffer is an empty one.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Box<[u8]>, HostError> {
    let mut data = ptr::null_mut();
    let mut size = 0;
    let status = call(&raw mut data, &raw mut size);
    let buffer = if data.is_null() || size == 0 {
        Box::default()
    } else {
        // SAFETY: the host got `data` from the exported `malloc`, which leaks a boxed slice of exactly `size` bytes, and
        // hands it over with this call.
        unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }
    };
    check(status).map(|()| buffer)
}

pub(super) fn log(level: u32, message: &str) {
    // SAFETY: pointer and size are of one live slice; likewise in all calls below.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

pub(super) fn log_level() -> Option<u32> {
    let mut level = 0;
    // SAFETY: the host writes one 32-bit number.
    check(unsafe { proxy_get_log_level(&raw mut level) }).ok().map(|()| level)
}

pub(super) fn now() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes one 64-bit number. A host without a clock leaves 0.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

pub(super) fn buffer(kind: u32, start: usize, most: usize) -> Result<Box<[u8]>, HostError> {
    returned(|data, size| unsafe { proxy_get_buffer_bytes(kind, start, most, data, size) })
}

pub(super) fn header_pairs(map: u32) -> Result<Box<[u8]>, HostError> {
    returned(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

pub(super) fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(super) fn add_header(map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
    check(unsafe { proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(super) fn remove_header(map: u32, name: &str) -> Result<(), HostError> {
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

pub(super) fn header(map: u32, name: &str) -> Result<Box<[u8]>, HostError> {
    returned(|data, size| unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) })
}

pub(super) fn property(path: &[u8]) -> Result<Box<[u8]>, HostError> {
    returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(super) fn set_property(path: &[u8], value: &[u8]) -> Result<(), HostError> {
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(super) fn shared_data(key: &[u8]) -> Result<(Box<[u8]>, u32), HostError> {
    let mut cas = 0;
    let bytes = returned(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    })?;
    Ok((bytes, cas))
}

pub(super) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Result<(), HostError> {
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) })
}

pub(super) fn define_metric(kind: u32, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) }).map(|()| id)
}

pub(super) fn increment_metric(id: u32, delta: i64) {
    unsafe { proxy_increment_metric(id, delta) };
}

pub(super) fn record_metric(id: u32, value: u64) {
    unsafe { proxy_record_metric(id, value) };
}

pub(super) fn local_response(
    status: u16,
    details: &str,
    body: &str,
    headers: &[u8],
    grpc: i32,
) -> Result<(), HostError> {
    check(unsafe {
        proxy_send_local_response(
            status.into(),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc,
        )
    })
}

pub(super) fn continue_request() {
    unsafe { proxy_continue_stream(REQUEST_STREAM) };
}

pub(super) fn close_request() {
    unsafe { proxy_close_stream(REQUEST_STREAM) };
}

pub(super) fn http_call(
    cluster: &str,
    headers: &[u8],
    body: &[u8],
    timeout_ms: u32,
) -> Result<u32, HostError> {
    // No trailers: a map of none, which is its 32-bit count.
    let trailers = 0_u32.to_le_bytes();
    let mut token = 0;
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut token,
        )
    })
    .map(|()| token)
}

pub(super) fn grpc_call(
    cluster: &str,
    service: &str,
    method: &str,
    metadata: &[u8],
    message: &[u8],
    timeout_ms: u32,
) -> Result<u32, HostError> {
    let mut token = 0;
    check(unsafe {
        proxy_grpc_call(
            cluster.as_ptr(),
            cluster.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_ms,
            &raw mut token,
        )
    })
    .map(|()| token)
}

pub(super) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(super) fn set_effective_context(context: u32) -> Result<(), HostError> {
    check(unsafe { proxy_set_effective_context(context) })
}

pub(super) fn foreign_function(name: &str, arguments: &[u8]) -> Result<Box<[u8]>, HostError> {
    returned(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

pub(super) fn random() -> Result<[u8; 16], HostError> {
    let mut bytes = [0; 16];
    wasi(unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) }).map(|()| bytes)
}

/// The environment: `NAME=value` each (WASI snapshot preview 1).
pub(super) fn environment() -> Result<Vec<Vec<u8>>, HostError> {
    let (mut count, mut size) = (0, 0);
    wasi(unsafe { environ_sizes_get(&raw mut count, &raw mut size) })?;
    let mut entries = vec![ptr::null_mut(); count];
    let mut data = vec![0; size];
    // SAFETY: the host writes `count` pointers and `size` bytes, as many as it said.
    wasi(unsafe { environ_get(entries.as_mut_ptr(), data.as_mut_ptr()) })?;
    // The entries stand one behind the other, each with a NUL at its end.
    Ok(data.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect())
}

fn wasi(errno: u32) -> Result<(), HostError> {
    if errno == 0 { Ok(()) } else { Err(HostError::Other(errno)) }
}
