//! `cargo xtask stats-tags`: what Envoy and Istio must be told for telemetry's labels to arrive.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tidegate_telemetry::Config;

#[derive(Args, Debug)]
pub(crate) struct StatsTags {
    /// A telemetry configuration, or any YAML or JSON that holds some: an Envoy bootstrap, a WasmPlugin, an EnvoyFilter.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
}

impl StatsTags {
    pub(crate) fn run(&self) -> Result<()> {
        print!("{}", tell(&found_in(&self.config)?));
        Ok(())
    }
}

/// All telemetry configurations in a file.
fn found_in(file: &Path) -> Result<Vec<Config>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{} is neither YAML nor JSON", file.display()))?;
    let mut found = Vec::new();
    for document in &documents {
        collect(document, &mut found)?;
    }
    if found.is_empty() {
        bail!("{} has no telemetry configuration with metrics", file.display());
    }
    Ok(found)
}

fn collect(value: &Value, found: &mut Vec<Config>) -> Result<()> {
    match value {
        Value::Object(fields) if is_telemetry(value) => {
            match tidegate_config::decode(value.to_string().as_bytes()) {
                Ok(config) => found.push(config),
                Err(errors) => {
                    let names: Vec<&String> = fields.keys().collect();
                    bail!("the telemetry configuration with the keys {names:?} is refused:\n{errors}")
                }
            }
        }
        Value::Object(fields) => fields.values().try_for_each(|field| collect(field, found))?,
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, found))?,
        // A StringValue holds the configuration as a text.
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                collect(&inner, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Telemetry's own words, and metrics as it has them.
fn is_telemetry(value: &Value) -> bool {
    let of_ours = |metric: &Value| metric.get("name").is_some() && metric.get("type").is_some();
    let metrics = value.get("metrics").and_then(Value::as_array);
    metrics.is_some_and(|metrics| metrics.iter().all(of_ours))
        || value.get("preset").and_then(Value::as_str) == Some("otel_http")
}

fn tell(configs: &[Config]) -> String {
    let configs: Vec<&Config> = configs.iter().collect();
    let mut lines = vec![
        "# Envoy: in the bootstrap. Labels come out of a metric's name, and histograms get buckets in their unit."
            .to_owned(),
    ];
    lines.extend(tidegate_render::envoy_stats(&configs).lines().map(str::to_owned));
    lines.push(String::new());
    lines.push(
        "# Istio: in meshConfig.defaultConfig, or in a pod's annotation proxy.istio.io/config.".to_owned(),
    );
    lines.push("proxyStatsMatcher:".to_owned());
    lines.push("  inclusionPrefixes:".to_owned());
    lines
        .extend(tidegate_render::istio_prefixes(&configs).iter().map(|prefix| format!("    - \"{prefix}\"")));
    lines.push("extraStatTags:".to_owned());
    lines.extend(tidegate_render::istio_extra_tags(&configs).iter().map(|label| format!("  - {label}")));
    lines.extend(tidegate_render::istio_warnings(&configs).iter().map(|warning| format!("# {warning}")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, yaml).unwrap();
        tell(&found_in(&file).unwrap())
    }

    const EXPECTED: &str = r#"# Envoy: in the bootstrap. Labels come out of a metric's name, and histograms get buckets in their unit.
stats_config:
  stats_tags:
    - {tag_name: code, regex: '[.;](code=\.=(.*?);\.;)'}
    - {tag_name: tenant, regex: '[.;](tenant=\.=(.*?);\.;)'}
  # Where nothing is said of buckets, Envoy's own are in milliseconds up to an hour: useless for bytes.
  histogram_bucket_settings:
    - match: {suffix: shop_latency_milliseconds}
      buckets: [5,10,25,50,75,100,250,500,750,1000,2500,5000,7500,10000]

# Istio: in meshConfig.defaultConfig, or in a pod's annotation proxy.istio.io/config.
proxyStatsMatcher:
  inclusionPrefixes:
    - "wasmcustom.code=.="
    - "wasmcustom.shop_latency_milliseconds"
extraStatTags:
  - code
  - tenant
"#;

    const METRICS: &str = r#"[{name: shop_requests_total, type: counter, labels: {code: status_class, tenant: {header: x-tenant}}},
        {name: shop_latency_milliseconds, type: histogram, value: duration}]"#;

    #[test]
    fn a_configuration_is_found_wherever_it_stands() {
        assert_eq!(told(&format!("metrics: {METRICS}\n")), EXPECTED);
        let plugin = format!(
            "apiVersion: v1\nkind: Service\n---\nkind: WasmPlugin\nspec: {{pluginConfig: {{metrics: {METRICS}}}}}\n"
        );
        assert_eq!(told(&plugin), EXPECTED);
        let text = r#"configuration: {value: '{"metrics": [{"name": "a", "type": "counter", "labels": {"m": "method"}}]}'}"#;
        assert!(told(text).contains("tag_name: m"));
    }

    #[test]
    fn the_bootstraps_have_what_is_told() {
        for name in ["telemetry", "telemetry-otlp", "all-filters", "suite"] {
            let file = e2e::tools::repo_root().join(format!("envoy-config/{name}.yaml"));
            let (text, told) = (fs::read_to_string(&file).unwrap(), tell(&found_in(&file).unwrap()));
            let wanted = |line: &&str| {
                line.contains("tag_name") || line.contains("suffix") || line.contains("buckets:")
            };
            let of_envoy = told.lines().take_while(|line| !line.starts_with("# Istio"));
            let lines: Vec<&str> = of_envoy.filter(wanted).collect();
            assert!(lines.len() >= 4, "{name}: {told}");
            for line in lines {
                assert!(text.contains(&format!("{line}\n")), "{name} has no {line}");
            }
            assert_eq!(text.matches("tag_name").count(), told.matches("tag_name").count(), "{name}");
        }
    }

    #[test]
    fn what_istio_would_confuse_is_said() {
        let told = told("preset: otel_http\nmetrics: [{name: a, type: counter, labels: {method: method}}]\n");
        assert!(told.contains("it would take http_request_method for method"), "{told}");
    }

    #[test]
    fn a_refused_configuration_is_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, "metrics: [{name: a-b, type: counter}]\n").unwrap();
        let error = found_in(&file).unwrap_err().to_string();
        assert!(error.contains("metrics[0].name: expected a metric name"), "{error}");
        fs::write(&file, "static_resources: {}\n").unwrap();
        assert!(found_in(&file).unwrap_err().to_string().contains("no telemetry configuration"));
    }
}
