//! The schemas of the resources that manifests are made of: Istio's, Envoy Gateway's and the Gateway API's out of their
//! definitions, Kubernetes' own out of its API description. All of them come from Go modules that
//! `xtask/tools/schemas/go.mod` names and `go.sum` verifies; nothing is built.
//!
//! They are kept in one JSON file, by `GROUP/VERSION/KIND`. What is done with them is in `e2e::schemas`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::go;
use crate::staging;

const ISTIO: &str = "istio.io/istio";
const GATEWAY: &str = "github.com/envoyproxy/gateway";
const KUBERNETES: &str = "sigs.k8s.io/kubectl-validate";

/// Below Envoy Gateway's module.
const GATEWAY_CRDS: &str = "charts/gateway-helm/charts/crds/crds";
const GATEWAY_KINDS: [&str; 4] = ["backends", "envoyextensionpolicies", "envoypatchpolicies", "envoyproxies"];

/// Kubernetes' own, by the file that describes each: below `pkg/openapiclient/builtins/1.32`.
const OF_KUBERNETES: [(&str, &str, &[&str]); 2] = [
    (
        "api/v1.json",
        "v1",
        &["io.k8s.api.core.v1.ConfigMap", "io.k8s.api.core.v1.Namespace", "io.k8s.api.core.v1.Service"],
    ),
    ("apis/apps/v1.json", "apps/v1", &["io.k8s.api.apps.v1.Deployment"]),
];

/// The file of schemas, made now if it is not there.
pub(super) fn prepare() -> Result<PathBuf> {
    let file = place()?;
    if file.is_file() {
        return Ok(file);
    }
    let modules = go::download("schemas")?;
    let module = |name: &str| modules.get(name).with_context(|| format!("go.mod does not name {name}"));
    let mut schemas = Map::new();
    definitions(&module(ISTIO)?.join("manifests/charts/base/files/crd-all.gen.yaml"), &mut schemas)?;
    let crds = module(GATEWAY)?.join(GATEWAY_CRDS);
    definitions(&crds.join("gatewayapi-crds.yaml"), &mut schemas)?;
    for kind in GATEWAY_KINDS {
        definitions(&crds.join(format!("generated/gateway.envoyproxy.io_{kind}.yaml")), &mut schemas)?;
    }
    let builtins = module(KUBERNETES)?.join("pkg/openapiclient/builtins/1.32");
    for (file, version, kinds) in OF_KUBERNETES {
        described(&builtins.join(file), version, kinds, &mut schemas)?;
    }
    staging::write_file(&file, Value::Object(schemas).to_string().as_bytes())?;
    Ok(file)
}

/// The file, if it is there already.
pub(super) fn find() -> Result<Option<PathBuf>> {
    let file = place()?;
    Ok(file.is_file().then_some(file))
}

fn place() -> Result<PathBuf> {
    Ok(go::folder().join(format!("schemas-{}.json", go::identity("schemas", &[include_str!("schemas.rs")])?)))
}

/// The schemas of a file of CustomResourceDefinitions.
fn definitions(file: &Path, schemas: &mut Map<String, Value>) -> Result<()> {
    let text = read(file)?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{} is no YAML", file.display()))?;
    let before = schemas.len();
    for document in documents.iter().filter(is_definition) {
        let word = |place: &str| document.pointer(place).and_then(Value::as_str);
        let (group, kind) = (word("/spec/group"), word("/spec/names/kind"));
        let versions = document.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.map(Vec::as_slice).unwrap_or_default() {
            let (name, schema) = (version.get("name"), version.pointer("/schema/openAPIV3Schema"));
            if let (Some(group), Some(kind), Some(name), Some(schema)) =
                (group, kind, name.and_then(Value::as_str), schema)
            {
                schemas.insert(format!("{group}/{name}/{kind}"), schema.clone());
            }
        }
    }
    if schemas.len() == before {
        bail!("{} defines no resource", file.display());
    }
    Ok(())
}

fn is_definition(document: &&Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition")
}

/// The schemas of some kinds of an API description, with what they refer to in its place.
fn described(file: &Path, version: &str, kinds: &[&str], schemas: &mut Map<String, Value>) -> Result<()> {
    let document: Value = serde_json::from_str(&read(file)?)?;
    let all: BTreeMap<&str, &Value> = document
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .with_context(|| format!("{} describes nothing", file.display()))?
        .iter()
        .map(|(name, schema)| (name.as_str(), schema))
        .collect();
    for name in kinds {
        let schema = all.get(name).with_context(|| format!("{} has no {name}", file.display()))?;
        let kind = name.rsplit('.').next().unwrap_or(name);
        schemas.insert(format!("{version}/{kind}"), inlined(schema, &all, 0)?);
    }
    Ok(())
}

fn inlined(schema: &Value, all: &BTreeMap<&str, &Value>, depth: usize) -> Result<Value> {
    if depth > 64 {
        bail!("a schema refers to itself");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let target = all.get(name).with_context(|| format!("nothing describes {name}"))?;
        return inlined(target, all, depth + 1);
    }
    // A reference with a default beside it.
    if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return inlined(only, all, depth + 1);
    }
    Ok(match schema {
        Value::Object(fields) => {
            let fields: Result<Map<String, Value>> = fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), inlined(field, all, depth + 1)?)))
                .collect();
            Value::Object(fields?)
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| inlined(item, all, depth + 1)).collect::<Result<_>>()?)
        }
        scalar => scalar.clone(),
    })
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_put_in_their_place() {
        let leaf = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let root = json!({"properties": {"metadata": {"allOf": [{"$ref": "#/components/schemas/x.Leaf"}], "default": {}}}});
        let all = BTreeMap::from([("x.Leaf", &leaf)]);
        assert_eq!(inlined(&root, &all, 0).unwrap(), json!({"properties": {"metadata": leaf}}));
        let itself = json!({"$ref": "#/components/schemas/x.Itself"});
        let all = BTreeMap::from([("x.Itself", &itself)]);
        assert!(inlined(&itself, &all, 0).unwrap_err().to_string().contains("refers to itself"));
    }
}
