//! A bounded queue of records in front of a collector.
//!
//! Never delays a request and never grows: the oldest record makes room for a new one. Every record that is not delivered
//! is counted as dropped.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::Hasher as _;
use std::time::Duration;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use tidegate_filter_api::{CallToken, CalloutResult, Host, HostError, MetricId, MetricKind, Property};

use super::sender::{Ending, Sender};
use super::{Preamble, Signal};
use crate::config::endpoint::{Endpoint, Queue};

/// So many bytes may wait, whatever the number of records.
const MOST_WAITING: usize = 8 << 20;
/// A message grows no larger: receivers have limits of their own.
const MOST_MESSAGE: usize = 1 << 20;
/// What a worker that goes leaves to the others.
const MOST_LEFT: usize = 1 << 20;
/// A message that failed so often is dropped.
const ATTEMPTS: u32 = 5;
/// How often a worker looks for what others left.
const INHERIT_EVERY: Duration = Duration::from_secs(5);

/// What became of records, for all exporters of one signal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    exported: Option<MetricId>,
    dropped: Option<MetricId>,
}

impl Counters {
    pub(crate) fn define(signal: Signal, host: &dyn Host) -> Self {
        let counter = |what: &str| {
            let name = format!("tidegate.telemetry.{what}_{}", signal.records());
            host.define_metric(MetricKind::Counter, &name).ok()
        };
        Self { exported: counter("exported"), dropped: counter("dropped") }
    }

    pub(crate) fn exported(&self, records: u64, host: &dyn Host) {
        add(self.exported, records, host);
    }

    pub(crate) fn dropped(&self, records: u64, host: &dyn Host) {
        add(self.dropped, records, host);
    }
}

fn add(metric: Option<MetricId>, records: u64, host: &dyn Host) {
    if let Some(metric) = metric {
        host.add(metric, i64::try_from(records).unwrap_or(i64::MAX));
    }
}

type Record = Box<[u8]>;

/// Records that wait, and those that are on their way.
#[derive(Debug, Default)]
struct Records {
    waiting: VecDeque<Record>,
    bytes: usize,
    sent: Vec<Record>,
    /// How often those were sent.
    attempts: u32,
}

/// A bounded queue of records in front of a collector.
#[derive(Debug)]
pub(crate) struct Exporter {
    sender: Sender,
    limits: Queue,
    preamble: Preamble,
    counters: Counters,
    records: RefCell<Records>,
    /// When a message was sent last.
    last: Cell<Duration>,
    /// Where a worker that goes leaves what it has not sent.
    left_at: Vec<u8>,
    looked: Cell<Option<Duration>>,
}

impl Exporter {
    pub(crate) fn new(
        endpoint: &Endpoint,
        limits: Queue,
        signal: Signal,
        preamble: &Preamble,
        counters: Counters,
        host: &dyn Host,
    ) -> Self {
        Self {
            sender: Sender::new(endpoint, signal),
            limits,
            preamble: preamble.clone(),
            counters,
            records: RefCell::default(),
            last: Cell::new(Duration::ZERO),
            left_at: left_at(endpoint, signal, host),
            looked: Cell::new(None),
        }
    }

    /// How often it wants to be ticked.
    pub(crate) fn period(&self) -> Duration {
        self.limits.every
    }

    /// Takes a record; sends a message if it is full.
    pub(crate) fn push(&self, record: Vec<u8>, now: Duration, host: &dyn Host) {
        let full = {
            let mut records = self.records.borrow_mut();
            records.bytes += record.len();
            records.waiting.push_back(record.into());
            let dropped = records.make_room(self.limits.capacity);
            self.counters.dropped(dropped, host);
            records.waiting.len() >= self.limits.batch
        };
        if full {
            self.send(now, host);
        }
    }

    /// Sends what has waited long enough, and takes over what workers that went have left.
    pub(crate) fn tick(&self, now: Duration, host: &dyn Host) {
        self.inherit(now, host);
        let due = now.saturating_sub(self.last.get()) >= self.limits.every;
        let full = self.records.borrow().waiting.len() >= self.limits.batch;
        if due || full || self.records.borrow().attempts > 0 {
            self.send(now, host);
        }
    }

    /// Whether the call was this exporter's.
    pub(crate) fn ended(
        &self,
        token: CallToken,
        result: &CalloutResult,
        now: Duration,
        host: &dyn Host,
    ) -> bool {
        let Some(ending) = self.sender.ended(token, result, now, host) else { return false };
        let full = {
            let mut records = self.records.borrow_mut();
            let sent = records.sent.len() as u64;
            match ending {
                Ending::Taken { rejected } => {
                    let rejected = rejected.min(sent);
                    self.counters.exported(sent - rejected, host);
                    self.counters.dropped(rejected, host);
                    records.forget();
                }
                Ending::Refused => {
                    self.counters.dropped(sent, host);
                    records.forget();
                }
                Ending::TryAgain if records.attempts >= ATTEMPTS => {
                    self.counters.dropped(sent, host);
                    records.forget();
                }
                Ending::TryAgain => {}
            }
            records.waiting.len() >= self.limits.batch
        };
        if full {
            self.send(now, host);
        }
        true
    }

    /// Leaves what was not sent to the workers that stay: a call made now would be cancelled.
    pub(crate) fn end(&self, host: &dyn Host) {
        let mut records = self.records.borrow_mut();
        let Records { sent, waiting, .. } = &mut *records;
        sent.extend(waiting.drain(..));
        // What no longer fits is dropped: the oldest, as ever.
        let mut size = 0;
        let fits = |record: &&Record| {
            size += record.len() + 4;
            size <= MOST_LEFT
        };
        let count = sent.iter().rev().take_while(fits).count();
        let mut left = Vec::new();
        sent.iter().skip(sent.len() - count).for_each(|record| pack(record, &mut left));
        self.counters.dropped((sent.len() - count) as u64, host);
        if count == 0 {
            return;
        }
        for _ in 0..ATTEMPTS {
            let (mut all, cas) = match host.shared(&self.left_at) {
                Ok(Some(value)) => (packed(&value.bytes).to_vec(), Some(value.cas)),
                Ok(None) => (Vec::new(), None),
                Err(_) => break,
            };
            if all.len() + left.len() > MOST_LEFT {
                break;
            }
            all.extend_from_slice(&left);
            let mut whole = sum(&all).to_vec();
            whole.append(&mut all);
            match host.set_shared(&self.left_at, &whole, cas) {
                Ok(()) => return,
                Err(HostError::CasMismatch) => {}
                Err(_) => break,
            }
        }
        self.counters.dropped(count as u64, host);
    }

    fn inherit(&self, now: Duration, host: &dyn Host) {
        if self.looked.get().is_some_and(|looked| now.saturating_sub(looked) < INHERIT_EVERY) {
            return;
        }
        self.looked.set(Some(now));
        let Ok(Some(value)) = host.shared(&self.left_at) else { return };
        let mut left = packed(&value.bytes);
        // Whoever empties it has it.
        if left.is_empty() || host.set_shared(&self.left_at, &[], Some(value.cas)).is_err() {
            return;
        }
        let mut records = self.records.borrow_mut();
        while let Some(record) = unpack(&mut left) {
            records.bytes += record.len();
            records.waiting.push_back(record.into());
        }
        let dropped = records.make_room(self.limits.capacity);
        self.counters.dropped(dropped, host);
    }

    fn send(&self, now: Duration, host: &dyn Host) {
        if !self.sender.is_ready(now) {
            return;
        }
        let mut records = self.records.borrow_mut();
        records.fill(self.limits.batch);
        if records.sent.is_empty() {
            return;
        }
        records.attempts += 1;
        self.last.set(now);
        let message = self.preamble.envelope(records.sent.iter().map(|record| &**record));
        if !self.sender.send(message, now, host) && records.attempts >= ATTEMPTS {
            self.counters.dropped(records.sent.len() as u64, host);
            records.forget();
        }
    }
}

impl Records {
    /// Drops the oldest of those that wait until the rest fits; says how many.
    fn make_room(&mut self, capacity: usize) -> u64 {
        let mut dropped = 0;
        while self.waiting.len() + self.sent.len() > capacity || self.bytes > MOST_WAITING {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.bytes -= oldest.len();
            dropped += 1;
        }
        dropped
    }

    /// Takes the next message's records, unless a message is to be sent again.
    fn fill(&mut self, most: usize) {
        if !self.sent.is_empty() {
            return;
        }
        let mut size = 0;
        while self.sent.len() < most && size < MOST_MESSAGE {
            let Some(record) = self.waiting.pop_front() else { break };
            size += record.len();
            self.sent.push(record);
        }
        self.attempts = 0;
    }

    /// Done with the message on its way.
    fn forget(&mut self) {
        self.bytes -= self.sent.iter().map(|record| record.len()).sum::<usize>();
        self.sent.clear();
        self.attempts = 0;
    }
}

/// Where workers of the plugin leave what goes to this endpoint.
fn left_at(endpoint: &Endpoint, signal: Signal, host: &dyn Host) -> Vec<u8> {
    let plugin = host.property(Property::PLUGIN_NAME).unwrap_or_default();
    let path = endpoint.path.as_deref().unwrap_or(signal.path());
    let mut hasher = SipHasher13::new();
    for part in [plugin.as_slice(), endpoint.cluster.as_bytes(), path.as_bytes()] {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    let mut key = b"tg.left/".to_vec();
    key.extend_from_slice(&hasher.finish128().as_bytes());
    key
}

/// Records stand one behind the other, each with its length.
fn pack(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(record);
}

fn unpack<'r>(records: &mut &'r [u8]) -> Option<&'r [u8]> {
    let (length, rest) = records.split_first_chunk::<4>()?;
    let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *records = rest;
    Some(record)
}

/// The records behind their sum, which tells them from what others wrote there.
fn packed(bytes: &[u8]) -> &[u8] {
    match bytes.split_first_chunk::<16>() {
        Some((stated, records)) if *stated == sum(records) => records,
        _ => &[],
    }
}

fn sum(bytes: &[u8]) -> [u8; 16] {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}
