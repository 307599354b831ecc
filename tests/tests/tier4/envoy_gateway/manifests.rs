//! The manifests of `envoy-config/envoy-gateway`, as they stand there but for where modules are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::companions::envoy_gateway::Without;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::needed;
use super::site::{OPEN, SHOP, Site};
use crate::probes::CONFIGURATIONS;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("manifests::each_decides_on_its_route_with_code_from_a_server", || each("")),
        needed("manifests::each_decides_on_its_route_with_code_from_an_image", || each("-image")),
        needed("manifests::each_decides_everywhere_as_a_patch_with_a_file", patches),
        needed("manifests::an_update_is_live_and_loses_no_request", update),
        needed("manifests::a_filter_costs_nothing_on_other_routes", elsewhere),
    ]
}

fn each(form: &str) -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    for configuration in CONFIGURATIONS {
        let name = format!("{configuration}.yaml");
        site.gateway.put(&name, &site.manifest(configuration, form)?)?;
        site.decides(configuration, SHOP)?;
        // What the filter would refuse, mark or limit.
        for _ in 0..5 {
            let response = site.get(OPEN, "/api/orders", &[("x-user-id", "anybody"), ("x-beta", "1")])?;
            let marks = ["x-trace-id", "ratelimit-policy"].map(|name| response.header(name));
            let route = response.upstream_header("x-tidegate-route");
            if response.status != 200 || marks != [None, None] || route.is_some() {
                return Err(
                    format!("{configuration}: {} {marks:?} {route:?} elsewhere", response.status).into()
                );
            }
        }
        site.gateway.remove(&name);
        site.until("no filter is left", || match site.get(SHOP, "/orders", &[])? {
            response if response.status == 200 && response.header("x-trace-id").is_none() => Ok(()),
            response => Err(format!("seen {}", response.status).into()),
        })?;
    }
    Ok(())
}

fn patches() -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    for configuration in CONFIGURATIONS {
        let name = format!("{configuration}.yaml");
        site.gateway.put(&name, &site.manifest(configuration, "-patch")?)?;
        for host in [SHOP, OPEN] {
            site.decides(configuration, host)?;
        }
        site.gateway.remove(&name);
    }
    Ok(())
}

/// Off on the connection manager, on for one route: others' requests make no context in the module, so telemetry, which
/// counts every exchange that it is asked about, counts none of them.
fn elsewhere() -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    let counts = "metrics: [{name: seen_total, type: counter}, {name: open_total, type: counter, when: {hosts: [open.example.com]}}]";
    let text = site.manifest("telemetry", "")?;
    let (head, _) = text.split_once("      config:\n").ok_or("telemetry.yaml has a config")?;
    site.gateway.put("telemetry.yaml", &format!("{head}      config: {{{counts}}}\n"))?;
    // The filter of the route is at work once it counts.
    site.until("telemetry counts", || {
        site.get(SHOP, "/orders", &[])?;
        match site.gateway.stat("seen_total")? {
            0 => Err("nothing yet".into()),
            _ => Ok(()),
        }
    })?;
    let dump: Value = serde_json::from_str(&site.gateway.admin_get("/config_dump")?)?;
    let listed = wasm_filters(&dump);
    if listed.is_empty() || listed.iter().any(|filter| filter["disabled"] != json!(true)) {
        return Err(format!("not off on the connection manager: {listed:?}").into());
    }
    let before = site.gateway.stat("seen_total")?;
    for _ in 0..100 {
        site.get(OPEN, "/orders", &[])?;
    }
    // A worker tells all that it has counted at once: when these are told, the others would be.
    const MORE: u64 = 20;
    for _ in 0..MORE {
        site.get(SHOP, "/orders", &[])?;
    }
    site.until("those of the route are counted", || match site.gateway.stat("seen_total")? {
        now if now >= before + MORE => Ok(()),
        now => Err(format!("{now}, {before} before").into()),
    })?;
    match site.gateway.stat("open_total")? {
        0 => Ok(()),
        seen => Err(format!("the filter saw {seen} requests elsewhere").into()),
    }
}

/// The wasm filters of all connection managers.
fn wasm_filters(dump: &Value) -> Vec<Value> {
    match dump {
        Value::Array(items) => items.iter().flat_map(wasm_filters).collect(),
        Value::Object(fields) => {
            let filters = fields.get("http_filters").and_then(Value::as_array);
            let is_wasm = |filter: &&Value| {
                filter["typed_config"]["@type"].as_str().is_some_and(|name| name.ends_with("wasm.v3.Wasm"))
            };
            let here = filters.into_iter().flatten().filter(is_wasm).cloned();
            here.chain(fields.values().flat_map(wasm_filters)).collect()
        }
        _ => Vec::new(),
    }
}

/// Limits that change while requests flow: each is answered, by the old one or by the new one.
fn update() -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    let good = site.manifest("header-routing", "")?;
    site.gateway.put("policy.yaml", &good)?;
    site.decides("header-routing", SHOP)?;
    let (end, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| -> Result<(), Failed> {
        let traffic = scope.spawn(|| {
            let mut answers: BTreeMap<String, u32> = BTreeMap::new();
            while !end.load(Ordering::Relaxed) {
                let answer = match site.get(SHOP, "/orders", &[]) {
                    Ok(response) => response.status.to_string(),
                    Err(error) => error.message().unwrap_or("no reason").to_owned(),
                };
                *answers.entry(answer).or_default() += 1;
                sent.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            answers
        });
        let course = || -> Result<(), Failed> {
            for turn in 1..=3 {
                let text = format!("turn {turn}");
                site.gateway.put("policy.yaml", &good.replace("back soon", &text))?;
                site.until(&text, || {
                    match site.get(SHOP, "/down", &[])?.body.starts_with(text.as_bytes()) {
                        true => Ok(()),
                        false => Err("not yet".into()),
                    }
                })?;
            }
            Ok(())
        };
        let course = course();
        end.store(true, Ordering::Relaxed);
        let answers = traffic.join().map_err(|_| "the client panicked")?;
        course?;
        println!("answers in traffic: {answers:?}");
        match answers.keys().map(String::as_str).collect::<Vec<_>>()[..] {
            ["200"] => Ok(()),
            _ => Err(format!("answers in traffic: {answers:?}, not 200 alone").into()),
        }
    })
}
