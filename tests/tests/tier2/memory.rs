//! Memory does not follow what clients send or how often a configuration changes.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
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
/// What Envoy itself may gain between the two: buffers, connections, allocator caches.
const MOST_KIB: u64 = 16 * 1024;

fn many_keys() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let limit = |n: u64| json!({"name": format!("limit-{n}"), "key": [{"header": format!("x-{n}")}], "quotas": [{"requests": 1, "per": "1s"}]});
    let limits = json!({
        "limits": (0..LIMITS).map(limit).collect::<Vec<_>>(),
        "table": {"max_keys": 4096, "on_full": "allow"},
    });
    let mut bootstrap = bootstrap::with_filters(&[("rate-limit", &limits)], &upstreams, Form::Struct)?;
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    *bootstrap.pointer_mut(routes).ok_or("no routes")? =
        json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    let envoy = Envoy::start(&bootstrap, 2)?;
    let began = Instant::now();
    send_keys(&envoy, 0, WARM)?;
    let warm = envoy.resident_kib()?;
    send_keys(&envoy, WARM, KEYS)?;
    let end = envoy.resident_kib()?;
    println!("{WARM} keys: {warm} KiB, {KEYS} keys: {end} KiB, {:?}", began.elapsed());
    let decided = envoy.stat("tidegate.rate_limit.limit-")?;
    if decided < KEYS {
        return Err(format!("{decided} decisions for {KEYS} keys").into());
    }
    if end > warm + MOST_KIB {
        return Err(format!("{warm} KiB after {WARM} keys, {end} KiB after {KEYS}").into());
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
