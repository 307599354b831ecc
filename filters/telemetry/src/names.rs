//! What a configuration's metrics are called, and how Envoy makes labels of it again: for tools, not for the module.

use crate::config::Config;
use crate::config::metric::default_buckets;
use tidegate_filter_api::MetricKind;

/// A histogram that Envoy keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Its name, without labels.
    pub name: String,
    /// Buckets that suit its unit.
    pub buckets: Vec<f64>,
}

impl Config {
    /// The names of all labels, sorted, each once; of metrics that Envoy keeps.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let metrics = self.metrics.iter().filter(|_| self.metrics_to.is_none());
        let mut labels: Vec<String> =
            metrics.flat_map(|metric| &metric.labels).map(|label| label.name.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// How the names of the metrics begin that Envoy keeps, without the host's own prefix: sorted, each once.
    #[must_use]
    pub fn prefixes(&self) -> Vec<String> {
        let metrics = self.metrics.iter().filter(|_| self.metrics_to.is_none());
        let mut prefixes: Vec<String> = metrics
            .flat_map(|metric| {
                // Labels that may be left out do not stand first for sure.
                let firsts = metric.labels.iter().take_while(|label| label.optional);
                let sure = metric.labels.iter().find(|label| !label.optional);
                let labels = firsts.chain(sure).map(|label| format!("{}=.=", label.name));
                labels.chain(sure.is_none().then(|| metric.name.clone())).collect::<Vec<String>>()
            })
            .collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }

    /// The histograms that Envoy keeps.
    #[must_use]
    pub fn histograms(&self) -> Vec<Histogram> {
        let metrics = self.metrics.iter().filter(|_| self.metrics_to.is_none());
        metrics
            .filter(|metric| metric.kind == MetricKind::Histogram)
            .map(|metric| Histogram { name: metric.name.clone(), buckets: default_buckets(&metric.value) })
            .collect()
    }
}

/// The expression that takes a label out of a metric's name: for `stats_config.stats_tags` of Envoy's bootstrap.
///
/// A label's name stands behind the dot of the host's prefix or the end of another label, so that `code` is not found in
/// `status_code`. Values hold neither.
#[must_use]
pub fn stats_tag(label: &str) -> String {
    format!(r"[.;]({label}=\.=(.*?);\.;)")
}

/// Pairs of labels of which Istio's expressions, which look for a name anywhere, take the first for the second.
#[must_use]
pub fn confused_by_istio(labels: &[String]) -> Vec<(&str, &str)> {
    let pairs =
        labels.iter().flat_map(|long| labels.iter().map(move |short| (long.as_str(), short.as_str())));
    pairs.filter(|(long, short)| long != short && long.ends_with(short)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        tidegate_config::decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn labels_and_beginnings_of_names_are_known() {
        let config = config(
            r#"{"preset": "otel_http", "metrics": [
                {"name": "plain_total", "type": "counter"},
                {"name": "shop_total", "type": "counter", "labels": {"route": "route_name", "code": "status"}}]}"#,
        );
        assert_eq!(
            config.labels(),
            [
                "code",
                "error_type",
                "http_request_method",
                "http_response_status_code",
                "network_protocol_version",
                "route",
                "url_scheme"
            ]
        );
        let prefixes = config.prefixes();
        for expected in ["code=.=", "plain_total", "error_type=.=", "http_server_active_requests"] {
            assert!(prefixes.iter().any(|prefix| prefix == expected), "{expected}: {prefixes:?}");
        }
        assert!(!prefixes.iter().any(|prefix| prefix == "route=.="), "it never stands first");
        assert_eq!(config.histograms().len(), 3);
        assert_eq!(confused_by_istio(&config.labels()), [("http_response_status_code", "code")]);
    }

    #[test]
    fn what_goes_to_a_collector_has_no_names_in_envoy() {
        let config = config(
            r#"{"metrics_to": {"otlp": {"cluster": "c"}}, "metrics": [{"name": "a", "type": "counter", "labels": {"m": "method"}}]}"#,
        );
        assert!(config.labels().is_empty() && config.prefixes().is_empty() && config.histograms().is_empty());
    }
}
