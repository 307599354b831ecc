//! Keys that are fetched from a named cluster: never from where a token says.
//!
//! One fetch serves all who wait. It is made before the set grows old, and when a token names an unknown key, but never
//! sooner than `min_interval` after the one before, whatever the reason: no flood of made-up names becomes a flood of
//! fetches. A set that was good is kept until a better one arrives.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::{CallToken, Callout, CalloutResult, Host, HttpCall, Timestamp};
use tidegate_jose::{Header, KeySet};

use super::keys::Found;

/// A key set at an issuer's.
#[derive(Debug)]
pub(crate) struct Remote {
    cluster: String,
    path: String,
    authority: String,
    /// How old a set may grow.
    refresh: Duration,
    /// The least time between two fetches.
    min_interval: Duration,
    timeout: Duration,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Rc<KeySet>>,
    /// When they arrived.
    arrived: Timestamp,
    /// When the last fetch began or ended.
    tried: Option<Timestamp>,
    under_way: Option<CallToken>,
}

/// What became of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// There are new keys.
    Keys,
    /// It failed; keys that were there before are there still.
    Failed,
    /// It was none of ours.
    Nothing,
}

/// More than any key set has.
const LARGEST: usize = 1 << 20;

impl Remote {
    /// The keys that are there.
    pub(super) fn keys(&self) -> Option<Rc<KeySet>> {
        self.state.borrow().keys.clone()
    }

    /// Whether the fetch under `token` is this set's.
    pub(crate) fn awaits(&self, token: CallToken) -> bool {
        self.state.borrow().under_way == Some(token)
    }

    pub(super) fn for_token(&self, header: &Header, host: &dyn Host, now: Timestamp) -> Found {
        if let Some(keys) = self.keys()
            && header.kid.as_ref().is_none_or(|kid| keys.knows(kid))
        {
            return Found::Keys(keys);
        }
        match (self.fetch(host, now), self.keys()) {
            (Some(token), _) => Found::Wait(token),
            (None, Some(_)) => Found::Unknown,
            (None, None) => Found::Unavailable,
        }
    }

    /// Fetches a set that is not there yet or has grown old.
    pub(crate) fn refresh(&self, host: &dyn Host, now: Timestamp) {
        let due = {
            let state = self.state.borrow();
            state.under_way.is_none()
                && (state.keys.is_none() || now.since(state.arrived) >= self.refresh || now < state.arrived)
        };
        if due {
            self.fetch(host, now);
        }
    }

    /// The fetch that is under way, or a new one if it is time.
    fn fetch(&self, host: &dyn Host, now: Timestamp) -> Option<CallToken> {
        let mut state = self.state.borrow_mut();
        if state.under_way.is_some() {
            return state.under_way;
        }
        // A clock that was put back must not stop fetching for good.
        let too_soon = |tried: Timestamp| now >= tried && now.since(tried) < self.min_interval;
        if state.tried.is_some_and(too_soon) {
            return None;
        }
        state.tried = Some(now);
        match host.dispatch(&self.request()) {
            Ok(token) => state.under_way = Some(token),
            Err(error) => log::warn!("auth: fetching keys from cluster {}: {error}", self.cluster),
        }
        state.under_way
    }

    /// Takes the answer of the fetch that was under way.
    pub(super) fn take(&self, result: CalloutResult, now: Timestamp) -> Fetched {
        let mut state = self.state.borrow_mut();
        state.under_way = None;
        state.tried = Some(now);
        let fault = match result {
            Err(_) => "no answer",
            Ok(response) if response.status() != Some(200) => "another status than 200",
            Ok(response) if response.body.len() > LARGEST => "more than a key set has",
            Ok(response) => match KeySet::parse(&response.body) {
                Some(keys) => {
                    state.keys = Some(Rc::new(keys));
                    state.arrived = now;
                    return Fetched::Keys;
                }
                None => "no key set with a usable key",
            },
        };
        let kept = if state.keys.is_some() { "; the last good ones stay" } else { "" };
        log::warn!("auth: fetching keys from cluster {}: {fault}{kept}", self.cluster);
        Fetched::Failed
    }

    fn request(&self) -> Callout {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Callout::Http(HttpCall {
            cluster: self.cluster.clone(),
            headers: vec![
                header(":method", "GET"),
                header(":path", &self.path),
                header(":authority", &self.authority),
                header("accept", "application/jwk-set+json, application/json"),
            ],
            body: Vec::new(),
            timeout: self.timeout,
        })
    }
}

impl Decode for Remote {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        use tidegate_config::Duration;
        let mut object = cursor.object()?;
        let cluster = object.require("cluster").and_then(super::text);
        let path = object.require("path").and_then(|cursor| {
            let path = cursor.as_str().filter(|path| is_path(path));
            path.map(str::to_owned).or_else(|| cursor.expected("a path starting with \"/\""))
        });
        let authority: Option<Option<tidegate_config::HeaderValue>> = object.optional("authority");
        let refresh = object.or("refresh", Duration::from_secs(600));
        let min_interval = object.or("min_interval", Duration::from_secs(10));
        let timeout = object.or("timeout", Duration::from_secs(5));
        object.finish();
        let cluster = cluster?;
        let authority = authority?.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Some(Self {
            authority: authority.unwrap_or_else(|| cluster.clone()),
            cluster,
            path: path?,
            refresh: refresh?.get(),
            min_interval: min_interval?.get(),
            timeout: timeout?.get(),
            state: RefCell::default(),
        })
    }
}

/// What can stand in a request line.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}
