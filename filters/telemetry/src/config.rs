//! The filter's configuration.

use std::time::Duration;

use tidegate_config::{Cursor, Decode, Object};
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

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let path_templates: Option<Option<TemplateSet>> = object.optional("path_templates");
        let metrics_to = object.get("metrics_to").map_or(Some(None), |cursor| metrics_to(cursor).map(Some));
        let around = Surroundings {
            // Where they are wrong, that is said once.
            templates: path_templates.as_ref().is_none_or(Option::is_some),
            otlp: metrics_to.as_ref().is_none_or(Option::is_some),
        };
        let metrics = metrics(&mut object, around);
        let max_series = object.get("max_series").map_or(Some(2_000), |cursor| cursor.integer(1, 100_000));
        let access_log = object
            .get("access_log")
            .map_or(Some(Vec::new()), |cursor| cursor.list(|log| AccessLog::decode(log, around.templates)));
        let trace = object
            .get("trace")
            .map_or(Some(None), |cursor| Trace::decode(cursor, around.templates).map(Some));
        let client_address = object.or("client_address", ClientAddress::default());
        let resource = object.get("resource").map_or(Some(Vec::new()), resource);
        object.finish();
        let config = Self {
            metrics: metrics?,
            metrics_to: metrics_to?,
            path_templates: path_templates?.unwrap_or_default(),
            max_series: usize::try_from(max_series?).ok()?,
            access_log: access_log?,
            trace: trace?,
            client_address: client_address?,
            resource: resource?,
        };
        if config.metrics.is_empty() && config.access_log.is_empty() && config.trace.is_none() {
            return cursor
                .expected_found("\"metrics\", \"preset\", \"access_log\" or \"trace\"", "none of them");
        }
        Some(config)
    }
}

fn metrics(object: &mut Object<'_>, around: Surroundings) -> Option<Vec<Metric>> {
    let preset = object.get("preset").map_or(Some(Vec::new()), |cursor| {
        cursor.word(&[("otel_http", ())]).map(|()| preset::otel_http(around))
    });
    let Some(cursor) = object.get("metrics") else { return preset };
    let own = cursor.list(|metric| Metric::decode(metric, around));
    let mut metrics = preset?;
    for metric in own? {
        if metrics.iter().any(|other| other.name == metric.name) {
            return cursor.expected_found("each metric name once", format_args!("\"{}\" twice", metric.name));
        }
        metrics.push(metric);
    }
    Some(metrics)
}

/// `{otlp: {cluster: collector}, every: 10s}`
fn metrics_to(cursor: Cursor<'_>) -> Option<(Endpoint, Duration)> {
    let mut object = cursor.object()?;
    let endpoint = object.required("otlp");
    let every = object.get("every").map_or(Some(Duration::from_secs(10)), |cursor| {
        let every: tidegate_config::Duration = cursor.decode()?;
        let seconds = every.get().as_secs_f64();
        if (1.0..=3_600.0).contains(&seconds) {
            Some(every.get())
        } else {
            cursor.expected("a duration from \"1s\" to \"1h\"")
        }
    });
    object.finish();
    Some((endpoint?, every?))
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
