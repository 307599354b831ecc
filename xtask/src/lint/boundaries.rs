//! Dependencies point one way: see "Dependencies point one way" in the architecture. Read from the manifests, so that a
//! dependency that is declared but not (yet) used is found as well.

use anyhow::Result;

use super::Findings;
use crate::workspace::{self, Dependency, Package};

/// The SDK, which one crate alone may name.
const SDK: &str = "proxy-wasm";
const HOST: &str = "tidegate-proxy-host";
/// What our filters are measured against is written with the SDK alone.
const REFERENCE: &str = "tests/empty-filter";
const ONLY_WASM: &str = "cfg(target_arch = \"wasm32\")";

/// What a member is to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// `filter-api`, `config`, `matchers`, `jose`, `protobuf`, `quota`: plain code, on nothing but each other.
    Pure,
    /// `proxy-host`: carries out what filters decide.
    Host,
    /// `testkit` and what else only tests use.
    Testing,
    /// A crate that builds a module.
    Filter,
    /// A filter that holds others.
    Suite,
    /// `render`: knows every filter's configuration; for native programs.
    Manifests,
    /// `xtask` and other native programs.
    Tool,
}

pub(super) fn check() -> Findings {
    findings(&workspace::members()?)
}

fn findings(members: &[Package]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in members {
        let from = layer(package);
        for dependency in &package.dependencies {
            if let Some(fault) = fault(package, from, dependency, members) {
                findings.push(format!("{}/Cargo.toml: {fault}", package.folder()));
            }
        }
    }
    Ok(findings)
}

fn layer(package: &Package) -> Layer {
    match package.folder().as_str() {
        "crates/config" | "crates/filter-api" | "crates/jose" | "crates/matchers" | "crates/protobuf"
        | "crates/quota" => Layer::Pure,
        "crates/proxy-host" => Layer::Host,
        "crates/render" => Layer::Manifests,
        "crates/testkit" | "tests" => Layer::Testing,
        _ if package.holds_filters() => Layer::Suite,
        _ if package.module().is_some() => Layer::Filter,
        _ => Layer::Tool,
    }
}

fn fault(package: &Package, from: Layer, dependency: &Dependency, members: &[Package]) -> Option<String> {
    if dependency.name == SDK && package.name != HOST && package.folder() != REFERENCE {
        return Some(format!("depends on {SDK}, which is {HOST}'s alone: use the filter API"));
    }
    let to = layer(members.iter().find(|member| member.name == dependency.name)?);
    let testing = dependency.kind.as_deref() == Some("dev");
    let wasm = dependency.target.as_deref() == Some(ONLY_WASM);
    let allowed = match (from, to) {
        (Layer::Tool | Layer::Testing, Layer::Pure | Layer::Host | Layer::Testing) => true,
        (Layer::Tool | Layer::Testing | Layer::Manifests | Layer::Suite, Layer::Filter | Layer::Suite) => {
            true
        }
        (Layer::Tool | Layer::Testing, Layer::Manifests) => true,
        (_, Layer::Pure) => true,
        (_, Layer::Testing) => testing,
        (Layer::Filter | Layer::Suite, Layer::Host) => wasm,
        (_, Layer::Filter | Layer::Suite | Layer::Host | Layer::Manifests | Layer::Tool) => false,
    };
    (!allowed).then(|| {
        let remedy = match (from, to) {
            (Layer::Filter | Layer::Suite, Layer::Host) => {
                format!(" except under [target.'{ONLY_WASM}'.dependencies]")
            }
            (_, Layer::Testing) => " except under [dev-dependencies]".to_owned(),
            _ => String::new(),
        };
        format!("{} ({from:?}) may not depend on {} ({to:?}){remedy}", package.name, dependency.name)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::paths;

    /// A member in `folder`, named after it, with one dependency.
    fn member(folder: &str, module: bool, dependency: Option<(&str, Option<&str>, Option<&str>)>) -> Package {
        let name = match folder {
            "xtask" => "xtask".to_owned(),
            "tests" => "e2e".to_owned(),
            _ => format!("tidegate-{}", folder.rsplit('/').next().unwrap()),
        };
        let dependencies: Vec<_> = dependency
            .into_iter()
            .map(|(name, kind, target)| json!({"name": name, "kind": kind, "target": target}))
            .collect();
        serde_json::from_value(json!({
            "name": name,
            "manifest_path": paths::repo_root().join(folder).join("Cargo.toml"),
            "dependencies": dependencies,
            "targets": [{"name": name.replace('-', "_"), "kind": [if module { "cdylib" } else { "lib" }]}],
        }))
        .unwrap()
    }

    fn allowed(folder: &str, module: bool, dependency: (&str, Option<&str>, Option<&str>)) -> bool {
        let others = [
            member("crates/config", false, None),
            member("crates/proxy-host", false, None),
            member("crates/testkit", false, None),
            member("filters/auth", true, None),
            member("crates/render", false, None),
            member("tests", false, None),
        ];
        let members: Vec<Package> =
            std::iter::once(member(folder, module, Some(dependency))).chain(others).collect();
        findings(&members).unwrap().is_empty()
    }

    #[test]
    fn only_the_host_crate_may_name_the_sdk() {
        assert!(allowed("crates/proxy-host", false, (SDK, None, None)));
        assert!(!allowed("filters/telemetry", true, (SDK, None, Some(ONLY_WASM))));
        assert!(!allowed("crates/testkit", false, (SDK, Some("dev"), None)));
        assert!(allowed("tests/empty-filter", true, (SDK, None, Some(ONLY_WASM))));
    }

    #[test]
    fn a_filter_links_the_host_crate_on_wasm32_only() {
        assert!(allowed("filters/telemetry", true, (HOST, None, Some(ONLY_WASM))));
        assert!(!allowed("filters/telemetry", true, (HOST, None, None)));
    }

    #[test]
    fn pure_crates_know_no_host() {
        assert!(allowed("crates/matchers", false, ("tidegate-config", None, None)));
        assert!(!allowed("crates/matchers", false, (HOST, None, Some(ONLY_WASM))));
        assert!(!allowed("crates/matchers", false, ("tidegate-testkit", None, None)));
        assert!(allowed("crates/matchers", false, ("tidegate-testkit", Some("dev"), None)));
    }

    #[test]
    fn nothing_but_the_suite_and_tools_depends_on_a_filter() {
        assert!(!allowed("filters/telemetry", true, ("tidegate-auth", None, None)));
        assert!(!allowed("crates/matchers", false, ("tidegate-auth", Some("dev"), None)));
        assert!(allowed("filters/suite", true, ("tidegate-auth", None, None)));
        assert!(allowed("xtask", false, ("tidegate-auth", None, None)));
        assert!(allowed("crates/render", false, ("tidegate-auth", None, None)));
    }

    #[test]
    fn manifests_are_for_tools_and_tests() {
        assert!(allowed("xtask", false, ("tidegate-render", None, None)));
        assert!(allowed("tests", false, ("tidegate-render", None, None)));
        assert!(!allowed("filters/suite", true, ("tidegate-render", None, None)));
        assert!(!allowed("crates/render", false, ("e2e", None, None)));
    }
}
