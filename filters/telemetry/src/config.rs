//! The filter's configuration.

use std::time::Duration;

use tidegate_config::{Cursor, Decode, fill};
use tidegate_matchers::{ClientAddress, TemplateSet};

pub(crate) mod access_log;
pub(crate) mod endpoint;
pub(crate) mod label;
pub(crate) mod metric;
mod preset;
pub(crate) mod trace;
pub(crate) mod when;

use access_log::AccessLog;
use endpoint::Endpoint;
use metric::{Metric, Surroundings};
use trace::Trace;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) metrics: Vec<Metric>,
    /// `None`: Envoy keeps them.
    pub(crate) metrics_to: Option<(Endpoint, Duration)>,
    pub(crate) path_templates: TemplateSet,
    pub(crate) max_series: usize,
    pub(crate) access_log: Vec<AccessLog>,
    pub(crate) trace: Option<Trace>,
    pub(crate) client_address: ClientAddress,
    /// What OTLP says of the proxy itself.
    pub(crate) resource: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            metrics_to: None,
            path_templates: TemplateSet::default(),
            max_series: 2_000,
            access_log: Vec::new(),
            trace: None,
            client_address: ClientAddress::default(),
            resource: Vec::new(),
        }
    }
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let mut config = Self::default();
        let mut fine = true;
        let templates = object.get("path_templates");
        fine &= fill(templates, &mut config.path_templates, |cursor| cursor.decode());
        let export = object.get("metrics_to");
        fine &= fill(export, &mut config.metrics_to, |cursor| metrics_to(cursor).map(Some));
        let around = Surroundings { templates: templates.is_some(), otlp: export.is_some() };
        fine &= object.fill("preset", &mut config.metrics, |cursor| {
            cursor.word(&[("otel_http", ())]).map(|()| preset::otel_http(around))
        });
        fine &= object.get("metrics").is_none_or(|cursor| metrics(cursor, around, &mut config.metrics));
        fine &= object.fill("max_series", &mut config.max_series, |cursor| {
            cursor.integer(1, 100_000).and_then(|most| usize::try_from(most).ok())
        });
        fine &= object.fill("access_log", &mut config.access_log, |cursor| {
            cursor.list(|log| AccessLog::decode(log, around.templates))
        });
        fine &= object
            .fill("trace", &mut config.trace, |cursor| Trace::decode(cursor, around.templates).map(Some));
        fine &= object.fill("client_address", &mut config.client_address, |cursor| cursor.decode());
        fine &= object.fill("resource", &mut config.resource, resource);
        object.finish();
        if !fine {
            return None;
        }
        if config.metrics.is_empty() && config.access_log.is_empty() && config.trace.is_none() {
            return cursor
                .expected_found("\"metrics\", \"preset\", \"access_log\" or \"trace\"", "none of them");
        }
        Some(config)
    }
}

/// Whether all metrics are fine; they stand behind those of a preset.
fn metrics(cursor: Cursor<'_>, around: Surroundings, metrics: &mut Vec<Metric>) -> bool {
    let Some(own) = cursor.list(|metric| Metric::decode(metric, around)) else { return false };
    for metric in own {
        if metrics.iter().any(|other| other.name == metric.name) {
            cursor.expected_found::<()>("each metric name once", format_args!("\"{}\" twice", metric.name));
            return false;
        }
        metrics.push(metric);
    }
    true
}

/// `{otlp: {cluster: collector}, every: 10s}`
fn metrics_to(cursor: Cursor<'_>) -> Option<(Endpoint, Duration)> {
    let mut object = cursor.object()?;
    let endpoint = object.required("otlp");
    let mut every = Duration::from_secs(10);
    let fine = object.fill("every", &mut every, |cursor| {
        let every: tidegate_config::Duration = cursor.decode()?;
        let seconds = every.get().as_secs_f64();
        if (1.0..=3_600.0).contains(&seconds) {
            Some(every.get())
        } else {
            cursor.expected("a duration from \"1s\" to \"1h\"")
        }
    });
    object.finish();
    endpoint.filter(|_| fine).map(|endpoint| (endpoint, every))
}

/// `{service.name: shop, deployment.environment.name: production}`
fn resource(cursor: Cursor<'_>) -> Option<Vec<(String, String)>> {
    const MOST: usize = 32;
    let resource = cursor.members(|name, value| Some((name.to_owned(), value.decode()?)))?;
    if resource.len() > MOST {
        return cursor.expected_found(format_args!("at most {MOST} attributes"), resource.len());
    }
    Some(resource)
}
