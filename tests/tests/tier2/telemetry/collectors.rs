//! Collectors that are no help: requests go on, memory is bounded, and every record is accounted for.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::bootstrap::cluster;
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::json;

use super::peers::{Collector, NOBODY, TAKEN};
use super::{bootstrap, direct, metric, until};

const QUEUE: u64 = 40;
const REQUESTS: u64 = 100;

fn envoy(collector: SocketAddr, timeout: &str) -> Result<Envoy, Failed> {
    let configuration = json!({"access_log": [{
        "to": {"otlp": {"cluster": "collector", "timeout": timeout}},
        "fields": {"marker": {"text": "a-log-record"}, "path": "path"},
        "batch": {"max": 10, "every": "100ms"},
        "queue": QUEUE,
    }]});
    let upstreams = Upstreams::start()?;
    let bootstrap = bootstrap(&configuration, direct(), [cluster("collector", collector)], &upstreams)?;
    Ok(Envoy::start(&bootstrap, 1)?)
}

/// Whatever the collector does, a request is answered.
fn send(envoy: &Envoy, requests: u64) -> Result<(), Failed> {
    let mut connection = Connection::open(envoy.address())?;
    for _ in 0..requests {
        let status = connection.exchange(b"GET /cart HTTP/1.1\r\nhost: a\r\n\r\n")?.status;
        if status != 200 {
            return Err(format!("a request got {status}").into());
        }
    }
    Ok(())
}

/// Records that were delivered, and records that were dropped.
fn counted(envoy: &Envoy) -> Result<(u64, u64), Failed> {
    let count = |what: &str| metric(envoy, &format!("tidegate.telemetry.{what}_log_records"));
    Ok((count("exported")?, count("dropped")?))
}

/// A collector that answers 429 is not called again before the time that it asks for; what finds no room in the queue
/// meanwhile is dropped and counted, and the rest is delivered when the collector takes it.
pub(super) fn patience() -> Result<(), Failed> {
    let (collector, address) =
        Collector::start("HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n")?;
    let envoy = envoy(address, "15s")?;
    send(&envoy, REQUESTS)?;
    until("what finds no room is dropped", &envoy, || Ok(counted(&envoy)? == (0, REQUESTS - QUEUE)))?;
    until("the collector is called again", &envoy, || Ok(collector.calls().len() >= 2))?;
    collector.answer(TAKEN, Duration::ZERO);
    until("the rest is delivered", &envoy, || Ok(counted(&envoy)? == (QUEUE, REQUESTS - QUEUE)))?;
    if collector.taken(b"a-log-record") != QUEUE {
        return Err(format!("the collector took {} records", collector.taken(b"a-log-record")).into());
    }
    // Time is told by ticks, a tenth of a second apart.
    match collector.calls()[..] {
        [first, second, ..] if second - first >= Duration::from_millis(1_800) => Ok(()),
        ref calls => Err(format!("called at {calls:?}").into()),
    }
}

/// A collector that takes longer than its time, and one that is not there at all.
pub(super) fn slow_or_gone() -> Result<(), Failed> {
    let (collector, slow) = Collector::start(TAKEN)?;
    collector.answer(TAKEN, Duration::from_secs(2));
    for address in [slow, NOBODY] {
        let envoy = envoy(address, "300ms")?;
        send(&envoy, REQUESTS)?;
        until("what finds no room is dropped", &envoy, || Ok(counted(&envoy)? == (0, REQUESTS - QUEUE)))?;
        send(&envoy, REQUESTS)?;
        until("and so is what comes then", &envoy, || {
            let (exported, dropped) = counted(&envoy)?;
            Ok(exported == 0 && dropped >= 2 * REQUESTS - QUEUE)
        })?;
    }
    Ok(())
}
