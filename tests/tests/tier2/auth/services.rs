//! Decision services that fail and lie, and what is remembered of their answers.

use std::time::{Duration, Instant};

use e2e::bootstrap;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::site::{Answer, Server, Site};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth::services::http_without_an_answer", || without_an_answer("http")),
        Trial::test("auth::services::grpc_without_an_answer", || without_an_answer("grpc")),
        Trial::test("auth::services::http_decides_and_names_the_caller", http_decides),
        Trial::test("auth::services::no_answer_is_given_to_another_request", remembered),
    ]
}

fn auth(service: &Value, more: &Value) -> Value {
    let mut external = service.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        external[name] = value.clone();
    }
    json!({"providers": {"policy": {"external": external}}, "rules": [{"name": "all", "require": "policy"}],
        "forward": {"principal_header": "x-auth-subject"}})
}

fn without_an_answer(kind: &str) -> Result<(), Failed> {
    let answers = [
        ("silent", Answer::Silence),
        ("closing", Answer::Bytes(Vec::new())),
        ("garbage", Answer::Bytes(b"\x00\xff not HTTP\r\n\r\n".to_vec())),
        ("truncated", Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec())),
        ("failing", Answer::of("500 Oops", "oops")),
        ("unavailable", Answer::of("503 Unavailable", "")),
    ];
    let mut wrong = Vec::new();
    let names =
        answers.iter().map(|(name, _)| *name).chain(["nowhere"]).chain((kind == "grpc").then_some("echo"));
    let mut clusters = Vec::new();
    for (name, answer) in &answers {
        let address = Server::start(answer.clone())?.address;
        clusters.push(match kind {
            "grpc" => bootstrap::grpc_cluster(name, address),
            _ => bootstrap::cluster(name, address),
        });
    }
    // A gRPC server that answers with a message of another kind.
    let echo = e2e::upstream::Upstreams::start()?;
    clusters.push(bootstrap::grpc_cluster("echo", echo.stable));
    let providers: serde_json::Map<String, Value> = names
        .clone()
        .flat_map(|name| ["deny", "allow"].map(|on_error| (name, on_error)))
        .map(|(name, on_error)| {
            let service = json!({kind: {"cluster": name, "timeout": "300ms"}, "on_error": on_error});
            (format!("{name}-{on_error}"), json!({"external": service}))
        })
        .collect();
    let rules: Vec<Value> = providers
        .keys()
        .map(|name| json!({"name": name, "match": {"paths": [{"exact": format!("/{name}")}]}, "require": name}))
        .collect();
    let site = Site::start(&json!({"providers": providers, "rules": rules}), &clusters, 2)?;
    for name in names {
        for (on_error, expected) in [("deny", 503), ("allow", 200)] {
            let began = Instant::now();
            let seen = site.status(&format!("/{name}-{on_error}"), &[])?;
            if seen != expected || began.elapsed() > Duration::from_secs(3) {
                wrong.push(format!(
                    "{name}, {on_error}: expected {expected}, seen {seen} after {:?}",
                    began.elapsed()
                ));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), site.envoy.log()).into()) }
}

fn http_decides() -> Result<(), Failed> {
    let service = Server::start(Answer::of("200 OK\r\nx-user: ann\r\nx-tier: gold\r\nx-other: 1", ""))?;
    let http = json!({"http": {"cluster": "policy", "path_prefix": "/decisions"}});
    let more =
        json!({"principal_header": "x-user", "upstream_headers": ["x-tier"], "client_headers": ["location"]});
    let site = Site::start(&auth(&http, &more), &[service.cluster("policy")], 1)?;
    let response =
        site.send("/orders", &[("x-tier", "forged"), ("x-auth-subject", "root"), ("x_tier", "forged")])?;
    let seen = ["x-auth-subject", "x-tier", "x-other", "x_tier"].map(|name| response.upstream_header(name));
    let expected = [Some("ann".to_owned()), Some("gold".to_owned()), None, None];
    if response.status != 200 || seen != expected {
        return Err(format!(
            "expected {expected:?}, seen {} {seen:?}\n{}",
            response.status,
            site.envoy.log()
        )
        .into());
    }
    service.set(Answer::of("302 Found\r\nlocation: /sign-in\r\nset-cookie: a=1", "go away"));
    let response = site.send("/orders", &[])?;
    let seen = (response.status, response.header("location"), response.header("set-cookie"));
    if seen != (302, Some("/sign-in".to_owned()), None) || response.reached.is_some() {
        return Err(format!("a redirection: seen {seen:?}").into());
    }
    service.set(Answer::of("404 Not Found", ""));
    site.expect("another refusal", 404, "/orders", &[])
}

fn remembered() -> Result<(), Failed> {
    let service = Server::start(Answer::of("200 OK", ""))?;
    let http = json!({"http": {"cluster": "policy"}});
    let more = json!({"cache": {"ttl": "2s", "max": 100}});
    let site = Site::start(&auth(&http, &more), &[service.cluster("policy")], 1)?;
    let asked = |what: &str, path: &str, headers: &[(&str, &str)], expected: usize| -> Result<(), Failed> {
        let before = service.requests();
        site.status(path, headers)?;
        match service.requests() - before {
            seen if seen == expected => Ok(()),
            seen => Err(format!("{what}: expected {expected} questions, seen {seen}").into()),
        }
    };
    asked("the first", "/a", &[("x-who", "ann")], 1)?;
    asked("the same", "/a", &[("x-who", "ann")], 0)?;
    asked("the same under another number", "/a", &[("x-who", "ann"), ("x-request-id", "7")], 0)?;
    asked("another path", "/b", &[("x-who", "ann")], 1)?;
    asked("another query", "/a?x", &[("x-who", "ann")], 1)?;
    asked("another header", "/a", &[("x-who", "bob")], 1)?;
    asked("one header more", "/a", &[("x-who", "ann"), ("x-who", "bob")], 1)?;
    asked("parts moved", "/a", &[("x-wh", "oann")], 1)?;
    service.set(Answer::of("403 Forbidden", ""));
    site.expect("remembered", 200, "/a", &[("x-who", "ann")])?;
    std::thread::sleep(Duration::from_millis(2_100));
    site.expect("forgotten", 403, "/a", &[("x-who", "ann")])?;
    service.set(Answer::Bytes(Vec::new()));
    site.expect("a refusal is remembered too", 403, "/a", &[("x-who", "ann")])?;
    site.expect("a failure is not", 503, "/c", &[])?;
    service.set(Answer::of("200 OK", ""));
    site.expect("a failure was not", 200, "/c", &[])
}
