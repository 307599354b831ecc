//! Logging and the panic hook.

use std::panic;

use super::abi;

struct Logger;

static LOGGER: Logger = Logger;

/// Sends `log` records and panics to the host's log.
pub(super) fn install() {
    // A second install in one VM cannot happen, and would change nothing.
    let _ = log::set_logger(&LOGGER);
    panic::set_hook(Box::new(|info| abi::log(5, &info.to_string())));
}

/// Asks the host for its level, once: records below it are not even formatted.
pub(super) fn adopt_host_level() {
    log::set_max_level(match abi::log_level() {
        Some(0) => log::LevelFilter::Trace,
        Some(1) => log::LevelFilter::Debug,
        Some(3) => log::LevelFilter::Warn,
        Some(4) => log::LevelFilter::Error,
        Some(5..) => log::LevelFilter::Off,
        Some(2) | None => log::LevelFilter::Info,
    });
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Trace => 0,
            log::Level::Debug => 1,
            log::Level::Info => 2,
            log::Level::Warn => 3,
            log::Level::Error => 4,
        };
        abi::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
