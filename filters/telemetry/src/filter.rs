//! Records each exchange when it has ended.

use tidegate_filter_api::{Callbacks, Exchange, Filter, Flow, Host};

use crate::access_log;
use crate::attribute::Ended;
use crate::config::{AccessLog, Config, Metric};
use crate::series::SeriesTable;

/// The telemetry filter.
pub struct Telemetry {
    metrics: Vec<Metric>,
    series: SeriesTable,
    access_log: Vec<AccessLog>,
}

impl Filter for Telemetry {
    const NAME: &'static str = "telemetry";
    // The request is read when it comes, because the host no longer gives it when the exchange has ended.
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::LOG);
    type Config = Config;
    type Stream = ();

    fn new(config: Config, host: &dyn Host) -> Self {
        Self {
            metrics: config.metrics,
            series: SeriesTable::new(config.max_series, host),
            access_log: config.access_log,
        }
    }

    fn on_request(&self, (): &mut (), _: &mut Exchange, _: &dyn Host) -> Flow {
        Flow::Continue
    }

    fn on_log(&self, (): &mut (), exchange: &Exchange, host: &dyn Host) {
        let ended = Ended { exchange, host };
        for metric in &self.metrics {
            self.series.record(metric, &ended);
        }
        for log in &self.access_log {
            // Not even made where nobody would see it.
            if log::log_enabled!(log::Level::Info) {
                log::info!("{}", access_log::line(log, &ended));
            }
        }
    }
}
