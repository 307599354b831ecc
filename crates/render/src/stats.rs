//! What Envoy and Istio must be told for the labels of telemetry's metrics to arrive.

use serde_json::Value;
use tidegate_telemetry::{Config, Histogram, confused_by_istio, stats_tag};

use crate::yaml::scalar;

/// `stats_config` for Envoy's bootstrap; nothing where there is no label and no histogram.
#[must_use]
pub fn envoy_stats(configs: &[&Config]) -> String {
    let (labels, histograms) = (labels(configs), histograms(configs));
    if labels.is_empty() && histograms.is_empty() {
        return String::new();
    }
    let mut lines = vec!["stats_config:".to_owned()];
    if !labels.is_empty() {
        lines.push("  stats_tags:".to_owned());
    }
    lines.extend(
        labels
            .iter()
            .map(|label| format!("    - {{tag_name: {}, regex: '{}'}}", scalar(label), stats_tag(label))),
    );
    if !histograms.is_empty() {
        lines.push(
            "  # Where nothing is said of buckets, Envoy's own are in milliseconds up to an hour: useless for bytes."
                .to_owned(),
        );
        lines.push("  histogram_bucket_settings:".to_owned());
    }
    for Histogram { name, buckets } in histograms {
        let buckets: Value = buckets.into_iter().map(json).collect();
        lines.push(format!("    - match: {{suffix: {}}}", scalar(&name)));
        lines.push(format!("      buckets: {buckets}"));
    }
    lines.join("\n") + "\n"
}

/// The prefixes that let metrics through Istio's `proxyStatsMatcher.inclusionPrefixes`.
#[must_use]
pub fn istio_prefixes(configs: &[&Config]) -> Vec<String> {
    sorted(configs.iter().flat_map(|config| config.prefixes()).map(|prefix| format!("wasmcustom.{prefix}")))
}

/// The labels, for Istio's `extraStatTags`.
#[must_use]
pub fn istio_extra_tags(configs: &[&Config]) -> Vec<String> {
    labels(configs)
}

/// A sentence for each pair of labels that Istio's own expressions confuse.
#[must_use]
pub fn istio_warnings(configs: &[&Config]) -> Vec<String> {
    let labels = labels(configs);
    let told = confused_by_istio(&labels).into_iter().map(|(long, short)| {
        format!("Istio looks for a label's name anywhere: it would take {long} for {short}. Rename one of them there.")
    });
    told.collect()
}

fn labels(configs: &[&Config]) -> Vec<String> {
    sorted(configs.iter().flat_map(|config| config.labels()))
}

fn histograms(configs: &[&Config]) -> Vec<Histogram> {
    let mut histograms: Vec<Histogram> = Vec::new();
    for histogram in configs.iter().flat_map(|config| config.histograms()) {
        if !histograms.contains(&histogram) {
            histograms.push(histogram);
        }
    }
    histograms
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whole numbers without a point.
fn json(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { number.into() }
}
