//! Configuration that changes, and an agent that dies, while requests flow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::companions::consul::Agents;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::entries;
use super::mesh::{Caller, Mesh};
use super::needed;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("changes::a_change_is_live_and_loses_no_request", live),
        needed("changes::a_bad_configuration_is_refused_and_the_old_one_serves", refused),
        needed("changes::bad_arguments_are_refused_by_consul_itself", arguments),
        needed("changes::what_is_bad_from_the_start_lets_nothing_through", bad_from_the_start),
        needed("changes::agent_and_server_may_die_and_come_back", agents_die),
        needed("changes::a_dev_agent_may_die_and_come_back", forgetful_agent_dies),
    ]
}

/// Says on each response which version is at work.
fn version(number: u32) -> Value {
    json!({"route_header": "x-route", "rules": [
        {"name": "version", "match": {"paths": [{"exact": "/version"}]}, "reply": {"status": 200, "body": number.to_string()}},
        {"name": "all", "set_headers": {"x-version": number.to_string()}},
    ]})
}

fn at_work(mesh: &Mesh, number: u32) -> Result<(), Failed> {
    mesh.until(&format!("version {number} is at work"), || {
        let response = mesh.get(Caller::Client, "/version", &[]);
        Ok(response.is_ok_and(|response| response.body == number.to_string().as_bytes()))
    })
}

/// Sends requests all the time while `course` happens; what they were answered, and how often.
fn under_traffic(
    mesh: &mut Mesh,
    course: impl FnOnce(&mut Mesh, &dyn Fn() -> Result<(), Failed>) -> Result<(), Failed>,
) -> Result<BTreeMap<String, u32>, Failed> {
    let (end, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = mesh.address(Caller::Client);
    std::thread::scope(|scope| {
        let client = || {
            let mut answers: BTreeMap<String, u32> = BTreeMap::new();
            while !end.load(Ordering::Relaxed) {
                let request = tidegate_testkit::scenario::Request::get("/orders", &[]);
                let answer = e2e::client::Connection::open(address).and_then(|mut open| open.send(&request));
                let answer = match answer {
                    Ok(reply) => reply.status.to_string(),
                    Err(error) => format!("{error:#}"),
                };
                *answers.entry(answer).or_default() += 1;
                sent.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            answers
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        let flows = || {
            let enough = sent.load(Ordering::Relaxed) + 100;
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            while sent.load(Ordering::Relaxed) < enough {
                if std::time::Instant::now() > deadline {
                    return Err("the traffic hangs".into());
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Ok(())
        };
        let course = course(mesh, &flows);
        end.store(true, Ordering::Relaxed);
        let mut answers: BTreeMap<String, u32> = BTreeMap::new();
        for client in clients {
            for (answer, count) in client.join().map_err(|_| "a client panicked")? {
                *answers.entry(answer).or_default() += count;
            }
        }
        course?;
        Ok(answers)
    })
}

fn none_lost(answers: &BTreeMap<String, u32>) -> Result<(), Failed> {
    println!("answers in traffic: {answers:?}");
    match answers.keys().map(String::as_str).collect::<Vec<_>>()[..] {
        ["200"] => Ok(()),
        _ => Err(format!("answers in traffic: {answers:?}, not 200 alone").into()),
    }
}

fn live() -> Result<(), Failed> {
    let mut mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("header-routing", &version(0))])?])?;
    let answers = under_traffic(&mut mesh, |mesh, flows| {
        for number in 1..=5 {
            mesh.consul.write(&entries::web(&[("header-routing", &version(number))])?)?;
            at_work(mesh, number)?;
            flows()?;
        }
        Ok(())
    })?;
    none_lost(&answers)
}

fn refused() -> Result<(), Failed> {
    let mut mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("header-routing", &version(0))])?])?;
    let bad = json!({"rules": [{"name": "a rule", "reply": {"status": 700}}]});
    let no_file = entries::extension_with(
        "header-routing",
        json!({"Local": {"Filename": "/nowhere/tidegate_header_routing.wasm"}}),
        &version(2).to_string(),
    );
    let cases = [
        (
            entries::web(&[("header-routing", &bad)])?,
            "rules[0].reply.status: expected",
            "Unable to create Wasm plugin header-routing",
        ),
        (
            entries::service("web", "http", &[no_file]),
            "Invalid path: /nowhere/tidegate_header_routing.wasm",
            "Invalid path: /nowhere/tidegate_header_routing.wasm",
        ),
    ];
    let answers = under_traffic(&mut mesh, |mesh, flows| {
        for (entry, reason, told) in cases {
            let rejected = || mesh.web.stat_named("listener_manager.lds.update_rejected");
            let before = rejected()?;
            // Consul takes it: what is in a filter's configuration it does not know.
            mesh.consul.write(&entry)?;
            mesh.until("Envoy refuses it", || Ok(rejected()? > before))?;
            // Why, the sidecar says; that it refuses, the agent is told.
            mesh.until(&format!("{reason:?} in the sidecar's log"), || Ok(mesh.web.log().contains(reason)))?;
            mesh.until(&format!("{told:?} in the agent's"), || Ok(mesh.consul.log().contains(told)))?;
            flows()?;
            at_work(mesh, 0)?;
        }
        // And back to work.
        mesh.consul.write(&entries::web(&[("header-routing", &version(3))])?)?;
        at_work(mesh, 3)
    })?;
    none_lost(&answers)
}

fn arguments() -> Result<(), Failed> {
    let mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("header-routing", &version(0))])?])?;
    let code = json!({"Local": {"Filename": "/nowhere.wasm"}});
    let remote =
        json!({"Remote": {"HttpURI": {"Service": {"Name": "modules"}, "URI": "http://modules/x.wasm"}}});
    let with = |change: &dyn Fn(&mut Value), code: &Value| {
        let mut extension = entries::extension_with("header-routing", code.clone(), "{}");
        change(&mut extension);
        entries::service("web", "http", &[extension])
    };
    let none: &dyn Fn(&mut Value) = &|_| {};
    let cases = [
        (
            with(&|extension| extension["Arguments"]["Protocol"] = json!("grpc"), &code),
            "unsupported Protocol",
        ),
        (
            with(&|extension| extension["Arguments"]["ListenerType"] = json!("both"), &code),
            "unsupported ListenerType",
        ),
        (with(none, &json!({})), "exactly one of Local or Remote"),
        (with(none, &remote), "SHA256 checksum is required"),
        (with(&|extension| extension["Name"] = json!("builtin/wasn"), &code), "builtin/wasn"),
    ];
    for (entry, message) in cases {
        match mesh.consul.write(&entry) {
            Ok(()) => return Err(format!("{entry} was taken").into()),
            Err(error) if format!("{error:#}").contains(message) => {}
            Err(error) => return Err(format!("expected {message:?}, seen {error:#}").into()),
        }
    }
    at_work(&mesh, 0)
}

/// A sidecar that never had a good configuration takes no connections.
fn bad_from_the_start() -> Result<(), Failed> {
    let mut mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("header-routing", &version(0))])?])?;
    mesh.consul.write(&entries::web(&[("header-routing", &json!({"rules": [{"nmae": "a"}]}))])?)?;
    mesh.until("Envoy refuses it", || Ok(mesh.web.stat_named("listener_manager.lds.update_rejected")? > 0))?;
    // What starts now sees nothing else.
    let bootstrap = mesh.consul.bootstrap("web")?;
    mesh.web.kill();
    mesh.becomes(Caller::Client, "/orders", &[], 503)?;
    mesh.web = e2e::envoy::Envoy::start_controlled(&bootstrap, 2, &[])?;
    mesh.until("Envoy refuses it", || Ok(mesh.web.stat_named("listener_manager.lds.update_rejected")? > 0))?;
    mesh.expect(Caller::Client, "/orders", &[], 503)?;
    mesh.consul.write(&entries::web(&[("header-routing", &version(1))])?)?;
    at_work(&mesh, 1)
}

/// Sidecars go on with what they have; what changes after both are back is live.
fn agents_die() -> Result<(), Failed> {
    let mut mesh =
        Mesh::start(Agents::ServerAndAgent, &[&entries::web(&[("header-routing", &version(0))])?])?;
    let answers = under_traffic(&mut mesh, |mesh, flows| {
        flows()?;
        mesh.consul.kill();
        flows()?;
        mesh.expect(Caller::Stranger, "/orders", &[], 200)?;
        mesh.consul.restart()?;
        mesh.consul.write(&entries::web(&[("header-routing", &version(1))])?)?;
        at_work(mesh, 1)?;
        mesh.consul.kill_server()?;
        flows()?;
        mesh.expect(Caller::Stranger, "/orders", &[], 200)?;
        mesh.consul.restart_server()?;
        mesh.write_patiently(&entries::web(&[("header-routing", &version(2))])?)?;
        at_work(mesh, 2)?;
        flows()
    })?;
    none_lost(&answers)
}

/// With `-dev` it comes back knowing nothing, with another certificate authority: all is told to it again, and then it
/// works again. Until it is back, nothing is lost.
fn forgetful_agent_dies() -> Result<(), Failed> {
    let mut mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("header-routing", &version(0))])?])?;
    let answers = under_traffic(&mut mesh, |mesh, flows| {
        mesh.consul.kill();
        flows()?;
        mesh.expect(Caller::Stranger, "/orders", &[], 200).map(drop)
    })?;
    none_lost(&answers)?;
    mesh.consul.restart()?;
    mesh.consul.write(&entries::web(&[("header-routing", &version(1))])?)?;
    mesh.register()?;
    at_work(&mesh, 1)
}
