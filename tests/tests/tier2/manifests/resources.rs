//! Each resource against the schema of its kind.

use e2e::schemas::Schemas;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::files;
use crate::needing::needing;

/// What is for Kubernetes. Istio's `stats.yaml` is for Helm.
const FOLDERS: [&str; 3] = ["istio", "envoy-gateway", "linkerd"];

/// Fields in which anything may stand: labels, and what is handed on to Envoy or a filter.
const FREE: [&str; 8] =
    ["pluginConfig", "config", "value", "labels", "matchLabels", "annotations", "selector", "data"];

const LINKERDS: &str = "policy.linkerd.io/v1beta3";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        needing(&["schemas"], "manifests::every_resource_is_what_its_schema_describes", all),
        needing(&["schemas"], "manifests::an_unknown_field_anywhere_is_found", unknown_fields),
        needing(&["schemas"], "manifests::a_wrong_word_is_found", wrong_words),
        Trial::test("manifests::linkerds_servers_say_their_protocol", linkerds_servers),
    ]
}

fn schemas() -> Result<Schemas, Failed> {
    Ok(Schemas::read(|_| true)?)
}

fn resources() -> Result<Vec<(String, Value)>, Failed> {
    let mut resources = Vec::new();
    for (file, documents) in files(&FOLDERS)? {
        if file.ends_with("stats.yaml") {
            continue;
        }
        // Nothing that can be had describes Linkerd's own.
        let documents =
            documents.into_iter().filter(|document| document["apiVersion"] != "policy.linkerd.io/v1beta3");
        resources.extend(documents.map(|document| (file.display().to_string(), document)));
    }
    Ok(resources)
}

fn all() -> Result<(), Failed> {
    let (schemas, mut faults) = (schemas()?, Vec::new());
    let resources = resources()?;
    for (file, resource) in &resources {
        faults.extend(schemas.faults(resource).into_iter().map(|fault| format!("{file}: {fault}")));
    }
    let kinds = |kind: &str| resources.iter().filter(|(_, resource)| resource["kind"] == kind).count();
    for (kind, least) in [
        ("EnvoyFilter", 30),
        ("WasmPlugin", 7),
        ("TrafficExtension", 7),
        ("EnvoyExtensionPolicy", 14),
        ("EnvoyPatchPolicy", 7),
        ("HTTPRoute", 2),
        ("Backend", 2),
        ("Deployment", 15),
        ("ConfigMap", 15),
        ("Service", 15),
    ] {
        if kinds(kind) < least {
            faults.push(format!("expected at least {least} of {kind}, seen {}", kinds(kind)));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// One mapping of each resource after the other gets a field too many.
fn unknown_fields() -> Result<(), Failed> {
    let (schemas, mut tried) = (schemas()?, 0);
    for (file, resource) in resources()? {
        let mut places = Vec::new();
        mappings(&resource, &mut String::new(), &mut places);
        for place in places {
            let mut changed = resource.clone();
            let mapping = changed.pointer_mut(&place).and_then(Value::as_object_mut);
            mapping.ok_or("no mapping there")?.insert("typo".to_owned(), json!("x"));
            if schemas.faults(&changed).is_empty() {
                return Err(format!("{file}: a field `typo` at {place:?} was not found").into());
            }
            tried += 1;
        }
    }
    if tried < 400 { Err(format!("only {tried} places were tried").into()) } else { Ok(()) }
}

fn mappings(value: &Value, place: &mut String, places: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            places.push(place.clone());
            fields.iter().map(|(name, field)| (name.replace('~', "~0").replace('/', "~1"), field)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let free =
            FREE.contains(&name.as_str()) && !(name == "selector" && child.get("matchLabels").is_some());
        if !free {
            let length = place.len();
            place.push('/');
            place.push_str(&name);
            mappings(child, place, places);
            place.truncate(length);
        }
    }
}

fn wrong_words() -> Result<(), Failed> {
    let schemas = schemas()?;
    let resources = resources()?;
    let of_kind =
        |kind: &str| resources.iter().map(|(_, resource)| resource).find(|it| it["kind"] == kind).cloned();
    for (kind, place, wrong) in [
        ("WasmPlugin", "/spec/phase", json!("AUTH")),
        ("WasmPlugin", "/spec/failStrategy", json!("FAIL_CLOSED")),
        ("WasmPlugin", "/spec/imagePullPolicy", json!("Never")),
        ("WasmPlugin", "/spec/priority", json!("high")),
        ("WasmPlugin", "/spec/sha256", json!("0")),
        ("WasmPlugin", "/spec/pluginConfig", json!("a text")),
        ("TrafficExtension", "/spec/wasm/failStrategy", json!("CLOSE")),
        ("TrafficExtension", "/spec/match/0/mode", json!("INBOUND")),
        ("EnvoyFilter", "/spec/configPatches/0/applyTo", json!("HTTP_FILTERS")),
        ("EnvoyFilter", "/spec/configPatches/0/patch/operation", json!("INSERT")),
        ("EnvoyFilter", "/spec/configPatches/0/match/context", json!("INBOUND")),
        ("EnvoyExtensionPolicy", "/spec/wasm/0/code/type", json!("http")),
        ("EnvoyExtensionPolicy", "/spec/wasm/0/failOpen", json!("no")),
        ("EnvoyPatchPolicy", "/spec/type", json!("Merge")),
        ("EnvoyPatchPolicy", "/spec/jsonPatches/0/operation/op", json!("insert")),
        ("HTTPRoute", "/spec/rules/0/matches/0/headers/0/type", json!("Prefix")),
        ("HTTPRoute", "/kind", json!("HttpRoute")),
        ("Deployment", "/spec/replicas", json!("two")),
        ("Service", "/spec/ports/0/port", json!("http")),
        ("EnvoyFilter", "/apiVersion", json!("networking.istio.io/v1")),
    ] {
        let mut resource = of_kind(kind).ok_or_else(|| format!("no {kind}"))?;
        let (parent, field) = place.rsplit_once('/').ok_or("no place")?;
        resource.pointer_mut(parent).ok_or_else(|| format!("{kind} has no {parent}"))?[field] = wrong.clone();
        if schemas.faults(&resource).is_empty() {
            return Err(format!("{kind}: {wrong} at {place} was not found").into());
        }
    }
    Ok(())
}

/// By what Linkerd's reference of authorization policies documents.
fn linkerds_servers() -> Result<(), Failed> {
    let mut seen = 0;
    for (file, documents) in files(&["linkerd"])? {
        for server in documents.iter().filter(|document| document["apiVersion"] == LINKERDS) {
            seen += 1;
            let expected = json!({
                "podSelector": {"matchLabels": {"app": server["metadata"]["name"]}},
                "port": "http",
                "proxyProtocol": "HTTP/1",
                "accessPolicy": "all-authenticated",
            });
            if server["kind"] != "Server" || server["spec"] != expected {
                return Err(format!("{}: expected {expected}, seen {server}", file.display()).into());
            }
        }
    }
    if seen == 8 { Ok(()) } else { Err(format!("expected 8 of them, seen {seen}").into()) }
}
