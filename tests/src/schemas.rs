//! Resources of Kubernetes held against their schemas: those of Istio, Envoy Gateway and the Gateway API, and of what is
//! Kubernetes' own.
//!
//! A field that a schema does not know is an error here. (A cluster would drop it without a word, and kubectl warn.) Rules
//! over several fields, which such schemas write in CEL, are not looked at: Istio's own validator does in tier 4.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::companions;

/// The schemas, by `GROUP/VERSION/KIND`.
#[derive(Debug)]
pub struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    /// Reads those that `cargo xtask setup` fetched; of these the ones of kinds that `wanted` takes.
    pub fn read(wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let file = companions::program("schemas")?;
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let all: BTreeMap<String, Value> = serde_json::from_str(&text)?;
        let mut schemas = BTreeMap::new();
        for (kind, schema) in all.into_iter().filter(|(kind, _)| wanted(kind)) {
            let validator = jsonschema::draft7::new(&resource(&schema))
                .map_err(|error| anyhow::anyhow!("the schema of {kind} is none: {error}"))?;
            schemas.insert(kind, validator);
        }
        Ok(Self(schemas))
    }

    /// What is wrong with a resource: each finding with its place. One of a kind that nothing describes is wrong.
    #[must_use]
    pub fn faults(&self, resource: &Value) -> Vec<String> {
        let word = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = format!("{}/{}", word("apiVersion"), word("kind"));
        let Some(validator) = self.0.get(&kind) else {
            return vec![format!("no schema describes {kind}")];
        };
        validator.iter_errors(resource).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

/// The schema of a whole resource: what every resource has is described by no CustomResourceDefinition.
fn resource(schema: &Value) -> Value {
    let mut strict = strict(schema);
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    strict["properties"]["apiVersion"] = json!({"type": "string"});
    strict["properties"]["kind"] = json!({"type": "string"});
    strict["properties"]["metadata"] = json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253},
            "namespace": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
            "labels": texts,
            "annotations": texts,
        },
    });
    strict
}

/// The same schema with unknown fields refused, wherever it lists the known ones. Only there where it describes structure:
/// what stands below `oneOf` and the like describes conditions.
fn strict(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let each = |below: &Value| -> Value {
        let described = below.as_object().into_iter().flatten();
        Value::Object(described.map(|(name, schema)| (name.clone(), strict(schema))).collect())
    };
    let mut made = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "properties" => each(value),
            "items" | "additionalProperties" => strict(value),
            // Of Kubernetes' own dialect, or for documentation.
            "description" | "default" | "format" | "example" => continue,
            _ if name.starts_with("x-kubernetes-") => continue,
            _ => value.clone(),
        };
        made.insert(name.clone(), value);
    }
    let keeps_unknown = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if fields.contains_key("properties") && !keeps_unknown && !fields.contains_key("additionalProperties") {
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_refused_where_the_known_ones_are_listed() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "required": ["url"], "oneOf": [{"required": ["url"]}], "properties": {
                "url": {"type": "string", "description": "x"},
                "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            }},
        }});
        let validator = jsonschema::draft7::new(&resource(&schema)).unwrap();
        let valid = |spec: Value| {
            validator.is_valid(
                &json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec}),
            )
        };
        assert!(valid(json!({"url": "u", "config": {"any": 1}, "labels": {"any": "1"}, "list": [{"a": 1}]})));
        for wrong in [
            json!({"url": "u", "ulr": "u"}),
            json!({"url": "u", "labels": {"a": 1}}),
            json!({"url": "u", "list": [{"b": 1}]}),
            json!({"url": 1}),
            json!({}),
        ] {
            assert!(!valid(wrong.clone()), "{wrong}");
        }
        let metadata = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a", "lables": {}}, "spec": {"url": "u"}});
        assert!(!validator.is_valid(&metadata));
    }
}
