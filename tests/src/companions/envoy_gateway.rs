//! A real Envoy Gateway without a cluster: its standalone server, which reads resources from a folder and runs Envoy itself.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding as _};
use serde_json::json;

use super::program;
use crate::client;
use crate::namespace::Namespace;
use crate::process::accepts;
use crate::tools;

/// What its wasm code needs beside the server, and which a test may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// All is there.
    Nothing,
    /// The Secret `envoy` in `envoy-gateway-system`.
    Secret,
    /// `/certs/ca.crt`, against which Envoy checks the server that it fetches modules from.
    Authority,
}

/// A running server in namespaces of its own, whose network has whatever ports it wants.
#[derive(Debug)]
pub struct EnvoyGateway {
    namespace: Namespace,
}

impl EnvoyGateway {
    /// Starts it with these resource files, name and content, and these variables in its Envoy's environment.
    pub fn start(files: &[(&str, &str)], environment: &[(&str, &str)], without: Without) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = program("envoy-gateway")?;
        let path = folder.path().to_path_buf();
        prepare(&server, &path, without)?;
        let resources = path.join("resources");
        for (name, text) in files {
            std::fs::write(resources.join(name), text)?;
        }
        let over = path.join("over");
        let mut namespace = Namespace::start(folder, &over, |folder| {
            let mut command = Command::new(&server);
            command.args(["server", "--config-path"]).arg(folder.join("envoy-gateway.yaml"));
            command.env("HOME", folder.join("user")).envs(environment.iter().copied());
            Ok(command)
        })?;
        namespace.program().wait_until(Duration::from_secs(60), |folder| admin(folder).is_some())?;
        let gateway = Self { namespace };
        Ok(gateway)
    }

    /// Writes a resource file, in place: what stands beside it for a moment would be read as well.
    pub fn put(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.resource(name), text)?)
    }

    /// Removes a resource file, if it is there.
    pub fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.resource(name));
    }

    fn resource(&self, name: &str) -> PathBuf {
        self.namespace.folder().join("resources").join(name)
    }

    /// Its network.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Asks its Envoy's admin interface.
    pub fn admin_get(&self, path: &str) -> Result<String> {
        let admin = admin(self.namespace.folder()).context("its Envoy has no admin interface yet")?;
        let reply = self.namespace.inside(|| client::get(admin, path))?;
        if reply.status != 200 {
            bail!("admin {path}: {}", reply.status);
        }
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    /// The sum of Envoy's counters and gauges whose name contains `part`.
    pub fn stat(&self, part: &str) -> Result<u64> {
        let stats = self.admin_get("/stats")?;
        let values = stats.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(values
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum())
    }

    /// Whether its Envoy listens on a port.
    #[must_use]
    pub fn listens(&self, port: u16) -> bool {
        self.namespace.inside(|| Ok(accepts(port))).unwrap_or(false)
    }

    /// What the server and its Envoy have logged, without the access log.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.namespace.log();
        log.lines().filter(|line| !line.starts_with("{\":authority")).collect::<Vec<_>>().join("\n")
    }
}

/// Certificates, the server's configuration, Envoy where it looks for one, and what stands in its root.
fn prepare(server: &Path, folder: &Path, without: Without) -> Result<()> {
    let home = folder.join("home");
    let made = Command::new(server).args(["certgen", "--local", "--config-home"]).arg(&home).output()?;
    if !made.status.success() {
        bail!("envoy-gateway certgen: {}", String::from_utf8_lossy(&made.stderr));
    }
    let versions = folder.join(format!("data/envoy-versions/{}/bin", tools::ENVOY_VERSION));
    for made in ["over/etc", "over/certs", "resources", "user", "state", "run"] {
        std::fs::create_dir_all(folder.join(made))?;
    }
    std::fs::create_dir_all(&versions)?;
    symlink(tools::envoy_binary()?.canonicalize()?, versions.join("envoy"))?;
    let hosts = "127.0.0.1 localhost envoy-gateway.envoy-gateway-system.svc.cluster.local\n";
    std::fs::write(folder.join("over/etc/hosts"), hosts)?;
    if without != Without::Authority {
        std::fs::copy(home.join("certs/envoy/ca.crt"), folder.join("over/certs/ca.crt"))?;
    }
    let mut resources = vec![json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": {"name": "host", "namespace": "envoy-gateway-system"},
        "spec": {"provider": {"type": "Host", "host": {"envoyVersion": tools::ENVOY_VERSION}}},
    })];
    if without != Without::Secret {
        resources.push(secret(&home.join("certs/envoy"))?);
    }
    let resources: Vec<String> = resources.iter().map(ToString::to_string).collect();
    std::fs::write(folder.join("resources/machine.yaml"), resources.join("\n---\n"))?;
    let at = |name: &str| folder.join(name);
    let configuration = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "provider": {"type": "Custom", "custom": {
            "resource": {"type": "File", "file": {"paths": [at("resources")]}},
            "infrastructure": {"type": "Host", "host": {
                "configHome": home, "dataHome": at("data"), "stateHome": at("state"), "runtimeDir": at("run"),
            }},
        }},
        "extensionApis": {"enableBackend": true, "enableEnvoyPatchPolicy": true},
    });
    Ok(std::fs::write(folder.join("envoy-gateway.yaml"), configuration.to_string())?)
}

/// The Secret as a cluster's certgen makes it. Out of files only `data` is read: with `stringData` it would be empty.
fn secret(certificates: &Path) -> Result<serde_json::Value> {
    let text = |name: &str| std::fs::read(certificates.join(name)).map(|bytes| Base64::encode_string(&bytes));
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "envoy", "namespace": "envoy-gateway-system"},
        "type": "kubernetes.io/tls",
        "data": {"ca.crt": text("ca.crt")?, "tls.crt": text("tls.crt")?, "tls.key": text("tls.key")?},
    }))
}

/// Where the admin interface of its Envoy listens.
fn admin(folder: &Path) -> Option<SocketAddr> {
    let runs = std::fs::read_dir(folder.join("run")).ok()?;
    let files = runs.flatten().map(|run| run.path().join("admin-address.txt"));
    files.filter_map(|file| std::fs::read_to_string(file).ok()).find_map(|text| text.trim().parse().ok())
}
