//! A call out between filters: those before it have decided, those behind it decide once the answer is there. Four modules in
//! a row and the suite do the same.

use e2e::client::Connection;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::scenario::{Request, Response};

use super::site::{Answer, Server, Site, eventually};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth::in_the_middle::of_four_modules", || decided_around_a_call(false)),
        Trial::test("auth::in_the_middle::of_the_suite", || decided_around_a_call(true)),
    ]
}

fn filters() -> [(&'static str, Value); 4] {
    [
        (
            "telemetry",
            json!({"metrics": [{"name": "requests", "type": "counter", "labels":
            {"code": "status", "who": "principal", "route": "route_name"}}]}),
        ),
        (
            "rate-limit",
            json!({"limits": [{"name": "each", "key": [{"header": "x-user"}],
            "quotas": [{"requests": 3, "per": "1m"}]}]}),
        ),
        (
            "auth",
            json!({"providers": {"policy": {"external": {"http": {"cluster": "policy", "timeout": "1s"},
                "principal_header": "x-caller"}}},
            "rules": [{"name": "all", "require": "policy"}], "forward": {"principal_header": "x-auth-subject"}}),
        ),
        (
            "header-routing",
            json!({"rules": [{"name": "ann", "match": {"principals": [{"exact": "ann"}]}, "route": "beta"}],
            "default": {"route": "stable"}, "route_header": "x-tidegate-route"}),
        ),
    ]
}

fn decided_around_a_call(in_suite: bool) -> Result<(), Failed> {
    let service = Server::start(Answer::of("200 OK\r\nx-caller: ann", ""))?;
    let filters = filters();
    let members = || filters.iter().map(|(name, configuration)| (name.replace('-', "_"), configuration));
    let mut suite: Value = members().map(|(name, configuration)| (name, configuration.clone())).collect();
    suite["order"] = members().map(|(name, _)| name).collect();
    let alone: Vec<(&str, &Value)> =
        filters.iter().map(|(name, configuration)| (*name, configuration)).collect();
    let chosen = if in_suite { vec![("suite", &suite)] } else { alone };
    let site = Site::start_with(&chosen, &[service.cluster("policy")], 1, |_| ())?;

    // A body makes Envoy look again at a request that is held.
    let send = |user: &str| -> Result<Response, Failed> {
        let request = Request {
            method: "POST".to_owned(),
            body: vec![b'x'; 50_000],
            ..Request::get("/orders", &[("x-user", user), ("x-auth-subject", "root")])
        };
        Ok(Connection::open(site.envoy.address())?.send(&request)?.into())
    };
    let mut steps = Vec::new();
    let mut step = |user: &str| -> Result<(), Failed> {
        let response = send(user)?;
        steps.push((
            response.status,
            response.reached.clone(),
            response.upstream_header("x-auth-subject"),
            service.requests(),
        ));
        Ok(())
    };
    step("u1")?;
    step("u1")?;
    service.set(Answer::of("403 Forbidden", ""));
    step("u1")?;
    step("u1")?;
    service.set(Answer::Silence);
    step("u2")?;
    service.set(Answer::of("200 OK\r\nx-caller: bob", ""));
    step("u2")?;

    let passed =
        |backend: &str, name: &str, asked| (200, Some(backend.to_owned()), Some(name.to_owned()), asked);
    let expected = vec![
        passed("beta", "ann", 1),
        passed("beta", "ann", 2),
        (403, None, None, 3),
        // Over the limit: the filter behind it is not asked any more.
        (429, None, None, 3),
        (503, None, None, 4),
        passed("stable", "bob", 5),
    ];
    if steps != expected {
        return Err(format!("expected {expected:#?}\nseen {steps:#?}\n{}", site.envoy.log()).into());
    }
    for (series, count) in [
        ("code=.=200;.;route=.=beta;.;who=.=ann;.;requests", 2),
        ("code=.=403;.;route=.=stable;.;who=.=unknown;.;requests", 1),
        ("code=.=429;.;route=.=stable;.;who=.=unknown;.;requests", 1),
        ("code=.=503;.;route=.=stable;.;who=.=unknown;.;requests", 1),
        ("code=.=200;.;route=.=stable;.;who=.=bob;.;requests", 1),
    ] {
        eventually(&format!("{series} is {count}"), || Ok(site.envoy.stat(series)? == count))?;
    }
    Ok(())
}
