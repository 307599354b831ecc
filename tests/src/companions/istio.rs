//! Istio's own code without a cluster: the discovery server that writes Envoy's configuration from manifests, the validator
//! of its custom resources, `istioctl`, and the bootstrap that its agent writes.
//!
//! The discovery server is the one that Istio's own tests use: the real generators, a store in memory, no Kubernetes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::program;
use crate::client::Connection;
use crate::process::Program;
use crate::tools;

/// The Istio that the pins are: what a proxy says of itself.
pub const VERSION: &str = "1.31.0";

/// How long anything may take: on a busy machine a start takes seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A running discovery server.
#[derive(Debug)]
pub struct Istio {
    program: Program,
    xds: SocketAddr,
    control: SocketAddr,
}

impl Istio {
    /// Starts it without any configuration.
    pub fn start() -> Result<Self> {
        let mut program = Program::start(|folder| {
            let mut command = Command::new(program("istio-discovery")?);
            command.arg("serve").arg(folder);
            Ok(command)
        })?;
        let place = program.folder().join("addresses");
        program.wait_until(LIMIT, |_| place.is_file())?;
        let addresses: Value = serde_json::from_slice(&std::fs::read(place)?)?;
        let address =
            |name: &str| addresses[name].as_str().and_then(|text| text.parse().ok()).context("no address");
        Ok(Self { xds: address("xds")?, control: address("control")?, program })
    }

    /// Creates or replaces what these manifests describe. The error is what Istio's webhook says of them.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        self.tell("PUT", manifests)
    }

    /// Removes what these manifests name.
    pub fn delete(&self, manifests: &str) -> Result<()> {
        self.tell("DELETE", manifests)
    }

    fn tell(&self, method: &str, manifests: &str) -> Result<()> {
        let head = format!(
            "{method} /manifests HTTP/1.1\r\nhost: control\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            manifests.len()
        );
        let reply = Connection::open(self.control)?.exchange(format!("{head}{manifests}").as_bytes())?;
        if reply.status != 200 {
            bail!("{}", String::from_utf8_lossy(&reply.body).trim());
        }
        Ok(())
    }

    /// Where proxies ask for their configuration.
    #[must_use]
    pub fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Everything logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}

/// What a proxy is to Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Beside a workload.
    Sidecar,
    /// A gateway.
    Router,
}

/// A proxy, as its pod describes it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// What it is.
    pub kind: Kind,
    /// Its pod's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The pod's address, by which Istio tells proxies apart: one of loopback's.
    pub address: Ipv4Addr,
    /// The pod's labels, by which manifests select it.
    pub labels: BTreeMap<String, String>,
    /// The pod's annotations.
    pub annotations: BTreeMap<String, String>,
    /// What stands in the mesh's `defaultConfig`, or in a `ProxyConfig`.
    pub config: Value,
}

impl Proxy {
    /// A proxy without labels.
    #[must_use]
    pub fn new(kind: Kind, name: &str, namespace: &str, address: Ipv4Addr) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            address,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            config: json!({}),
        }
    }

    /// The same with one more label.
    #[must_use]
    pub fn labelled(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with what the mesh, or a `ProxyConfig`, says of it.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// The name by which Istio knows it.
    #[must_use]
    pub fn id(&self) -> String {
        let Self { name, namespace, address, .. } = self;
        let kind = match self.kind {
            Kind::Sidecar => "sidecar",
            Kind::Router => "router",
        };
        format!("{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local")
    }

    /// A bootstrap with which Envoy takes everything else from there: what Istio's agent writes, but for what needs the
    /// agent (certificates, its own listeners) and the cluster (tracing, metadata).
    pub fn bootstrap(&self, istio: &Istio) -> Result<Value> {
        let agents = self.agents_bootstrap()?;
        let ads = json!({"ads": {}, "resource_api_version": "V3"});
        let socket = |place: SocketAddr| json!({"socket_address": {"address": place.ip().to_string(), "port_value": place.port()}});
        let http2 = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        });
        Ok(json!({
            "node": {
                "id": self.id(),
                "cluster": format!("{}.{}", self.name, self.namespace),
                "metadata": {
                    "ISTIO_VERSION": VERSION,
                    "NAMESPACE": self.namespace,
                    "CLUSTER_ID": "Kubernetes",
                    "LABELS": self.labels,
                    "INSTANCE_IPS": self.address.to_string(),
                    // Nothing is redirected: a listener is where a Sidecar or Gateway binds it.
                    "INTERCEPTION_MODE": "NONE",
                },
            },
            "admin": {"address": socket(SocketAddr::from(([127, 0, 0, 1], 0)))},
            "stats_config": agents["stats_config"],
            "layered_runtime": agents["layered_runtime"],
            "dynamic_resources": {
                "lds_config": ads,
                "cds_config": ads,
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": true,
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
                },
            },
            "static_resources": {"clusters": [{
                "name": "xds-grpc",
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {
                    "cluster_name": "xds-grpc",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(istio.xds())}}]}],
                },
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
                },
            }]},
        }))
    }

    /// What Istio's agent would write, whole.
    fn agents_bootstrap(&self) -> Result<Value> {
        let described = json!({
            "id": self.id(),
            "addresses": [self.address.to_string()],
            "annotations": self.annotations,
            "proxyConfig": self.config,
        });
        let mut command = Command::new(program("istio-discovery")?);
        let folder = tempfile::tempdir()?;
        let place = folder.path().join("bootstrap.json");
        command.arg("bootstrap").arg(tools::tools_dir().join("go/path/pkg/mod")).arg(&place);
        told(&mut command, described.to_string().as_bytes())?;
        serde_json::from_slice(&std::fs::read(place)?).context("Istio's agent wrote no JSON")
    }
}

/// Holds manifests against the schemas of Istio's custom resources, as the API server does. The error says what is wrong.
pub fn validate(files: &[PathBuf]) -> Result<()> {
    let mut command = Command::new(program("istio-discovery")?);
    told(command.arg("validate").args(files), b"").map(drop)
}

/// Runs `istioctl` and returns what it wrote. The error of one that failed holds all of it.
pub fn istioctl(arguments: &[&str], files: &[PathBuf]) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(program("istioctl")?);
    command.args(arguments).args(files).env("HOME", home.path()).env_remove("KUBECONFIG");
    told(&mut command, b"")
}

/// Runs a program to its end with this as its input.
fn told(command: &mut Command, input: &[u8]) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}
