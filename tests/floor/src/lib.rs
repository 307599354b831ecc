//! What no filter in wasm can be below: the host calls that the suite makes for a request in the bench, in their order,
//! with answers thrown away and nothing computed. No SDK, no allocator, no crate of ours: `suite` less `suite/floor` in
//! `cargo xtask bench` is what our own code costs, and the floor itself is what Envoy's side of the calls costs. Its
//! configuration names a kind of calls to leave out: what each of them is of the whole.
#![cfg(target_arch = "wasm32")]
#![expect(unsafe_code, reason = "host calls cross the VM's boundary by pointer; there is nothing else here")]

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        most: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        len: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, len: usize, value: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        len: usize,
        value: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, len: usize) -> u32;
    fn proxy_get_property(path: *const u8, len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, len: usize, value: *const u8, size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, len: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, delta: i64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        len: usize,
        arguments: *const u8,
        size: usize,
        data: *mut *mut u8,
        result: *mut usize,
    ) -> u32;
}

/// What the finishing keeps: the callbacks that the suite is entered through on a request without a body.
#[used]
#[unsafe(link_section = "tidegate.callbacks")]
static CALLBACKS: [u8; 64] = *b"proxy_on_request_headers\nproxy_on_response_headers\nproxy_on_log\n";

const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;
const COUNTER: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
/// The host's answers land here, one over the other.
static ROOM: [AtomicU32; 4_096] = [const { AtomicU32::new(0) }; 4_096];
static COUNTED: AtomicU32 = AtomicU32::new(0);
/// What the suite counts for each of its filters.
static OTHERS: AtomicU32 = AtomicU32::new(0);
/// A bit for each of [`PARTS`] that is left out.
static WITHOUT: AtomicU32 = AtomicU32::new(0);

/// What can be left out, by the word in the configuration.
const PARTS: [&str; 10] = [
    "headers",
    "time",
    "shared",
    "counters",
    "filter-state",
    "edits",
    "reroute",
    "properties",
    "one-by-one",
    "status-as-header",
];
const HEADERS: usize = 0;
const TIME: usize = 1;
const SHARED: usize = 2;
const COUNTERS: usize = 3;
const FILTER_STATE: usize = 4;
const EDITS: usize = 5;
const REROUTE: usize = 6;
const PROPERTIES: usize = 7;
/// Instead of three edits, all headers in one call.
const ONE_BY_ONE: usize = 8;
/// Instead of it, as an attribute.
const STATUS_AS_HEADER: usize = 9;

/// The bucket of a key, as large as the suite's.
static BUCKET: [u8; 32] = [0; 32];

#[unsafe(no_mangle)]
extern "C" fn malloc(_: usize) -> *mut u8 {
    ROOM.as_ptr().cast_mut().cast()
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_: u32, _: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(_: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_: u32, configured: usize) -> u32 {
    WITHOUT.store(left_out(configured), Relaxed);
    let define = |kind, name: &str, id: &AtomicU32| {
        // SAFETY: the host reads `name` and writes one number.
        unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), id.as_ptr()) }
    };
    let failed = define(COUNTER, "floor.requests", &COUNTED) | define(COUNTER, "floor.others", &OTHERS);
    u32::from(failed == 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_: u32, _: u32, _: u32) -> u32 {
    let (mut time, mut data, mut size, mut cas) = (0, null_mut(), 0, 0);
    let key = "tidegate.floor.bucket";
    // SAFETY: the host writes what it allocates with `malloc` above, and the numbers that it is given places for.
    unsafe {
        if with(HEADERS) {
            proxy_get_header_map_pairs(REQUEST, &raw mut data, &raw mut size);
            if !with(ONE_BY_ONE) {
                proxy_set_header_map_pairs(REQUEST, data, size);
            }
        }
        if with(TIME) {
            proxy_get_current_time_nanoseconds(&raw mut time);
        }
        if with(SHARED) {
            proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut cas);
            proxy_set_shared_data(key.as_ptr(), key.len(), BUCKET.as_ptr(), BUCKET.len(), 0);
        }
    }
    if with(COUNTERS) {
        (0..4).for_each(|_| count(&OTHERS));
    }
    if with(FILTER_STATE) {
        set_property("tidegate.principal", "partner-10");
        set_property("tidegate.route", "beta");
    }
    if with(EDITS) && with(ONE_BY_ONE) {
        remove("x-api-key");
        replace("x-auth-subject", "partner-10");
        replace("x-tidegate-route", "beta");
    }
    if with(REROUTE) {
        let clear = "clear_route_cache";
        // SAFETY: as above; without arguments there is nothing to read.
        unsafe {
            proxy_call_foreign_function(clear.as_ptr(), clear.len(), null(), 0, &raw mut data, &raw mut size)
        };
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_: u32, _: u32, _: u32) -> u32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_: u32) {
    if with(PROPERTIES) {
        if with(STATUS_AS_HEADER) {
            header(RESPONSE, ":status");
        } else {
            property("response\0code");
        }
        ["xds\0route_name", "request\0duration"].into_iter().for_each(property);
    }
    // The suite tells what telemetry recorded at ticks; the bench wants to see that requests came here.
    count(&COUNTED);
}

fn with(part: usize) -> bool {
    WITHOUT.load(Relaxed) >> part & 1 == 0
}

/// The parts whose words stand in the configuration.
fn left_out(size: usize) -> u32 {
    let (mut data, mut got) = (null_mut(), 0);
    // SAFETY: the host writes what it allocates with `malloc` above: that is `ROOM`, into which the size is held.
    let text = unsafe {
        if size == 0
            || proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, &raw mut data, &raw mut got) != 0
        {
            return 0;
        }
        std::slice::from_raw_parts(data.cast_const(), got.min(size_of_val(&ROOM)))
    };
    // A configuration of type Struct arrives as a serialised message: the word stands in it as it is.
    let named = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
    (0_u32..).zip(PARTS).filter(|(_, word)| named(word)).fold(0, |bits, (part, _)| bits | 1 << part)
}

fn count(metric: &AtomicU32) {
    // SAFETY: the host is given numbers.
    unsafe { proxy_increment_metric(metric.load(Relaxed), 1) };
}

fn replace(name: &str, value: &str) {
    // SAFETY: the host reads both.
    unsafe {
        proxy_replace_header_map_value(REQUEST, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
}

fn remove(name: &str) {
    // SAFETY: the host reads the name.
    unsafe { proxy_remove_header_map_value(REQUEST, name.as_ptr(), name.len()) };
}

fn property(path: &str) {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: as for other answers of the host.
    unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
}

fn header(map: u32, name: &str) {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: as for other answers of the host.
    unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &raw mut data, &raw mut size) };
}

fn set_property(path: &str, value: &str) {
    // SAFETY: the host reads both.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
}
