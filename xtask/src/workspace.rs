//! What `cargo metadata` says about the workspace: its members, what they build and what they depend on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{paths, process};

/// A member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    /// Its name, e.g. `tidegate-auth`.
    pub(crate) name: String,
    manifest_path: PathBuf,
    /// What it declares to depend on.
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
    #[serde(default)]
    metadata: Option<PackageMetadata>,
}

/// `[package.metadata]` of a manifest.
#[derive(Debug, Clone, Default, Deserialize)]
struct PackageMetadata {
    #[serde(default)]
    tidegate: Settings,
}

/// `[package.metadata.tidegate]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    keep_unfinished: bool,
}

/// A line of a `[dependencies]` table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// The `cfg(…)` that it is declared under.
    pub(crate) target: Option<String>,
}

/// Names, of those in a package's `tests/`, that are for wasm32 as well.
const WASM_TESTS: [&str; 3] = ["wasm", "scenarios", "vectors"];

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Package {
    /// Its folder, relative to the workspace's root and with forward slashes, e.g. `filters/auth`.
    pub(crate) fn folder(&self) -> String {
        let folder = self.manifest_path.parent().unwrap_or(Path::new(""));
        let inside = folder.strip_prefix(paths::repo_root()).unwrap_or(folder);
        inside.to_string_lossy().replace('\\', "/")
    }

    /// Whether it is made of filters: the suite, and the telemetry of tests that traps on demand.
    pub(crate) fn holds_filters(&self) -> bool {
        ["filters/suite", "tests/trapping"].contains(&self.folder().as_str())
    }

    /// The name of its module without `.wasm`, if it builds one.
    pub(crate) fn module(&self) -> Option<&str> {
        let target = self.targets.iter().find(|target| target.kind.iter().any(|kind| kind == "cdylib"))?;
        Some(&target.name)
    }

    /// Whether the module as the compiler made it is wanted beside the finished one.
    pub(crate) fn keeps_unfinished(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.tidegate.keep_unfinished)
    }

    /// Its test programs that run as wasm32 too: those called `wasm` or `scenarios`, where it has wasm tests at all.
    pub(crate) fn wasm_tests(&self) -> Vec<&str> {
        if !self.dependencies.iter().any(|dependency| dependency.name == "wasm-bindgen-test") {
            return Vec::new();
        }
        let tests = self.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test"));
        tests.map(|target| target.name.as_str()).filter(|name| WASM_TESTS.contains(name)).collect()
    }
}

/// Packages that one call of cargo may compile for wasm32.
///
/// Features are the same in all of one call, and cargo's folder holds one module of each name. So the filters inside the
/// suite, which have no entry points, are compiled apart from those that become modules of their own; in one folder each
/// call would undo the other's work, in one call the suite would have the entry points of all.
pub(crate) struct Together {
    pub(crate) packages: Vec<Package>,
    suite: bool,
}

impl Together {
    /// The suite and what else holds filters, and all others.
    pub(crate) fn of(packages: Vec<Package>) -> [Together; 2] {
        let (suite, others): (Vec<Package>, Vec<Package>) =
            packages.into_iter().partition(Package::holds_filters);
        [Together { packages: others, suite: false }, Together { packages: suite, suite: true }]
    }

    /// Tells cargo which packages, and where to put what it compiles.
    pub(crate) fn choose(&self, command: &mut Command) {
        for package in &self.packages {
            command.args(["--package", &package.name]);
        }
        if self.suite {
            let usual = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            let usual = usual.unwrap_or_else(|| paths::repo_root().join("target/cargo"));
            command.arg("--target-dir").arg(usual.join("suite"));
        }
    }
}

/// The cargo that runs us, or the one on `PATH`.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::repo_root());
    command
}

/// The compiler that cargo would use.
pub(crate) fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(paths::repo_root());
    command
}

/// All members.
pub(crate) fn members() -> Result<Vec<Package>> {
    let text = process::output(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))
        .context("the workspace's Cargo.toml files cannot be read")?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("`cargo metadata` printed something unexpected")?;
    Ok(metadata.packages)
}

/// The version of a package in `Cargo.lock`; the first, where there are several.
pub(crate) fn locked_version(name: &str) -> Result<Option<String>> {
    let text = fs::read_to_string(paths::repo_root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let wanted = format!("name = \"{name}\"");
    let mut lines = text.lines().skip_while(|line| *line != wanted).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    Ok(version.map(|version| version.trim_matches('"').to_owned()))
}
