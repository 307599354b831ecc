//! The scenario file as written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::bytes::unescape;
use super::target::Request;

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub about: String,
    /// Environment variables of the modules.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The filters in order: `{rate-limit: {…}}`.
    filters: Vec<BTreeMap<String, Value>>,
    /// What happens.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Instead of steps: the configuration is refused, and each of these texts is in the log.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Beside `refused`: what the log must not hold.
    #[serde(default)]
    pub log_lacks: Vec<String>,
}

/// One step: time passes, then the request is sent, then everything expected is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How far the clock moves first.
    #[serde(default, deserialize_with = "duration")]
    pub advance: Duration,
    /// What is sent; nothing if absent.
    pub request: Option<RequestSpec>,
    /// How often; the same is expected of each response, metrics and log are looked at after the last.
    #[serde(default = "one")]
    pub repeat: u32,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

/// A request as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    method: Option<String>,
    #[serde(default = "root")]
    path: String,
    #[serde(default = "shop")]
    host: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    grpc: bool,
}

/// What must come of a step. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The HTTP status.
    pub status: Option<u16>,
    /// Response headers, exactly; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Response headers and a part of each.
    pub header_contains: BTreeMap<String, String>,
    /// Response headers that hold a number in this range, both ends included.
    pub header_between: BTreeMap<String, (u64, u64)>,
    /// Response headers that must not be there.
    pub absent_headers: Vec<String>,
    /// A part of the response's body.
    pub body_contains: Option<String>,
    /// `stable`, `beta` or `nobody`.
    pub reached: Option<String>,
    /// Request headers as the backend saw them.
    pub upstream_headers: BTreeMap<String, String>,
    /// Request headers that the backend must not have seen.
    pub upstream_absent: Vec<String>,
    /// The gRPC status.
    pub grpc_status: Option<u32>,
    /// The sum, since the start, of all counters whose name contains the key.
    pub metrics: BTreeMap<String, u64>,
    /// Parts of the log since the start.
    pub log_contains: Vec<String>,
    /// What the log must not hold.
    pub log_lacks: Vec<String>,
}

impl Scenario {
    /// Reads a file's text; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        match (scenario.steps.is_empty(), scenario.refused.is_empty()) {
            (true, true) => return Err("neither \"steps\" nor \"refused\": it would show nothing".to_owned()),
            (false, false) => {
                return Err("both \"steps\" and \"refused\": a refused filter sees no request".to_owned());
            }
            (false, true) if !scenario.log_lacks.is_empty() => {
                return Err("\"log_lacks\" stands in a step's \"expect\" there".to_owned());
            }
            _ => {}
        }
        if scenario.filters.is_empty() || scenario.filters.iter().any(|filter| filter.len() != 1) {
            return Err("\"filters\" is a list of one {name: configuration} per filter".to_owned());
        }
        for (index, step) in scenario.steps.iter().enumerate() {
            if let Some(known) = &step.expect.reached
                && !matches!(known.as_str(), "stable" | "beta" | "nobody")
            {
                return Err(format!("steps[{index}].expect.reached: stable, beta or nobody, not {known:?}"));
            }
            if step.request.is_none() && !step.expect.speaks_of_traces_only() {
                return Err(format!(
                    "steps[{index}].expect: without a request there is no response to look at"
                ));
            }
            if step.repeat == 0 {
                return Err(format!("steps[{index}].repeat: 0 would show nothing"));
            }
        }
        Ok(scenario)
    }

    /// The same filters as the suite's configuration: each under its name, in the order of the list. `None` if one stands
    /// there twice: the suite has each once.
    #[must_use]
    pub fn suite(&self) -> Option<Value> {
        let mut suite = serde_json::Map::new();
        let mut order = Vec::new();
        for (name, configuration) in self.filters() {
            let name = name.replace('-', "_");
            order.push(Value::from(name.clone()));
            if suite.insert(name, configuration.clone()).is_some() {
                return None;
            }
        }
        suite.insert("order".to_owned(), order.into());
        Some(suite.into())
    }

    /// Name and configuration of each filter, in order.
    pub fn filters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.filters.iter().flatten().map(|(name, configuration)| (name.as_str(), configuration))
    }
}

impl Expect {
    fn speaks_of_traces_only(&self) -> bool {
        let traces = Self {
            metrics: self.metrics.clone(),
            log_contains: self.log_contains.clone(),
            log_lacks: self.log_lacks.clone(),
            ..Self::default()
        };
        *self == traces
    }
}

impl RequestSpec {
    /// The request in bytes.
    #[must_use]
    pub fn request(&self) -> Request {
        let default = if self.grpc || !self.body.is_empty() { "POST" } else { "GET" };
        Request {
            method: self.method.clone().unwrap_or_else(|| default.to_owned()),
            path: unescape(&self.path),
            host: self.host.clone(),
            headers: self.headers.iter().map(|(name, value)| (unescape(name), unescape(value))).collect(),
            body: unescape(&self.body),
            grpc: self.grpc,
        }
    }
}

fn one() -> u32 {
    1
}

fn root() -> String {
    "/".to_owned()
}

fn shop() -> String {
    "shop.example".to_owned()
}

/// `250ms`, `2s`, `1m`
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let parsed = units.into_iter().find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(factor).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| de::Error::custom(format!("{text:?} is no duration such as 250ms, 2s or 1m")))
}
