//! Configuration that changes while Envoy runs.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::Request;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("reload::quota_state_survives", quota_state_survives),
        Trial::test("reload::a_bad_configuration_is_refused_and_the_old_one_stays", bad_configuration),
        Trial::test("reload::nothing_is_counted_twice_under_load", under_load),
        Trial::test("reload::neither_virtual_machines_nor_memory_pile_up", no_pile),
        Trial::test("reload::telemetry_counts_every_request_once", telemetry_counts_once),
    ]
}

/// An Envoy whose listener is read from a file that can be replaced.
struct Reloading {
    envoy: Envoy,
    filter: &'static str,
    upstreams: Upstreams,
    folder: tempfile::TempDir,
    version: u64,
}

fn limits(requests: u32, other: u64) -> Value {
    json!({"limits": [
        {"name": "per-user", "key": [{"header": "x-user-id"}], "quotas": [{"requests": requests, "per": "1h"}]},
        // What changes beside it.
        {"name": "other", "key": [{"header": "x-other"}], "quotas": [{"requests": 1_000_000 + other, "per": "1h"}]},
    ]})
}

/// How often Envoy has looked at its listeners, and what it is at.
struct Updates {
    taken: u64,
    refused: u64,
    warming: u64,
}

impl Reloading {
    fn start(filter: &'static str, configuration: &Value) -> Result<Self, Failed> {
        let upstreams = Upstreams::start()?;
        let folder = tempfile::tempdir()?;
        let listeners = folder.path().join("listeners.json");
        let mut bootstrap = bootstrap::with_filters(&[(filter, configuration)], &upstreams, Form::Struct)?;
        write(&listeners, &bootstrap, 0)?;
        bootstrap["static_resources"]["listeners"] = json!([]);
        bootstrap["node"] = json!({"id": "test", "cluster": "test"});
        bootstrap["dynamic_resources"] = json!({"lds_config": {
            "resource_api_version": "V3",
            "path_config_source": {"path": listeners, "watched_directory": {"path": folder.path()}},
        }});
        Ok(Self { envoy: Envoy::start(&bootstrap, 2)?, filter, upstreams, folder, version: 0 })
    }

    /// Replaces the configuration and waits until Envoy has taken or refused it.
    fn replace(&mut self, configuration: &Value) -> Result<bool, Failed> {
        self.version += 1;
        let bootstrap =
            bootstrap::with_filters(&[(self.filter, configuration)], &self.upstreams, Form::Struct)?;
        let before = self.counts()?;
        write(&self.folder.path().join("listeners.json"), &bootstrap, self.version)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let now = self.counts()?;
            if now.refused > before.refused {
                return Ok(false);
            }
            if now.taken > before.taken && now.warming == 0 {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("Envoy did not look at version {}:\n{}", self.version, self.envoy.log()).into())
    }

    fn counts(&self) -> Result<Updates, Failed> {
        let stats = self.envoy.stats_below("listener_manager.")?;
        let count = |name: &str| {
            stats.iter().find(|(other, _)| other == name).map(|(_, count)| *count).ok_or(format!("no {name}"))
        };
        Ok(Updates {
            taken: count("listener_manager.lds.update_success")?,
            refused: count("listener_manager.lds.update_rejected")?,
            warming: count("listener_manager.total_listeners_warming")?,
        })
    }

    fn status(&self, user: &str) -> Result<u16, Failed> {
        status(self.envoy.address(), user)
    }

    fn expect(&self, what: &str, user: &str, expected: u16) -> Result<(), Failed> {
        let seen = self.status(user)?;
        if seen == expected {
            Ok(())
        } else {
            Err(format!("{what}: expected {expected}, seen {seen}").into())
        }
    }
}

/// A request on a connection of its own.
fn status(address: SocketAddr, user: &str) -> Result<u16, Failed> {
    let request = Request {
        method: "GET".to_owned(),
        path: b"/".to_vec(),
        host: "shop.example".to_owned(),
        // Under the limit that changes, so that each one leaves a state.
        headers: vec![
            (b"x-user-id".to_vec(), user.as_bytes().to_vec()),
            (b"x-other".to_vec(), user.as_bytes().to_vec()),
        ],
        body: Vec::new(),
        grpc: false,
    };
    Ok(Connection::open(address)?.send(&request)?.status)
}

/// Puts the listeners of a bootstrap into a file, by renaming: Envoy watches for that.
fn write(file: &Path, bootstrap: &Value, version: u64) -> Result<(), Failed> {
    let mut listener = bootstrap["static_resources"]["listeners"][0].clone();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    let fresh = file.with_extension("fresh");
    std::fs::write(
        &fresh,
        json!({"version_info": version.to_string(), "resources": [listener]}).to_string(),
    )?;
    Ok(std::fs::rename(fresh, file)?)
}

fn quota_state_survives() -> Result<(), Failed> {
    let mut reloading = Reloading::start("rate-limit", &limits(2, 0))?;
    reloading.expect("first", "ann", 200)?;
    reloading.expect("second", "ann", 200)?;
    if !reloading.replace(&limits(2, 1))? {
        return Err("a good configuration was refused".into());
    }
    reloading.expect("after a change beside it", "ann", 429)?;
    // A limit that itself changed starts new.
    if !reloading.replace(&limits(3, 1))? {
        return Err("a good configuration was refused".into());
    }
    reloading.expect("after a change of the limit", "ann", 200)
}

fn bad_configuration() -> Result<(), Failed> {
    let mut reloading = Reloading::start("rate-limit", &limits(1, 0))?;
    reloading.expect("first", "ann", 200)?;
    if reloading.replace(&json!({"limits": [{"name": "per user"}]}))? {
        return Err("a bad configuration was taken".into());
    }
    let log = reloading.envoy.log();
    for part in [
        "limits[0].name: expected",
        "limits[0]: expected \"quotas\", \"concurrency\" or \"global\", found none of them",
    ] {
        if !log.contains(part) {
            return Err(format!("expected {part:?} in the log:\n{log}").into());
        }
    }
    reloading.expect("the old limit", "ann", 429)?;
    reloading.expect("another user", "bob", 200)
}

/// As often as nobody reloads in a day. A tenth of it first: what a reload keeps once is not what it keeps each time.
const RELOADS: u64 = 1_000;
const WARM: u64 = 100;
/// What Envoy may gain between the two; 900 times 20 KiB would be more.
const MOST_KIB: u64 = 16 * 1024;

fn no_pile() -> Result<(), Failed> {
    let mut reloading = Reloading::start("rate-limit", &limits(10_000, 0))?;
    let before = active(&reloading)?;
    let began = Instant::now();
    reload(&mut reloading, 1..=WARM)?;
    settle(&reloading, before)?;
    let warm = reloading.envoy.resident_kib()?;
    reload(&mut reloading, WARM + 1..=RELOADS)?;
    settle(&reloading, before)?;
    let end = reloading.envoy.resident_kib()?;
    println!("{WARM} reloads: {warm} KiB, {RELOADS} reloads: {end} KiB, {:?}", began.elapsed());
    if end > warm + MOST_KIB {
        return Err(format!("{warm} KiB after {WARM} reloads, {end} KiB after {RELOADS}").into());
    }
    Ok(())
}

fn reload(reloading: &mut Reloading, turns: RangeInclusive<u64>) -> Result<(), Failed> {
    for turn in turns {
        if !reloading.replace(&limits(10_000, turn))? {
            return Err(format!("reload {turn} was refused").into());
        }
        reloading.expect("a request between", "ann", 200)?;
    }
    Ok(())
}

fn active(reloading: &Reloading) -> Result<u64, Failed> {
    Ok(reloading.envoy.stat("wasm.envoy.wasm.runtime.v8.active")?)
}

/// Waits until no more virtual machines are there than at the start: old listeners drain for a second.
fn settle(reloading: &Reloading, before: u64) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while active(reloading)? > before {
        if Instant::now() > deadline {
            let after = active(reloading)?;
            return Err(format!("{before} virtual machines at the start, {after} after the reloads").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Clients send all the time while what stands beside their limit changes again and again: they get their quota, once.
fn under_load() -> Result<(), Failed> {
    const QUOTA: u32 = 400;
    const CLIENTS: usize = 3;
    let configured = |reload: u64| {
        let mut configuration = limits(QUOTA, reload);
        // Nothing comes back while this runs.
        configuration["limits"][0]["quotas"][0]["per"] = json!("1000d");
        configuration
    };
    let mut reloading = Reloading::start("rate-limit", &configured(0))?;
    let (address, end) = (reloading.envoy.address(), AtomicBool::new(false));
    let send = || -> Result<u32, Failed> {
        match status(address, "ann")? {
            200 => Ok(1),
            429 => Ok(0),
            other => Err(format!("status {other}").into()),
        }
    };
    let client = || -> Result<u32, Failed> {
        let mut admitted = 0;
        while !end.load(Ordering::Relaxed) {
            admitted += send()?;
        }
        Ok(admitted)
    };
    let admitted = std::thread::scope(|scope| -> Result<u32, Failed> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut reload = || -> Result<u32, Failed> {
            for reload in 1..=20 {
                if !reloading.replace(&configured(reload))? {
                    return Err("a good configuration was refused".into());
                }
            }
            // And on until the quota is spent.
            let mut admitted = 0;
            while send()? == 1 {
                admitted += 1;
            }
            Ok(admitted)
        };
        let own = reload();
        end.store(true, Ordering::Relaxed);
        let clients = clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?);
        let admitted = clients.sum::<Result<u32, Failed>>();
        Ok(own? + admitted?)
    })?;
    let allowed = reloading.envoy.stat_named("wasmcustom.tidegate.rate_limit.per-user.allowed")?;
    if admitted == QUOTA && allowed == u64::from(QUOTA) {
        return Ok(());
    }
    Err(format!("{admitted} of {QUOTA} were admitted, {allowed} counted").into())
}

/// What a worker has counted when its configuration goes is told, once, and what is under way then is put right: by the old
/// configuration, which lives until its last request has ended.
fn telemetry_counts_once() -> Result<(), Failed> {
    const CLIENTS: usize = 2;
    const RELOADS: u64 = 10;
    let configured = |turn: u64| {
        json!({"max_series": 1_000 + turn, "metrics": [
            {"name": "told_total", "type": "counter", "labels": {"method": "method"}},
            {"name": "under_way", "type": "gauge", "value": "in_flight"},
        ]})
    };
    let mut reloading = Reloading::start("telemetry", &configured(0))?;
    let (address, end) = (reloading.envoy.address(), AtomicBool::new(false));
    let client = || -> Result<u64, Failed> {
        let mut sent = 0;
        while !end.load(Ordering::Relaxed) {
            if status(address, "ann")? != 200 {
                return Err("a request was not let through".into());
            }
            sent += 1;
        }
        Ok(sent)
    };
    let sent = std::thread::scope(|scope| -> Result<u64, Failed> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let reloaded = (1..=RELOADS).try_for_each(|turn| match reloading.replace(&configured(turn))? {
            true => Ok(()),
            false => Err(Failed::from("a good configuration was refused")),
        });
        end.store(true, Ordering::Relaxed);
        let clients = clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?);
        let sent = clients.sum::<Result<u64, Failed>>();
        reloaded?;
        sent
    })?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let told = reloading.envoy.stat_named("wasmcustom.method=.=GET;.;told_total")?;
        let under_way = reloading.envoy.stat_named("wasmcustom.under_way")?;
        if (told, under_way) == (sent, 0) {
            return Ok(());
        }
        if told > sent || Instant::now() > deadline {
            return Err(format!("{sent} were sent, {told} counted, {under_way} under way").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
