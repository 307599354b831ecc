//! `cargo xtask up`: all four filters in a real Envoy, to try by hand; with `check`, tried by itself.

mod ending;
mod steps;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::bootstrap;
use crate::envoy::Envoy;
use crate::tools;
use crate::upstream::Upstreams;
use ending::Ending;

/// What is run: `envoy-config/all-filters.yaml`, or a bootstrap of the user's own.
#[derive(Debug)]
pub struct Up {
    own: Option<(PathBuf, Value)>,
    usual_ports: bool,
}

impl Up {
    /// Reads the user's own bootstrap, if there is one: what is wrong with it is told before anything is built.
    pub fn read(config: Option<&Path>) -> Result<Self> {
        let own = config.map(|file| Ok::<_, anyhow::Error>((file.to_path_buf(), bootstrap::read(file)?)));
        Ok(Self { own: own.transpose()?, usual_ports: true })
    }

    /// On ports of the kernel's choice: for several at once.
    #[must_use]
    pub fn on_free_ports(self) -> Self {
        Self { usual_ports: false, ..self }
    }

    /// Starts Envoy in front of echo backends.
    ///
    /// Without `check` it prints what to try and runs until Ctrl-C. With `check` it sends those requests itself, prints
    /// expected and seen side by side, and returns whether all agree. Either way nothing is left behind.
    pub fn run(self, check: bool) -> Result<bool> {
        // First, so that a request to end that comes early leaves nothing behind either.
        let ending = Ending::watch()?;
        let upstreams = Upstreams::start()?;
        println!("starting Envoy …");
        let started = match &self.own {
            Some((file, bootstrap)) => Envoy::start(&own(bootstrap.clone(), &upstreams)?, 2)
                .map_err(|error| anyhow!("{}", refusal(file, &error))),
            None => start_ours(&upstreams, self.usual_ports && !check),
        };
        let mut envoy = match started {
            Ok(envoy) => envoy,
            Err(_) if ending.has_come() => return interrupted(check),
            Err(error) => return Err(error),
        };
        if check {
            let checked = steps::check(&envoy);
            return if ending.has_come() { interrupted(check) } else { checked };
        }
        println!("Envoy     http://{}", envoy.address());
        println!("admin     http://{}", envoy.admin());
        println!("backends  stable http://{}, beta http://{}", upstreams.stable, upstreams.beta);
        println!("log       {} (telemetry writes a line for each exchange)", envoy.log_file().display());
        println!();
        if self.own.is_none() {
            steps::print(&envoy);
        } else {
            println!("  curl -i http://{}/", envoy.address());
        }
        println!("\nCtrl-C ends it.");
        ending.wait(&mut envoy)?;
        Ok(true)
    }
}

/// Who ends what was to run until then is content; a check that was cut short has shown nothing.
fn interrupted(check: bool) -> Result<bool> {
    if check { bail!("interrupted before all requests were sent") } else { Ok(true) }
}

/// Starts the bootstrap with all filters, on the ports that it names where they are free: they are easy to remember.
fn start_ours(upstreams: &Upstreams, usual_ports: bool) -> Result<Envoy> {
    match Envoy::start(&ours(upstreams, usual_ports)?, 2) {
        // Somebody was faster between the look and the start.
        Err(error) if usual_ports && format!("{error:#}").contains("Address already in use") => {
            Envoy::start(&ours(upstreams, false)?, 2)
        }
        started => started,
    }
}

fn ours(upstreams: &Upstreams, usual_ports: bool) -> Result<Value> {
    let mut bootstrap = bootstrap::read(&tools::repo_root().join("envoy-config/all-filters.yaml"))?;
    let listener = "/static_resources/listeners/0/address/socket_address/port_value";
    let admin = "/admin/address/socket_address/port_value";
    let wanted =
        [listener, admin].map(|place| bootstrap.pointer(place).and_then(Value::as_u64).unwrap_or_default());
    bootstrap::fit(&mut bootstrap, upstreams)?;
    for (place, port) in [listener, admin].into_iter().zip(wanted) {
        if usual_ports && is_free(port) {
            *bootstrap.pointer_mut(place).context("the bootstrap has no such address")? = json!(port);
        }
    }
    // Else two Envoys could listen on one port, and share its connections.
    bootstrap["static_resources"]["listeners"][0]["enable_reuse_port"] = json!(false);
    Ok(bootstrap)
}

/// A bootstrap of the user's own stays as it is, but that its clusters `stable` and `beta`, if it has them, lead to the
/// echo backends, and that it has an admin interface.
fn own(mut bootstrap: Value, upstreams: &Upstreams) -> Result<Value> {
    if bootstrap.pointer("/admin/address").is_none() {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        match bootstrap.get_mut("admin") {
            Some(Value::Object(admin)) => drop(admin.insert("address".to_owned(), address)),
            _ => bootstrap["admin"] = json!({"address": address}),
        }
    }
    if bootstrap.pointer("/static_resources/clusters").is_some_and(Value::is_array) {
        bootstrap::use_upstreams(&mut bootstrap, upstreams)?;
    }
    Ok(bootstrap)
}

/// What Envoy says against a bootstrap, without what stands around it in its log. Filters name every error by its path
/// there.
fn refusal(file: &Path, error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let mut reasons: Vec<String> = Vec::new();
    for line in text.lines().skip(1) {
        // `[time][thread][level][component] [source/server/server.cc:449] …`
        let reason = line.split_once("] [source/").and_then(|(_, rest)| rest.split_once("] "));
        let reason = reason.map_or(line, |(_, reason)| reason);
        // Envoy varies its spaces so that nobody relies on them.
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        // It repeats its last words, with the name of the file that we wrote for it, which says nothing to the user.
        let repeats = reason.contains("` initializing config") || reason.ends_with("envoy.json'");
        if !reason.is_empty() && !repeats && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    // An error of ours has no log behind it.
    if reasons.is_empty() {
        reasons.push(text);
    }
    format!("Envoy does not start with {}:\n  {}", file.display(), reasons.join("\n  "))
}

fn is_free(port: u64) -> bool {
    u16::try_from(port).is_ok_and(|port| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_what_envoy_says_and_nothing_around_it() {
        let error = anyhow::anyhow!(
            "envoy ended (exit status: 1):\n\
             [2026-01-01 10:00:00.000][1][error][wasm] [source/extensions/common/wasm/context.cc:1157] wasm log a: limits[0]: expected\n\
             [2026-01-01 10:00:00.000][1][critical][main] [source/server/server.cc:449] error `no  such field` initializing config 'goo.gle\n  \
             folder/envoy.json'\n\
             no  such field\n"
        );
        let told = refusal(Path::new("my.yaml"), &error);
        assert_eq!(
            told,
            "Envoy does not start with my.yaml:\n  wasm log a: limits[0]: expected\n  no such field"
        );
        let told = refusal(Path::new("my.yaml"), &anyhow::anyhow!("it has no listener"));
        assert_eq!(told, "Envoy does not start with my.yaml:\n  it has no listener");
    }

    #[test]
    fn an_own_bootstrap_gets_what_it_lacks_and_keeps_what_it_has() {
        let upstreams = Upstreams::start().unwrap();
        let bare = own(json!({"admin": {"ignore_global_conn_limit": true}}), &upstreams).unwrap();
        assert_eq!(bare["admin"]["ignore_global_conn_limit"], json!(true));
        assert_eq!(bare["admin"]["address"]["socket_address"]["port_value"], json!(0));
        let odd = json!({"admin": "x", "static_resources": "y"});
        assert_eq!(own(odd, &upstreams).unwrap()["static_resources"], json!("y"), "Envoy will say it");
        let endpoint = json!({"address": {"socket_address": {"address": "192.0.2.1", "port_value": 1}}});
        let cluster = |name: &str| json!({"name": name, "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}});
        let clusters = json!({"static_resources": {"clusters": [cluster("other"), cluster("beta")]}});
        let clusters = own(clusters, &upstreams).unwrap();
        let port = |n: usize| {
            let place = format!(
                "/static_resources/clusters/{n}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value"
            );
            clusters.pointer(&place).and_then(Value::as_u64)
        };
        assert_eq!((port(0), port(1)), (Some(1), Some(u64::from(upstreams.beta.port()))));
    }
}
