//! Memory does not follow what clients send or how often a configuration changes.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("memory::does_not_follow_the_number_of_keys", many_keys)]
}

const KEYS: u64 = 1_000_000;
/// Enough for every bucket of the tables to exist.
const WARM: u64 = 400_000;
/// Each request holds this many keys, each under a limit of its own: the time goes into keys, not into requests.
const LIMITS: u64 = 8;
const MAX_KEYS: u64 = 4_096;
/// What Envoy itself may gain between the two: buffers, connections, allocator caches.
const MOST_KIB: u64 = 16 * 1024;

/// One user spends the quota, then a million others come: memory has a ceiling, and that user's quota stays spent.
fn many_keys() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let limit = |n: u64| json!({"name": format!("limit-{n}"), "key": [{"header": format!("x-{n}")}], "quotas": [{"requests": 1, "per": "1h"}]});
    let limits = json!({
        "limits": (0..LIMITS).map(limit).collect::<Vec<_>>(),
        "table": {"max_keys": MAX_KEYS, "on_full": "allow"},
    });
    let mut bootstrap = bootstrap::with_filters(&[("rate-limit", &limits)], &upstreams, Form::Struct)?;
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    *bootstrap.pointer_mut(routes).ok_or("no routes")? =
        json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    let envoy = Envoy::start(&bootstrap, 2)?;
    let victim = || -> Result<u16, Failed> {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nx-0: victim\r\n\r\n";
        Ok(Connection::open(envoy.address())?.exchange(head)?.status)
    };
    if (victim()?, victim()?) != (200, 429) {
        return Err("the quota is not one request".into());
    }
    let began = Instant::now();
    send_keys(&envoy, 0, WARM)?;
    let warm = envoy.resident_kib()?;
    let spent = victim()?;
    send_keys(&envoy, WARM, KEYS)?;
    let end = envoy.resident_kib()?;
    println!("{WARM} keys: {warm} KiB, {KEYS} keys: {end} KiB, {:?}", began.elapsed());
    if end > warm + MOST_KIB {
        return Err(format!("{warm} KiB after {WARM} keys, {end} KiB after {KEYS}").into());
    }
    if (spent, victim()?) != (429, 429) {
        return Err("other users' keys gave a spent quota back".into());
    }
    for limit in 0..LIMITS {
        let metric =
            |name: &str| envoy.stat_named(&format!("wasmcustom.tidegate.rate_limit.limit-{limit}.{name}"));
        let (keys, full, allowed) = (metric("keys")?, metric("table_full")?, metric("allowed")?);
        // The table is all in use, and everybody was either counted or found it full.
        let asked = KEYS / LIMITS + u64::from(limit == 0);
        if keys != MAX_KEYS || full + allowed != asked {
            return Err(
                format!("{keys} keys, {full} of {asked} found no room, {allowed} were admitted").into()
            );
        }
    }
    Ok(())
}

/// One request at a time on each of two connections, as bytes: the client must not be what takes the time.
fn send_keys(envoy: &Envoy, from: u64, to: u64) -> Result<(), Failed> {
    let (from, to) = (from / LIMITS, to / LIMITS);
    let half = from + (to - from) / 2;
    let sender = |keys: Range<u64>| -> std::io::Result<()> {
        let mut stream = TcpStream::connect(envoy.address())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let mut answer = [0; 1024];
        for request in keys {
            let mut text = "GET / HTTP/1.1\r\nhost: a\r\n".to_owned();
            for limit in 0..LIMITS {
                // Writing to a String cannot fail.
                let _ = write!(text, "x-{limit}: user-{}\r\n", request * LIMITS + limit);
            }
            text.push_str("\r\n");
            stream.write_all(text.as_bytes())?;
            // A direct response without a body arrives in one piece.
            let length = stream.read(&mut answer)?;
            if !answer[..length].starts_with(b"HTTP/1.1 200 ") || !answer[..length].ends_with(b"\r\n\r\n") {
                return Err(std::io::Error::other(String::from_utf8_lossy(&answer[..length]).into_owned()));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let senders = [from..half, half..to].map(|keys| scope.spawn(|| sender(keys)));
        senders.into_iter().try_for_each(|sender| Ok(sender.join().map_err(|_| "a sender panicked")??))
    })
}
