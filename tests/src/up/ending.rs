//! Requests to end: Ctrl-C, `kill`, a terminal that closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::envoy::Envoy;

const POLL: Duration = Duration::from_millis(50);

/// How long after Envoy's end the request may come that ended both: Ctrl-C in a terminal reaches every program there.
const GRACE: Duration = Duration::from_millis(500);

/// Takes the signals that would end this process at once, so that what it started can be ended first.
#[derive(Debug)]
pub(super) struct Ending {
    come: Arc<AtomicBool>,
}

impl Ending {
    /// From now on the signals end nothing by themselves.
    pub(super) fn watch() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let (mut interrupt, mut terminate, mut hangup) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        );
        drop(guard);
        let come = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&come);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            flag.store(true, Ordering::Release);
        });
        Ok(Self { come })
    }

    /// Whether one has come.
    pub(super) fn has_come(&self) -> bool {
        self.come.load(Ordering::Acquire)
    }

    /// Waits until one comes; an error if Envoy ends without.
    pub(super) fn wait(&self, envoy: &mut Envoy) -> Result<()> {
        let mut ended = None;
        while !self.has_come() {
            if !envoy.is_alive() && ended.get_or_insert_with(Instant::now).elapsed() > GRACE {
                bail!("Envoy ended:\n{}", envoy.log());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}
