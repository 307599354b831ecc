//! What there is to try: one list, for people and for the check.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tidegate_testkit::scenario::{Request, Response};

use crate::client::Connection;
use crate::envoy::Envoy;

/// How long a metric may take to show.
const METRIC_LIMIT: Duration = Duration::from_secs(15);

struct Step {
    /// What it shows, as told to people.
    shows: &'static str,
    kind: Kind,
    /// What [`seen`] must say.
    expected: &'static str,
}

enum Kind {
    /// A request, so often; of the last response, these headers (`<`) or what the backend got (`>`) matter.
    Http {
        path: &'static str,
        headers: &'static [(&'static str, &'static str)],
        times: u32,
        look_at: &'static [&'static str],
    },
    /// A metric with these labels among its own; in which order Envoy prints labels is its business.
    Metric { name: &'static str, labels: &'static [(&'static str, &'static str)] },
}

const KEY: (&str, &str) = ("x-api-key", "acme-key-1");

const STEPS: [Step; 9] = [
    Step {
        shows: "auth: /healthz is open to anyone",
        kind: Kind::Http { path: "/healthz", headers: &[], times: 1, look_at: &[] },
        expected: "200 from stable",
    },
    Step {
        shows: "auth: without a key, 401",
        kind: Kind::Http { path: "/orders", headers: &[], times: 1, look_at: &["<www-authenticate"] },
        expected: "401 from Envoy, www-authenticate: ApiKey",
    },
    Step {
        shows: "auth: with a key; the backend learns who called, and never the key",
        kind: Kind::Http {
            path: "/orders",
            headers: &[KEY, ("x-auth-subject", "root")],
            times: 1,
            look_at: &[">x-auth-subject", ">x-api-key"],
        },
        expected: "200 from stable, x-auth-subject: acme, no x-api-key",
    },
    Step {
        shows: "auth: /admin is acme's; another identity gets 403",
        kind: Kind::Http {
            path: "/admin",
            headers: &[("x-api-key", "globex-key-1")],
            times: 1,
            look_at: &[],
        },
        expected: "403 from Envoy",
    },
    Step {
        shows: "auth: a path that somebody may read otherwise, 400",
        kind: Kind::Http { path: "/healthz/..%2fadmin", headers: &[], times: 1, look_at: &[] },
        expected: "400 from Envoy",
    },
    Step {
        shows: "header-routing: x-beta leads to the other backend",
        kind: Kind::Http { path: "/orders", headers: &[KEY, ("x-beta", "1")], times: 1, look_at: &[] },
        expected: "200 from beta",
    },
    Step {
        shows: "header-routing: a client cannot choose the route itself",
        kind: Kind::Http {
            path: "/orders",
            headers: &[KEY, ("x-tidegate-route", "beta")],
            times: 1,
            look_at: &[],
        },
        expected: "200 from stable",
    },
    Step {
        shows: "rate-limit: three at once, the fourth is refused until Retry-After",
        kind: Kind::Http {
            path: "/api/items",
            headers: &[KEY, ("x-user-id", "ann"), ("x-tenant", "acme")],
            times: 4,
            look_at: &["<x-envoy-ratelimited"],
        },
        expected: "200 200 200 429 from Envoy, x-envoy-ratelimited: true",
    },
    Step {
        shows: "telemetry: what was counted so far",
        kind: Kind::Metric { name: "shop_requests_total", labels: &[("code", "4xx"), ("tenant", "acme")] },
        expected: "shop_requests_total with code=4xx, tenant=acme: 1",
    },
];

/// Prints the steps as commands.
pub(super) fn print(envoy: &Envoy) {
    for step in &STEPS {
        println!("  # {}", step.shows);
        println!("  {}", command(step, envoy));
        println!("    → {}", step.expected);
    }
}

/// Takes the steps, prints expected and seen side by side, and says whether all agree.
pub(super) fn check(envoy: &Envoy) -> Result<bool> {
    let width = STEPS.iter().map(|step| step.expected.len()).max().unwrap_or_default();
    let mut all = true;
    for step in &STEPS {
        let seen = seen(step, envoy)?;
        let agrees = seen == step.expected;
        all &= agrees;
        println!("{} {}", if agrees { "✓" } else { "✗" }, step.shows);
        println!("    expected {:width$}   seen {seen}", step.expected);
    }
    if !all {
        println!("\nEnvoy's log:\n{}", envoy.log());
    }
    Ok(all)
}

fn command(step: &Step, envoy: &Envoy) -> String {
    match &step.kind {
        Kind::Http { path, headers, times, .. } => {
            let headers: String =
                headers.iter().map(|(name, value)| format!("-H '{name}: {value}' ")).collect();
            let curl = format!("curl -i {headers}'http://{}{path}'", envoy.address());
            if *times > 1 { format!("for n in $(seq {times}); do {curl}; done") } else { curl }
        }
        Kind::Metric { name, .. } => {
            format!("curl -s http://{}/stats/prometheus | grep ^{name}", envoy.admin())
        }
    }
}

fn seen(step: &Step, envoy: &Envoy) -> Result<String> {
    match &step.kind {
        Kind::Http { path, headers, times, look_at } => {
            let request = Request {
                method: "GET".to_owned(),
                path: path.as_bytes().to_vec(),
                host: envoy.address().to_string(),
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                    .collect(),
                body: Vec::new(),
                grpc: false,
            };
            let mut statuses = Vec::new();
            let mut last = Response::default();
            for _ in 0..*times {
                last = Response::from(Connection::open(envoy.address())?.send(&request)?);
                statuses.push(last.status.to_string());
            }
            let from = last.reached.as_deref().unwrap_or("Envoy");
            let details = look_at.iter().map(|place| detail(place, &last));
            Ok(format!("{} from {from}{}", statuses.join(" "), details.collect::<String>()))
        }
        Kind::Metric { name, labels } => metric(name, labels, envoy),
    }
}

fn detail(place: &str, response: &Response) -> String {
    let (value, name) = match place.strip_prefix('<') {
        Some(name) => (response.header(name), name),
        None => {
            let name = place.trim_start_matches('>');
            (response.upstream_header(name), name)
        }
    };
    value.map_or(format!(", no {name}"), |value| format!(", {name}: {value}"))
}

/// An exchange is counted a moment after its response has arrived, and told with the worker's next tick.
fn metric(name: &str, labels: &[(&str, &str)], envoy: &Envoy) -> Result<String> {
    let deadline = Instant::now() + METRIC_LIMIT;
    let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let shown: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    loop {
        let text = envoy.admin_get("/stats/prometheus")?;
        let mut lines = text.lines().filter(|line| line.starts_with(name));
        let found = lines.find(|line| wanted.iter().all(|label| line.contains(label)));
        let value = found.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value);
        if let Some(value) = value.filter(|value| *value != "0" || Instant::now() > deadline) {
            return Ok(format!("{name} with {}: {value}", shown.join(", ")));
        }
        if Instant::now() > deadline {
            let seen: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
            return Ok(format!("no such metric among {seen:?}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
