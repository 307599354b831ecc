//! Requests that show what the configurations of `envoy-config/filters` decide, wherever a host has put them.

use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Failed;
use tidegate_testkit::scenario::Response;

/// The configurations, by the names of their files.
pub(crate) const CONFIGURATIONS: &[&str] =
    &["auth", "header-routing", "rate-limit", "rate-limit-service", "suite", "telemetry", "telemetry-otlp"];

/// The filter that a configuration is for.
pub(crate) fn filter(configuration: &str) -> &'static str {
    match configuration {
        "auth" => "auth",
        "header-routing" => "header-routing",
        "rate-limit" | "rate-limit-service" => "rate-limit",
        "suite" => "suite",
        _ => "telemetry",
    }
}

/// Sends a GET for a path with headers.
pub(crate) type Send<'a> = &'a dyn Fn(&str, &[(&str, &str)]) -> Result<Response, Failed>;

/// Whether this configuration decides about what `send` sends. It may be asked again: nobody has spent the quotas.
pub(crate) fn decides(configuration: &str, send: Send<'_>) -> Result<(), Failed> {
    match configuration {
        "auth" => auth(send),
        "header-routing" => header_routing(send),
        "rate-limit" => rate_limit(send, &[]),
        "rate-limit-service" => has_header(send, "ratelimit-policy"),
        "suite" => suite(send),
        "telemetry" | "telemetry-otlp" => has_header(send, "x-trace-id"),
        other => Err(format!("nothing is known of {other}").into()),
    }
}

const ACME: (&str, &str) = ("x-api-key", "acme-key-1");
const GLOBEX: (&str, &str) = ("x-api-key", "globex-key-1");

fn expect(send: Send<'_>, path: &str, headers: &[(&str, &str)], status: u16) -> Result<Response, Failed> {
    let response = send(path, headers)?;
    if response.status != status {
        return Err(format!("{path} {headers:?}: expected {status}, seen {}", response.status).into());
    }
    Ok(response)
}

fn upstream(response: &Response, header: &str, expected: Option<&str>) -> Result<(), Failed> {
    match response.upstream_header(header) {
        seen if seen.as_deref() == expected => Ok(()),
        seen => Err(format!("upstream {header}: expected {expected:?}, seen {seen:?}").into()),
    }
}

fn auth(send: Send<'_>) -> Result<(), Failed> {
    expect(send, "/orders", &[], 401)?;
    expect(send, "/orders", &[("x-api-key", "guessed")], 401)?;
    let response = expect(send, "/orders", &[ACME, ("x-auth-subject", "root")], 200)?;
    upstream(&response, "x-auth-subject", Some("acme"))?;
    upstream(&response, "x-api-key", None)?;
    expect(send, "/admin", &[GLOBEX], 403)?;
    expect(send, "/admin", &[ACME], 200)?;
    expect(send, "/healthz", &[], 200).map(drop)
}

fn header_routing(send: Send<'_>) -> Result<(), Failed> {
    let moved = expect(send, "/legacy", &[], 308)?;
    if moved.header("location").as_deref() != Some("https://docs.example.com/legacy") {
        return Err(format!("location: seen {:?}", moved.header("location")).into());
    }
    expect(send, "/down", &[], 503)?;
    let old = expect(send, "/v1/users/7", &[("x-tidegate-route", "beta")], 200)?;
    upstream(&old, ":path", Some("/v2/users/7"))?;
    upstream(&old, "x-user", Some("7"))?;
    upstream(&old, "x-tidegate-route", Some("stable"))?;
    let beta = expect(send, "/", &[("x-beta", "1")], 200)?;
    upstream(&beta, "x-tidegate-route", Some("beta"))
}

/// A user that nobody has been yet.
fn fresh_user() -> String {
    static USERS: AtomicU32 = AtomicU32::new(0);
    format!("user-{}", USERS.fetch_add(1, Ordering::Relaxed))
}

fn rate_limit(send: Send<'_>, headers: &[(&str, &str)]) -> Result<(), Failed> {
    for user in [fresh_user(), fresh_user()] {
        let mut headers = headers.to_vec();
        headers.push(("x-user-id", &user));
        for status in [200, 200, 200, 429] {
            expect(send, "/api/orders", &headers, status)?;
        }
    }
    Ok(())
}

fn suite(send: Send<'_>) -> Result<(), Failed> {
    expect(send, "/api/orders", &[], 401)?;
    rate_limit(send, &[ACME])?;
    let response = expect(send, "/orders", &[GLOBEX, ("x-beta", "1")], 200)?;
    upstream(&response, "x-auth-subject", Some("globex"))?;
    upstream(&response, "x-tidegate-route", Some("beta"))
}

fn has_header(send: Send<'_>, name: &str) -> Result<(), Failed> {
    let response = expect(send, "/orders", &[("x-tenant", "acme")], 200)?;
    match response.header(name) {
        Some(_) => Ok(()),
        None => Err(format!("no {name} in {:?}", response.headers).into()),
    }
}
