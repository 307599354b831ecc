//! A bill of materials (CycloneDX 1.5, <https://cyclonedx.org/docs/1.5/json/>) of what is compiled into a module: the
//! packages that it depends on, with their versions, licences and checksums. Without time and serial number: the same module
//! has the same bill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use e2e::image::digest;
use serde_json::{Value, json};

use crate::workspace;
use crate::{paths, process};

/// The bill of a package whose finished module is `module`, as JSON.
pub(super) fn of(package: &str, module: &[u8]) -> Result<Vec<u8>> {
    // Only what ends in the module: no build scripts, no macros, nothing of tests.
    let tree = process::output(workspace::cargo().args([
        "tree",
        "--locked",
        "--package",
        package,
        "--features",
        if package == "tidegate-suite" { "" } else { "module" },
        "--target",
        "wasm32-unknown-unknown",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "depth",
        "--no-dedupe",
        "--format",
        "\t{p}\t{l}",
    ]))?;
    let lock = fs::read_to_string(paths::repo_root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let compiler = process::output(workspace::rustc().arg("--version"))?;
    let mut text = serde_json::to_vec_pretty(&bill(&tree, &lock, compiler.trim(), module)?)?;
    text.push(b'\n');
    Ok(text)
}

/// A package: name and version.
type Package = (String, String);

fn bill(tree: &str, lock: &str, compiler: &str, module: &[u8]) -> Result<Value> {
    let (root, licences, edges) = read(tree)?;
    let checksums = checksums(lock);
    let component = |package: &Package, kind: &str, checksum: Option<&str>| {
        let licence = licences.get(package).filter(|licence| !licence.is_empty());
        let sha256 = |content: &str| json!({"alg": "SHA-256", "content": content});
        json!({
            "type": kind,
            "bom-ref": reference(package),
            "name": package.0,
            "version": package.1,
            "purl": reference(package),
            // Some still write what SPDX calls OR with a slash.
            "licenses": licence.into_iter().map(|it| json!({"expression": it.replace('/', " OR ")})).collect::<Vec<_>>(),
            "hashes": checksum.into_iter().map(sha256).collect::<Vec<_>>(),
        })
    };
    let library = |package| component(package, "library", checksums.get(package).map(String::as_str));
    let main = component(&root, "application", Some(digest(module).trim_start_matches("sha256:")));
    let components: Vec<Value> = licences.keys().filter(|package| **package != root).map(library).collect();
    let dependencies: Vec<Value> = licences
        .keys()
        .map(|package| {
            let on: Vec<String> = edges.get(package).into_iter().flatten().map(reference).collect();
            json!({"ref": reference(package), "dependsOn": on})
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": main,
            // Its standard library is in the module too.
            "properties": [{"name": "tidegate:compiler", "value": compiler}],
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

type Edges = BTreeMap<Package, BTreeSet<Package>>;

/// The tree's root, the licence of every package in it, and who depends on whom.
fn read(tree: &str) -> Result<(Package, BTreeMap<Package, String>, Edges)> {
    let (mut licences, mut edges) = (BTreeMap::new(), Edges::new());
    // From the root down to the line before.
    let mut above: Vec<Package> = Vec::new();
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split('\t');
        let mut field = || fields.next().with_context(|| format!("cargo's tree has a line {line:?}"));
        let (depth, package, licence) = (field()?, field()?, field()?);
        let depth: usize = depth.trim().parse().with_context(|| format!("no depth in {line:?}"))?;
        // `name v1.2.3 (where)`
        let mut words = package.split_whitespace();
        let name = words.next().context("a package has a name")?.to_owned();
        let version = words.next().context("a package has a version")?.trim_start_matches('v').to_owned();
        let package = (name, version);
        above.truncate(depth);
        if let Some(parent) = above.last() {
            edges.entry(parent.clone()).or_default().insert(package.clone());
        }
        licences.insert(package.clone(), licence.trim().to_owned());
        above.push(package);
    }
    let root = above.into_iter().next().context("cargo's tree is empty")?;
    Ok((root, licences, edges))
}

/// What `Cargo.lock` says of packages from a registry.
fn checksums(lock: &str) -> BTreeMap<Package, String> {
    let entries = lock.split("[[package]]").skip(1);
    entries
        .filter_map(|entry| {
            let value = |key: &str| {
                let line = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
                line.map(|value| value.trim_matches('"').to_owned())
            };
            Some(((value("name")?, value("version")?), value("checksum")?))
        })
        .collect()
}

/// As a package URL (<https://github.com/package-url/purl-spec>).
fn reference((name, version): &Package) -> String {
    format!("pkg:cargo/{name}@{version}")
}

#[cfg(test)]
mod tests {
    use cyclonedx_bom::prelude::{Bom, Validate};

    use super::*;

    const TREE: &str = "0\ttop v0.1.0 (/somewhere)\tApache-2.0\n1\ta v1.0.0\tMIT/Apache-2.0\n2\tb v2.0.0\tMIT\n1\tb v2.0.0\tMIT\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n\n[[package]]\n\
                        name = \"top\"\nversion = \"0.1.0\"\n";

    #[test]
    fn a_bill_says_what_is_inside_and_why() {
        let bill = bill(TREE, LOCK, "rustc 1.95.0", b"module").unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], "top");
        let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(bill["components"][0]["hashes"][0]["content"], "00ff");
        assert_eq!(bill["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        let on = |at: usize| bill["dependencies"][at]["dependsOn"].as_array().unwrap().len();
        assert_eq!((on(0), on(1), on(2)), (1, 0, 2));
    }

    #[test]
    fn every_filters_bill_is_valid_and_names_no_machine() {
        for package in ["tidegate-auth", "tidegate-suite"] {
            let text = of(package, b"a module").unwrap();
            let bom = Bom::parse_from_json(text.as_slice()).unwrap();
            let seen = bom.validate();
            assert!(seen.passed(), "{seen:?}");
            let text = String::from_utf8(text).unwrap();
            let root = paths::repo_root().display().to_string();
            assert!(!text.contains(&root), "the bill names {root}");
            for inside in ["pkg:cargo/proxy-wasm@", "pkg:cargo/tidegate-config@", "pkg:cargo/sha2@"] {
                assert!(text.contains(inside), "{package}: no {inside}");
            }
            for outside in ["serde_derive", "wasm-bindgen-test", "proptest", "tidegate-testkit"] {
                assert!(!text.contains(outside), "{package}: {outside} is not in a module");
            }
        }
    }
}
