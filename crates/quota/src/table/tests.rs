use std::collections::HashMap;

use proptest::prelude::*;
use tidegate_filter_api::{Clock, MetricKind};
use tidegate_testkit::fake::FakeHost;

use super::*;
use crate::concurrency::{Concurrency, Lease};
use crate::gcra::Rate;
use crate::state::{Ask, Cost, Refusal, Unit, Verdict};

const SECOND: u64 = 1_000_000_000;

fn rules() -> Rules {
    let rate = |amount, period| Rate::new(amount, period * SECOND, amount).unwrap().with_debt();
    Rules {
        rates: vec![(Unit::Requests, rate(3, 3)), (Unit::Units, rate(20, 60))],
        concurrency: Some(Concurrency::new(2, 40 * SECOND)),
    }
}

fn table(host: &FakeHost, max_keys: u64) -> Table {
    let keys = host.define_metric(MetricKind::Gauge, "keys").unwrap();
    Table::new([b't'; PREFIX], max_keys, rules(), Some(keys), host)
}

fn cost(units: u64) -> Cost {
    Cost { requests: Ask::Take(1), units: Ask::Take(units) }
}

fn decide(table: &Table, key: KeyDigest, host: &FakeHost, units: u64) -> Option<Verdict> {
    table.decide(key, host.now(), cost(units), host).unwrap()
}

#[test]
fn the_gauge_shows_how_many_keys_there_are_and_a_new_table_finds_them() {
    let host = FakeHost::new();
    let first = table(&host, 64);
    assert_eq!(host.metric("keys"), 0);
    (0..10).for_each(|key| assert!(decide(&first, key, &host, 1).is_some()));
    assert_eq!(host.metric("keys"), 10);
    let second = table(&host, 64);
    assert_eq!(host.metric("keys"), 10);
    decide(&second, 10, &host, 1);
    decide(&first, 0, &host, 1);
    assert_eq!(host.metric("keys"), 11);
    Table::new([b'o'; PREFIX], 64, rules(), second.keys, &*host);
    assert_eq!(host.metric("keys"), 0, "a changed limit starts new");
}

#[test]
fn the_ceiling_is_a_ceiling() {
    for max_keys in [1, 5, 15, 16, 17, 100, 1000] {
        let host = FakeHost::new();
        let table = table(&host, max_keys);
        let room = (0..5_000).filter(|key| decide(&table, *key, &host, 1).is_some()).count() as u64;
        assert!(room <= max_keys && room * 2 > max_keys, "{room} of {max_keys}");
        assert_eq!(host.metric("keys").unsigned_abs(), room);
    }
}

/// What the filter's documentation promises of a table that is filled by digests.
#[test]
fn new_keys_find_room_until_about_half_of_it_is_taken() {
    const PLACES: u64 = 65_536;
    const ASKED: u64 = 2_000;
    for (taken, expected) in [(PLACES * 2 / 5, 0..=8), (PLACES / 2, 9..=40)] {
        let host = FakeHost::new();
        let table = table(&host, PLACES);
        // Spread as digests are, and the same in each run (splitmix64).
        let digest = |key: u64| {
            let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            KeyDigest::from(mixed ^ (mixed >> 31))
        };
        (0..taken).for_each(|key| {
            decide(&table, digest(key), &host, 1);
        });
        let full =
            (taken..taken + ASKED).filter(|key| decide(&table, digest(*key), &host, 1).is_none()).count();
        assert!(expected.contains(&full), "{full} of {ASKED} found no room where {taken} places are taken");
    }
}

#[test]
fn another_plugins_bytes_are_no_table() {
    let host = FakeHost::new();
    let table = table(&host, 16);
    decide(&table, 7, &host, 1);
    let entry = table.entry_size();
    let mut too_many = MAGIC.to_vec();
    too_many.resize(MAGIC.len() + 17 * entry, 0xff);
    let mut torn = MAGIC.to_vec();
    torn.resize(MAGIC.len() + entry - 1, 0xff);
    for garbage in [b"".as_slice(), b"tgr", b"tgr1", MAGIC, &too_many, &torn] {
        host.overwrite_shared(garbage);
        assert!(matches!(decide(&table, 7, &host, 1), Some(Verdict::Admitted(..))), "as if it were new");
        let left = decide(&table, 7, &host, 19).map(said);
        assert!(matches!(left, Some(Ok(_))), "of 20 units 19 are left");
    }
}

/// A verdict without its state: one that was given up and is there again lacks arrivals that are long past.
fn said(verdict: Verdict) -> Result<Option<Lease>, Refusal> {
    match verdict {
        Verdict::Admitted(_, lease) => Ok(lease),
        Verdict::Refused(_, refusal) => Err(refusal),
    }
}

#[derive(Debug, Clone)]
enum Act {
    Decide(KeyDigest, u64),
    Charge(KeyDigest, u64),
    GiveBack(prop::sample::Index),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_u128..60, 0_u64..4).prop_map(|(key, units)| Act::Decide(key, units)),
        1 => (0_u128..60, 0_u64..30).prop_map(|(key, units)| Act::Charge(key, units)),
        3 => any::<prop::sample::Index>().prop_map(Act::GiveBack),
        2 => (0..5 * SECOND).prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against a map that never forgets: a table with less room than keys either decides as the map does, or says that it
    /// is full. Nobody gets a quota back by being pushed out.
    #[test]
    fn a_table_without_room_forgets_nothing(acts in prop::collection::vec(act(), 400)) {
        let host = FakeHost::new();
        let table = table(&host, 16);
        let mut map: HashMap<KeyDigest, State> = HashMap::new();
        let mut leases: Vec<(KeyDigest, Lease)> = Vec::new();
        for act in acts {
            let now = host.now().0;
            match act {
                Act::Pass(nanos) => host.advance(std::time::Duration::from_nanos(nanos)),
                Act::Decide(key, units) => {
                    let state = map.get(&key).copied().unwrap_or_default();
                    let expected = table.rules.decide(state, now, cost(units));
                    match decide(&table, key, &host, units) {
                        Some(verdict @ (Verdict::Admitted(state, _) | Verdict::Refused(state, _))) => {
                            prop_assert_eq!(said(verdict), said(expected));
                            map.insert(key, state);
                            if let Verdict::Admitted(_, Some(lease)) = verdict {
                                leases.push((key, lease));
                            }
                        }
                        None => {
                            let spent = map.values().filter(|state| !table.rules.says_nothing(state, now)).count();
                            prop_assert!(spent >= 16, "full with {spent} keys");
                        }
                    }
                }
                Act::Charge(key, units) => {
                    if table.charge(key, host.now(), 0, units, &*host).unwrap().is_some() {
                        let state = map.entry(key).or_default();
                        *state = table.rules.charge(*state, now, 0, units);
                    }
                }
                Act::GiveBack(which) if !leases.is_empty() => {
                    let (key, lease) = leases.swap_remove(which.index(leases.len()));
                    table.give_back(key, host.now(), lease, &*host).unwrap();
                    let state = map.entry(key).or_default();
                    *state = table.rules.give_back(*state, now, lease);
                }
                Act::GiveBack(_) => {}
            }
        }
    }
}
