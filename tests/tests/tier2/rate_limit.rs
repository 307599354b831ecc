//! What a scenario cannot say of rate limiting: exactness under parallel clients, accuracy over time, what is under way,
//! and bodies that pass.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::{Connection, Multiplexed, Reply};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::Request;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = [1, 2, 4]
        .map(|workers| {
            Trial::test(format!("rate_limit::exact_with_{workers}_workers"), move || exact(workers))
        })
        .into();
    trials.extend([
        Trial::test("rate_limit::accurate_at_twice_the_rate", accurate),
        Trial::test("rate_limit::no_more_under_way_than_allowed", under_way),
        Trial::test("rate_limit::clients_that_go_away_give_their_place_back", going_away),
        Trial::test("rate_limit::leases_expire", leases_expire),
        Trial::test("rate_limit::events_pass_while_their_cost_is_read", events_pass),
        Trial::test("rate_limit::grpc_calls_at_once", grpc),
        Trial::test("rate_limit::a_service_out_of_reach_goes_the_configured_way", out_of_reach),
    ]);
    trials
}

/// An Envoy with these limits; it answers by itself unless requests are to reach the upstreams.
fn envoy(limits: &Value, workers: u32, upstreams: Option<&Upstreams>) -> Result<Envoy, Failed> {
    let configuration = json!({"limits": limits});
    let filters = [("rate-limit", &configuration)];
    if let Some(upstreams) = upstreams {
        return Ok(Envoy::start(&bootstrap::with_filters(&filters, upstreams, Form::Struct)?, workers)?);
    }
    let mut bootstrap = bootstrap::with_filters(&filters, &Upstreams::start()?, Form::Struct)?;
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    *bootstrap.pointer_mut(routes).ok_or("no routes")? = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "."}}}]);
    Ok(Envoy::start(&bootstrap, workers)?)
}

fn request(headers: &[(&str, &str)], grpc: bool) -> Request {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    Request {
        method: if grpc { "POST" } else { "GET" }.to_owned(),
        path: b"/shop.Cart/Add".to_vec(),
        host: "shop.example".to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        grpc,
    }
}

fn send(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Reply, Failed> {
    Ok(Connection::open(address)?.send(&request(headers, false))?)
}

fn metric(envoy: &Envoy, name: &str) -> Result<u64, Failed> {
    Ok(envoy.stat_named(&format!("wasmcustom.tidegate.rate_limit.{name}"))?)
}

/// Polls: what happens at a stream's end happens a moment after its client has seen it.
fn until(what: &str, mut holds: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within 15 s").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// One key, and more clients than workers: what is admitted is the quota, to the request.
fn exact(workers: u32) -> Result<(), Failed> {
    const CLIENTS: usize = 16;
    const EACH: usize = 250;
    const QUOTA: usize = 2_000;
    let envoy =
        envoy(&json!([{"name": "all", "quotas": [{"requests": QUOTA, "per": "100d"}]}]), workers, None)?;
    let (address, start) = (envoy.address(), Barrier::new(CLIENTS));
    let client = || -> Result<usize, Failed> {
        let mut connection = Connection::open(address)?;
        start.wait();
        let mut admitted = 0;
        for _ in 0..EACH {
            match connection.send(&request(&[], false))?.status {
                200 => admitted += 1,
                429 => {}
                other => return Err(format!("status {other}").into()),
            }
        }
        Ok(admitted)
    };
    let admitted = thread::scope(|scope| -> Result<usize, Failed> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).sum()
    })?;
    let counts =
        (metric(&envoy, "all.allowed")?, metric(&envoy, "all.denied")?, metric(&envoy, "all.errors")?);
    let refused = CLIENTS * EACH - QUOTA;
    if admitted != QUOTA || counts != (QUOTA as u64, refused as u64, 0) {
        return Err(format!("{admitted} of {QUOTA} admitted; allowed, denied, errors: {counts:?}").into());
    }
    // It would show nothing if one worker had done it all.
    let busy = envoy.stats()?.into_iter().filter(|(name, count)| {
        name.starts_with("listener.")
            && name.contains(".worker_")
            && name.ends_with("downstream_cx_total")
            && *count > 0
    });
    let busy = busy.count();
    if workers > 1 && busy < 2 {
        return Err(format!("{busy} of {workers} workers took part").into());
    }
    Ok(())
}

/// Ten seconds at twice the rate: what is admitted is rate times time and the burst, within one percent.
fn accurate() -> Result<(), Failed> {
    const RATE: u32 = 200;
    const BURST: u32 = 200;
    const CLIENTS: u32 = 4;
    const SECONDS: u32 = 10;
    let quotas = json!([{"requests": RATE, "per": "1s", "burst": BURST}]);
    let envoy = envoy(&json!([{"name": "all", "quotas": quotas}]), 2, None)?;
    let (address, began) = (envoy.address(), Instant::now());
    let pause = Duration::from_secs(1) * CLIENTS / (2 * RATE);
    let client = |offset: Duration| -> Result<u32, Failed> {
        let mut connection = Connection::open(address)?;
        let mut admitted = 0;
        // Each at its time; who is late sends at once, so that a busy machine changes the rate by a moment only.
        for turn in 0..SECONDS * 2 * RATE / CLIENTS {
            thread::sleep((pause * turn + offset).saturating_sub(began.elapsed()));
            admitted += u32::from(connection.send(&request(&[], false))?.status == 200);
        }
        Ok(admitted)
    };
    let admitted = thread::scope(|scope| -> Result<u32, Failed> {
        let offsets = (0..CLIENTS).map(|client| pause * client / CLIENTS);
        let clients: Vec<_> = offsets.map(|offset| scope.spawn(move || client(offset))).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).sum()
    })?;
    let expected = f64::from(RATE) * began.elapsed().as_secs_f64() + f64::from(BURST);
    let ratio = f64::from(admitted) / expected;
    println!("{admitted} admitted, {expected:.0} expected");
    if (0.99..=1.0).contains(&ratio) {
        Ok(())
    } else {
        Err(format!("{admitted} of {expected:.0} admitted").into())
    }
}

const EXPORTS: usize = 4;

fn exports(expire: &str) -> Value {
    json!([{"name": "exports", "key": [{"header": "x-tenant"}], "concurrency": {"max": EXPORTS, "expire": expire}}])
}

/// So many requests that stay under way until their streams are dropped.
fn hold(address: SocketAddr, requests: usize) -> Result<Vec<TcpStream>, Failed> {
    let head = b"GET / HTTP/1.1\r\nhost: a\r\nx-tenant: acme\r\nx-echo-delay-ms: 60000\r\n\r\n";
    let streams: std::io::Result<_> = (0..requests)
        .map(|_| {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(head)?;
            Ok(stream)
        })
        .collect();
    Ok(streams?)
}

/// Waits until every one of the held requests was decided, so that none of them meets a probe.
fn until_decided(envoy: &Envoy, allowed: u64, denied: u64) -> Result<(), Failed> {
    until("all are decided", || {
        let seen = (metric(envoy, "exports.allowed")?, metric(envoy, "exports.denied")?);
        match seen.0 + seen.1 < allowed + denied {
            true => Ok(false),
            false if seen == (allowed, denied) => Ok(true),
            false => {
                Err(format!("{seen:?} allowed and denied, not {:?}\n{}", (allowed, denied), envoy.log())
                    .into())
            }
        }
    })
}

fn refused(envoy: &Envoy) -> Result<bool, Failed> {
    Ok(send(envoy.address(), &[("x-tenant", "acme")])?.status == 429)
}

fn under_way() -> Result<(), Failed> {
    const REQUESTS: usize = 12;
    let upstreams = Upstreams::start()?;
    let envoy = envoy(&exports("5m"), 4, Some(&upstreams))?;
    let (allowed, denied) = (EXPORTS as u64, (REQUESTS - EXPORTS) as u64);
    for round in 1..=2 {
        let waiting = hold(envoy.address(), REQUESTS)?;
        until_decided(&envoy, round * allowed, round * denied)?;
        drop(waiting);
        // An end is told a moment after the client has gone.
        until("all have ended", || Ok(envoy.stat_named("http.ingress.downstream_rq_active")? == 0))?;
    }
    let errors = metric(&envoy, "exports.errors")?;
    if errors == 0 { Ok(()) } else { Err(format!("{errors} errors").into()) }
}

fn going_away() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let envoy = envoy(&exports("5m"), 2, Some(&upstreams))?;
    let waiting = hold(envoy.address(), EXPORTS)?;
    until_decided(&envoy, EXPORTS as u64, 0)?;
    if !refused(&envoy)? {
        return Err("there is room beside all that are under way".into());
    }
    drop(waiting);
    until("there is room again", || Ok(!refused(&envoy)?))
}

/// Nothing ends here: an expiry alone makes room, and not before its time.
fn leases_expire() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let envoy = envoy(&exports("2s"), 2, Some(&upstreams))?;
    let began = Instant::now();
    let waiting = hold(envoy.address(), EXPORTS)?;
    until_decided(&envoy, EXPORTS as u64, 0)?;
    until("there is room again", || Ok(!refused(&envoy)?))?;
    if began.elapsed() < Duration::from_secs(2) {
        return Err(format!("room after {:?}", began.elapsed()).into());
    }
    drop(waiting);
    Ok(())
}

/// A stream of events reaches the client piece by piece, and what it said it cost is charged.
fn events_pass() -> Result<(), Failed> {
    let (go_on, wait) = mpsc::channel();
    let stream = event_stream(wait)?;
    let limits = json!([{
        "name": "tokens", "quotas": [{"units": 100, "per": "1d"}], "cost": {"json_field": "usage.total_tokens"},
    }]);
    let mut upstreams = Upstreams::start()?;
    upstreams.stable = stream;
    let envoy = envoy(&limits, 1, Some(&upstreams))?;
    let mut client = TcpStream::connect(envoy.address())?;
    client.set_read_timeout(Some(Duration::from_secs(15)))?;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
    let mut seen = String::new();
    let mut read_until = |text: &str| -> Result<(), Failed> {
        let mut buffer = [0; 4096];
        while !seen.contains(text) {
            match client.read(&mut buffer)? {
                0 => return Err(format!("the stream ended before {text}: {seen}").into()),
                length => seen.push_str(&String::from_utf8_lossy(&buffer[..length])),
            }
        }
        Ok(())
    };
    // The upstream sends the next piece only when the one before has been seen here.
    for text in ["Hel", "total_tok", "ens\":100", "[DONE]"] {
        read_until(text)?;
        go_on.send(())?;
    }
    until("100 of 100 are used", || Ok(send(envoy.address(), &[])?.status == 429))?;
    let errors = metric(&envoy, "tokens.errors")?;
    if errors == 0 { Ok(()) } else { Err(format!("{errors} errors\n{}", envoy.log()).into()) }
}

/// An upstream that sends server-sent events in pieces, each after it was told to.
fn event_stream(wait: mpsc::Receiver<()>) -> Result<SocketAddr, Failed> {
    const PIECES: [&str; 4] = [
        "data: {\"delta\":\"Hel\",\"usage\":null}\n\n",
        "data: {\"usage\":{\"total_tok",
        "ens\":100}}\n",
        "\ndata: [DONE]\n\n",
    ];
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let _ = stream.read(&mut [0; 4096])?;
        // Closed behind it: a probe that waits for a connection would be given this one, which nobody reads from any more.
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream";
        stream.write_all(format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes())?;
        for piece in PIECES {
            stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())?;
            if wait.recv().is_err() {
                return Ok(());
            }
        }
        stream.write_all(b"0\r\n\r\n")?;
        drop(stream);
        // Who asks whether the cost has arrived may come before it has: that costs nothing.
        loop {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 4096])?;
            let body = "{\"usage\":{\"total_tokens\":0}}";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        }
    });
    Ok(address)
}

/// A cluster that is not there, and one in which nobody listens: each request is counted, and none waits for long.
fn out_of_reach() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    // Bound and let go: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for (cluster, on_error, expected) in
        [("absent", "deny", 503), ("absent", "allow", 200), ("dead", "deny", 503), ("dead", "allow", 200)]
    {
        let configuration = json!({
            "limits": [{"name": "all", "global": true}],
            "global": {"cluster": cluster, "domain": "shop", "timeout": "1s", "on_error": on_error},
        });
        let filters = [("rate-limit", &configuration)];
        let mut bootstrap = bootstrap::with_filters(&filters, &upstreams, Form::Struct)?;
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        clusters.push(bootstrap::grpc_cluster("dead", nobody));
        let envoy = Envoy::start(&bootstrap, 1)?;
        for asked in 1..=3 {
            let status = send(envoy.address(), &[])?.status;
            let counted = (metric(&envoy, "all.errors")?, metric(&envoy, "all.denied")?);
            let denied = if on_error == "deny" { asked } else { 0 };
            if (status, counted) != (expected, (asked, denied)) {
                return Err(format!(
                    "{cluster}, {on_error}: {status}, errors and denied {counted:?}\n{}",
                    envoy.log()
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Many calls on one connection at the same time: those beyond the quota get RESOURCE_EXHAUSTED, none a broken stream.
fn grpc() -> Result<(), Failed> {
    const QUOTA: usize = 30;
    let upstreams = Upstreams::start()?;
    let quotas = json!([{"requests": QUOTA, "per": "1d"}]);
    let envoy = envoy(&json!([{"name": "calls", "quotas": quotas}]), 2, Some(&upstreams))?;
    let calls = vec![request(&[], true); 100];
    let replies = Multiplexed::open(envoy.address())?.send_all(&calls, None)?;
    let statuses = replies.into_iter().map(|reply| Ok(reply?.grpc_status()));
    let statuses: Vec<Option<u32>> = statuses.collect::<Result<_, Failed>>()?;
    let count = |wanted: u32| statuses.iter().filter(|status| **status == Some(wanted)).count();
    if (count(0), count(8)) == (QUOTA, calls.len() - QUOTA) {
        return Ok(());
    }
    Err(format!("{statuses:?}\n{}", envoy.log()).into())
}
