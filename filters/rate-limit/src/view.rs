//! A request as limits see it: once, or in each way that servers may read its path.
//!
//! A limit on `/login` that looked at one reading would be got round with `/login;a` or `/x%2f..%2flogin`, which some
//! servers take for the same. So a limit applies when it does by any reading.

use std::cell::OnceCell;

use tidegate_filter_api::{Exchange, Host};
use tidegate_matchers::{ClientAddress, Facts, RuleIndex, is_ambiguous, readings};
use tidegate_quota::KeyDigest;

use crate::config::Limit;
use crate::key::Digester;

/// A request as limits see it.
pub(crate) struct View<'a> {
    exchange: &'a Exchange,
    host: &'a dyn Host,
    client: ClientAddress,
    plain: Facts<'a>,
    /// Found out for the first limit that names paths.
    readings: OnceCell<Readings<'a>>,
}

enum Readings<'a> {
    /// Nobody reads the path otherwise.
    One,
    /// Shortest first.
    Many(Vec<Facts<'a>>),
    TooLong,
}

/// Whether a limit applies to a request.
pub(crate) enum Applies<'v, 'a> {
    No,
    /// The path is ambiguous, and too long to be read in every way.
    Unreadable,
    /// By this reading; the key, unless a part of it is missing.
    Yes(&'v Facts<'a>, Option<KeyDigest>),
}

impl<'a> View<'a> {
    pub(crate) fn new(exchange: &'a Exchange, host: &'a dyn Host, client: ClientAddress) -> Self {
        let plain = Facts::new(exchange, host, client);
        Self { exchange, host, client, plain, readings: OnceCell::new() }
    }

    /// The limits of an index that may apply. `None`: the path can be read in several ways, so any may.
    pub(crate) fn candidates(&self, index: &RuleIndex) -> Option<Vec<usize>> {
        matches!(self.readings(), Readings::One).then(|| index.candidates(&self.plain))
    }

    /// Whether `limit` applies to the request.
    pub(crate) fn under(&self, limit: &Limit, digester: Digester) -> Applies<'_, 'a> {
        let facts = match limit.names_paths.then(|| self.readings()) {
            None | Some(Readings::One) => std::slice::from_ref(&self.plain),
            Some(Readings::Many(facts)) => facts.as_slice(),
            Some(Readings::TooLong) => return Applies::Unreadable,
        };
        let mut without_key = Applies::No;
        for facts in facts.iter().filter(|facts| limit.conditions.match_facts(facts)) {
            match digester.digest(&limit.key, facts, self.host) {
                None => without_key = Applies::Yes(facts, None),
                // Of several the shortest reading's: with `;a=1`, `;a=2` … behind it, a segment is one key.
                key => return Applies::Yes(facts, key),
            }
        }
        without_key
    }

    fn readings(&self) -> &Readings<'a> {
        self.readings.get_or_init(|| {
            let path = self.exchange.path();
            if !is_ambiguous(path) {
                return Readings::One;
            }
            let Some(paths) = readings(path) else { return Readings::TooLong };
            let facts = |path| Facts::with_path(self.exchange, self.host, self.client, path);
            Readings::Many(paths.into_iter().map(facts).collect())
        })
    }
}
