//! Configuration that changes while requests are on their way: each update is a new virtual machine.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use libtest_mimic::{Failed, Trial};
use tidegate_render::{Filter, Form};

use super::manifest::{self, At};
use super::mesh::{Mesh, Proxied};
use super::refusals;
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, form) in [
        ("wasmplugin", Form::WasmPlugin),
        ("trafficextension", Form::TrafficExtension),
        ("envoyfilter-ecds", Form::EnvoyFilterEcdsInbound),
        ("envoyfilter-inline", Form::EnvoyFilterInlineInbound),
    ] {
        let mut add = |what: &str, run: fn(Form) -> Result<(), Failed>| {
            let name = format!("istio::updates::{what}::{name}");
            trials.push(needing(&["istio-discovery"], &name, move || run(form)));
        };
        add("counts_survive", counts_survive);
        add("nothing_is_lost", nothing_is_lost);
        add("a_bad_configuration_is_refused_and_the_good_one_stays", refused);
        add("two_plugins_share_no_counts", two_plugins);
    }
    trials
}

/// Three requests in an hour for each user, and a limit that changes beside it.
fn limits(other: u32) -> String {
    format!(
        "limits:
  - {{name: per-user, key: [{{header: x-user-id}}], quotas: [{{requests: 3, per: 1h}}]}}
  - {{name: other, key: [{{header: x-other}}], quotas: [{{requests: {other}, per: 1h}}]}}
"
    )
}

fn limiting(form: Form, other: u32, name: Option<&str>) -> Result<String, Failed> {
    manifest::rendered(Filter::RateLimit, &limits(other), form, At::Inbound, name)
}

/// Whether the limit beside is this one: a user of it who has not been seen gets so many requests.
fn until_other_is(proxied: &Proxied<'_>, allowed: u32) -> Result<(), Failed> {
    let mut turn = 0;
    proxied.until(&format!("the other limit is {allowed}"), || {
        turn += 1;
        let user = format!("{allowed}-{turn}");
        for _ in 0..allowed {
            if proxied.get("/", &[("x-other", &user)])?.status != 200 {
                return Ok(false);
            }
        }
        Ok(proxied.get("/", &[("x-other", &user)])?.status == 429)
    })
}

const ANN: (&str, &str) = ("x-user-id", "ann");

fn counts_survive(form: Form) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    mesh.istio.apply(&limiting(form, 1, None)?)?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    proxied.expect("/", &[ANN], 200)?;
    let created = proxied.virtual_machines()?;
    // Each with a request between, so that it is the updates that keep the count, not a table that is still warm.
    for (other, expected) in [(2, 200), (3, 200), (4, 429), (5, 429)] {
        mesh.istio.apply(&limiting(form, other, None)?)?;
        until_other_is(&proxied, other)?;
        proxied.expect("/", &[ANN], expected)?;
    }
    if proxied.virtual_machines()? < created + 4 {
        return Err(proxied.failed("the updates made no new virtual machines: nothing was shown"));
    }
    Ok(())
}

/// Two clients send all the time, each request on a connection of its own, while the configuration changes ten times.
fn nothing_is_lost(form: Form) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    mesh.istio.apply(&limiting(form, 1, None)?)?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    let (end, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let client = || -> Result<(), Failed> {
        while !end.load(Ordering::Relaxed) {
            proxied.expect("/", &[], 200)?;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<(), Failed> {
        let clients = [scope.spawn(client), scope.spawn(client)];
        let updated = (2..12).try_for_each(|other| {
            mesh.istio.apply(&limiting(form, other, None)?)?;
            until_other_is(&proxied, other)
        });
        end.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        updated
    })?;
    println!("{} requests during 10 updates, none lost", sent.load(Ordering::Relaxed));
    Ok(())
}

/// The webhook cannot look into a filter's configuration: Envoy asks the filter, and keeps what it has.
fn refused(form: Form) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let good = limiting(form, 1, None)?;
    mesh.istio.apply(&good)?;
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    proxied.expect("/", &[ANN], 200)?;
    mesh.istio.apply(&good.replace("requests: 3,", "burts: 3,").replace("\"requests\":3", "\"burts\":3"))?;
    let inline = form == Form::EnvoyFilterInlineInbound;
    // Istio's log says it of each proxy.
    let told = if inline { refusals::LISTENER_REFUSED } else { refusals::FILTER_REFUSED };
    proxied.until(told, || Ok(mesh.istio.log().contains(told)))?;
    // So do Envoy's log, with the filter's own words, and its counters.
    let words = "limits[0].quotas[0].burts: expected one of";
    proxied.until(words, || Ok(proxied.envoy.log().contains(words)))?;
    let counter = if inline { refusals::LISTENERS_REFUSED } else { refusals::FILTERS_REFUSED };
    proxied.counts(counter, 1)?;
    for expected in [200, 200, 429] {
        proxied.expect("/", &[ANN], expected)?;
    }
    // What comes after it is taken.
    mesh.istio.apply(&limiting(form, 2, None)?)?;
    until_other_is(&proxied, 2)
}

/// Of one filter and with the same limit. A WasmPlugin has no vm_id: both use one memory.
fn two_plugins(form: Form) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    for (name, header) in [("first", "x-first"), ("second", "x-second")] {
        let limit = format!(
            "limits: [{{name: per-user, match: {{headers: [{{name: {header}, present: true}}]}}, key: [{{header: x-user-id}}], quotas: [{{requests: 2, per: 1h}}]}}]\n"
        );
        mesh.istio.apply(&manifest::rendered(Filter::RateLimit, &limit, form, At::Inbound, Some(name))?)?;
    }
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    for header in ["x-first", "x-second"] {
        for expected in [200, 200, 429] {
            proxied.expect("/", &[ANN, (header, "1")], expected)?;
        }
    }
    Ok(())
}
