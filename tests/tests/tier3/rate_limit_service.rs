//! Global limits on the rate limit service that Envoy's project keeps, with a real Redis.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::{Connection, Reply};
use e2e::companions::ratelimit::RateLimitService;
use e2e::companions::redis::Redis;
use e2e::envoy::Envoy;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::Request;

use crate::needing;

const NEEDED: &[&str] = &["redis-server", "ratelimit"];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), Failed>| {
        needing(NEEDED, &format!("rate_limit_service::{name}"), run)
    };
    vec![
        trial("decides_for_all_envoys", decides_for_all_envoys),
        trial("decides_in_the_bootstrap_for_it", bootstrap_for_it),
        trial("hears_of_costs_early_and_late", hears_of_costs),
        trial("is_not_asked_what_is_known_here", is_not_asked_what_is_known_here),
        trial("may_be_killed_and_requests_pass", || killed(Victim::Service, "allow", 200)),
        trial("may_be_killed_and_requests_are_refused", || killed(Victim::Service, "deny", 503)),
        trial("may_lose_redis_and_requests_pass", || killed(Victim::Redis, "allow", 200)),
        trial("may_lose_redis_and_requests_are_refused", || killed(Victim::Redis, "deny", 503)),
    ]
}

/// Days: a test that runs over midnight would see a fresh quota, one over a full minute would see it often.
const RULES: &str = "
domain: shop
descriptors:
  - key: x-tenant
    rate_limit: {unit: day, requests_per_unit: 3}
  - key: generic_key
    value: tokens
    descriptors:
      - key: x-user
        rate_limit: {unit: day, requests_per_unit: 100}
  - key: generic_key
    value: plenty
    rate_limit: {unit: day, requests_per_unit: 1000000}
";

struct Stack {
    redis: Redis,
    service: RateLimitService,
    upstreams: Upstreams,
}

impl Stack {
    fn start() -> Result<Self, Failed> {
        let redis = Redis::start()?;
        Ok(Self { service: RateLimitService::start(&redis, RULES)?, redis, upstreams: Upstreams::start()? })
    }

    fn envoy(&self, limits: &Value, on_error: &str) -> Result<Envoy, Failed> {
        let configuration = json!({
            "limits": limits,
            // Longer than anybody would wait in earnest: the machine that runs this may be busy.
            "global": {"cluster": "ratelimit", "domain": "shop", "timeout": "2s", "on_error": on_error},
            "reply": {"headers": "draft_11", "problem_json": true},
        });
        let filters = [("rate-limit", &configuration)];
        let mut bootstrap = bootstrap::with_filters(&filters, &self.upstreams, Form::Struct)?;
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        clusters.push(bootstrap::grpc_cluster("ratelimit", self.service.address()));
        Ok(Envoy::start(&bootstrap, 2)?)
    }
}

fn send(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Reply, Failed> {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let request = Request {
        method: "GET".to_owned(),
        path: b"/".to_vec(),
        host: "shop.example".to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        grpc: false,
    };
    Ok(Connection::open(address)?.send(&request)?)
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    seen: &T,
    envoy: &Envoy,
) -> Result<(), Failed> {
    if expected == seen {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, seen {seen:?}\n{}", envoy.log()).into())
}

fn metric(envoy: &Envoy, name: &str) -> Result<u64, Failed> {
    Ok(envoy.stat_named(&format!("wasmcustom.tidegate.rate_limit.{name}"))?)
}

/// Polls until it holds.
fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + limit;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {limit:?}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn decides_for_all_envoys() -> Result<(), Failed> {
    let stack = Stack::start()?;
    let limits = json!([{"name": "per-tenant", "key": [{"header": "x-tenant"}], "global": true}]);
    let envoys = [stack.envoy(&limits, "deny")?, stack.envoy(&limits, "deny")?];
    for (turn, remaining) in [2, 1, 0].into_iter().enumerate() {
        let envoy = &envoys[turn % 2];
        let reply =
            send(envoy.address(), &[("x-tenant", "acme"), ("x-echo-header", "ratelimit-limit: upstream")])?;
        expect("an admitted request", &200, &reply.status, envoy)?;
        let limit = reply.header("ratelimit").unwrap_or_default();
        let expected = format!("\"per-tenant\";r={remaining};t=");
        if !limit.starts_with(expected.as_bytes()) {
            return Err(format!("expected {expected}…, seen {}", limit.escape_ascii()).into());
        }
        // The service's own field, in the upstream's place.
        let own: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "ratelimit-limit").collect();
        expect("RateLimit-Limit", &vec![&("ratelimit-limit".to_owned(), b"3".to_vec())], &own, envoy)?;
    }
    let [first, second] = &envoys;
    let refused = send(first.address(), &[("x-tenant", "acme")])?;
    expect("the fourth request", &429, &refused.status, first)?;
    let retry = refused.header("retry-after").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    if !retry.is_some_and(|seconds: u64| (1..=86_400).contains(&seconds)) {
        return Err(format!("Retry-After: {retry:?}").into());
    }
    let policy = refused.header("ratelimit-policy").unwrap_or_default();
    expect("its policy", &br#""per-tenant";q=3;w=86400"#.as_slice(), &policy, first)?;
    if !String::from_utf8_lossy(&refused.body).contains(r#""violated-policies":["per-tenant"]"#) {
        return Err(format!("no problem: {}", String::from_utf8_lossy(&refused.body)).into());
    }
    expect(
        "through the other Envoy",
        &429,
        &send(second.address(), &[("x-tenant", "acme")])?.status,
        second,
    )?;
    expect("another tenant", &200, &send(second.address(), &[("x-tenant", "globex")])?.status, second)?;
    expect("denied", &1, &metric(first, "per-tenant.denied")?, first)?;
    expect("errors", &0, &metric(first, "per-tenant.errors")?, first)
}

/// The bootstrap of `envoy-config/`, with the service where it is.
fn bootstrap_for_it() -> Result<(), Failed> {
    let stack = Stack::start()?;
    let file = tools::repo_root().join("envoy-config/rate-limit-service.yaml");
    let mut bootstrap = bootstrap::read(&file)?;
    bootstrap::fit(&mut bootstrap, &stack.upstreams)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "ratelimit").ok_or("no cluster")?;
    let port = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
    *cluster.pointer_mut(port).ok_or("no port")? = json!(stack.service.address().port());
    let envoy = Envoy::start(&bootstrap, 2)?;
    // What cannot be decided within the bootstrap's 20 ms passes, and a busy machine may take longer: then once more.
    until("three a day, and no more", Duration::from_secs(10), || {
        Ok(send(envoy.address(), &[("x-tenant", "acme")])?.status == 429)
    })?;
    let (allowed, errors) = (metric(&envoy, "per-tenant.allowed")?, metric(&envoy, "per-tenant.errors")?);
    if allowed > 3 || allowed + errors < 3 {
        return Err(format!("{allowed} of 3 were admitted, {errors} passed undecided").into());
    }
    Ok(())
}

fn hears_of_costs() -> Result<(), Failed> {
    let stack = Stack::start()?;
    let limit = |cost: Value| json!([{"name": "tokens", "key": [{"header": "x-user"}], "global": {"generic_key": "tokens"}, "cost": cost}]);
    let early = stack.envoy(&limit(json!({"request_header": "x-cost"})), "deny")?;
    let ask = |user: &str, cost: &str| send(early.address(), &[("x-user", user), ("x-cost", cost)]);
    expect("70 of 100", &200, &ask("ann", "70")?.status, &early)?;
    expect("40 more", &429, &ask("ann", "40")?.status, &early)?;

    let late = stack.envoy(&limit(json!({"json_field": "usage.total_tokens"})), "deny")?;
    let used = |tokens: u32| {
        let body = format!(r#"{{"usage": {{"total_tokens": {tokens}}}}}"#);
        send(late.address(), &[("x-user", "bob"), ("x-echo-body", &body)])
    };
    for _ in 0..2 {
        let before = metric(&late, "tokens.allowed")?;
        expect("an admitted request", &200, &used(50)?.status, &late)?;
        expect("it was asked", &(before + 1), &metric(&late, "tokens.allowed")?, &late)?;
    }
    // The service is told when the body has passed, a moment after the client has seen its end.
    until("100 of 100 are used", Duration::from_secs(10), || Ok(used(0)?.status == 429))?;
    expect("errors", &0, &metric(&late, "tokens.errors")?, &late)
}

fn is_not_asked_what_is_known_here() -> Result<(), Failed> {
    let stack = Stack::start()?;
    let quotas = json!([{"requests": 1, "per": "1d"}]);
    let limits = json!([{"name": "both", "key": [{"header": "x-tenant"}], "quotas": quotas, "global": true}]);
    let envoy = stack.envoy(&limits, "deny")?;
    let statuses = (0..5).map(|_| Ok(send(envoy.address(), &[("x-tenant", "acme")])?.status));
    expect(
        "statuses",
        &vec![200, 429, 429, 429, 429],
        &statuses.collect::<Result<Vec<u16>, Failed>>()?,
        &envoy,
    )?;
    expect("calls", &1, &envoy.stat_named("cluster.ratelimit.upstream_rq_total")?, &envoy)
}

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Service,
    Redis,
}

/// What clients saw while something was killed and started again.
#[derive(Debug, Default)]
struct Seen {
    admitted: usize,
    otherwise: usize,
    unexpected: Vec<String>,
    slowest: Duration,
}

/// Requests all the time, from clients that each wait for an answer before they send again.
fn traffic(address: SocketAddr, otherwise: u16, end: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !end.load(Ordering::Relaxed) {
        let began = Instant::now();
        match send(address, &[]) {
            Ok(reply) if reply.status == 200 => seen.admitted += 1,
            Ok(reply) if reply.status == otherwise => seen.otherwise += 1,
            Ok(reply) => seen.unexpected.push(reply.status.to_string()),
            Err(error) => seen.unexpected.push(format!("{error:?}")),
        }
        seen.slowest = seen.slowest.max(began.elapsed());
    }
    seen
}

fn killed(victim: Victim, on_error: &str, otherwise: u16) -> Result<(), Failed> {
    const CLIENTS: usize = 4;
    let mut stack = Stack::start()?;
    let envoy = stack.envoy(&json!([{"name": "all", "global": {"generic_key": "plenty"}}]), on_error)?;
    let (address, end) = (envoy.address(), AtomicBool::new(false));
    let errors = || metric(&envoy, "all.errors");
    let allowed = || metric(&envoy, "all.allowed");
    let patience = Duration::from_secs(20);
    let seen = thread::scope(|scope| -> Result<Vec<Seen>, Failed> {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| traffic(address, otherwise, &end))).collect();
        let mut story = || -> Result<(), Failed> {
            until("it decides", patience, || Ok(allowed()? > 20))?;
            expect("errors before", &0, &errors()?, &envoy)?;
            match victim {
                Victim::Service => stack.service.kill(),
                Victim::Redis => stack.redis.kill(),
            }
            until("errors are counted", patience, || Ok(errors()? > 20))?;
            match victim {
                Victim::Service => {
                    let port = stack.service.address().port();
                    stack.service = RateLimitService::start_on(&stack.redis, RULES, port)?;
                }
                Victim::Redis => stack.redis.restart()?,
            }
            let before = allowed()?;
            until("it decides again", patience, || Ok(allowed()? > before + 20))
        };
        let told = story();
        end.store(true, Ordering::Relaxed);
        let seen = clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked".into()));
        told.and(seen.collect())
    })?;
    let unexpected: Vec<&String> = seen.iter().flat_map(|seen| &seen.unexpected).collect();
    expect("unexpected answers", &Vec::new(), &unexpected, &envoy)?;
    let slowest = seen.iter().map(|seen| seen.slowest).max().unwrap_or_default();
    // The timeout, and what a busy machine adds to it: nothing hangs.
    if slowest > Duration::from_secs(10) {
        return Err(format!("a request took {slowest:?}").into());
    }
    let denied: usize = seen.iter().map(|seen| seen.otherwise).sum();
    if (otherwise == 503) == (denied == 0) {
        return Err(format!("{denied} requests were refused with {otherwise}").into());
    }
    let admitted: usize = seen.iter().map(|seen| seen.admitted).sum();
    println!("{admitted} admitted, {denied} refused, {} errors, slowest {slowest:?}", errors()?);
    Ok(())
}
