use proptest::prelude::*;

use super::*;

/// Slices of ten nanoseconds.
const EXPIRE: u64 = 40;

fn taken(concurrency: &Concurrency, leases: &mut Leases, now: u64) -> Option<Lease> {
    *leases = concurrency.current(*leases, now);
    let (after, lease) = concurrency.take(*leases)?;
    *leases = after;
    Some(lease)
}

fn give_back(concurrency: &Concurrency, leases: &mut Leases, now: u64, lease: Lease) {
    *leases = concurrency.give_back(concurrency.current(*leases, now), lease);
}

#[test]
fn no_more_than_the_maximum_at_once() {
    let concurrency = Concurrency::new(2, EXPIRE);
    let mut leases = Leases::default();
    let first = taken(&concurrency, &mut leases, 1_000).unwrap();
    assert!(taken(&concurrency, &mut leases, 1_015).is_some());
    assert_eq!(taken(&concurrency, &mut leases, 1_020), None);
    give_back(&concurrency, &mut leases, 1_021, first);
    assert!(taken(&concurrency, &mut leases, 1_022).is_some());
    assert_eq!(taken(&concurrency, &mut leases, 1_023), None);
}

#[test]
fn a_lease_that_is_never_given_back_expires() {
    let concurrency = Concurrency::new(1, EXPIRE);
    let mut leases = Leases::default();
    let lost = taken(&concurrency, &mut leases, 1_009).unwrap();
    assert_eq!(taken(&concurrency, &mut leases, 1_049), None, "40 later it still counts");
    let next = taken(&concurrency, &mut leases, 1_050).unwrap();
    give_back(&concurrency, &mut leases, 1_050, lost);
    assert_eq!(taken(&concurrency, &mut leases, 1_050), None, "the lost one gives nothing back");
    give_back(&concurrency, &mut leases, 1_060, next);
    assert_eq!(leases.in_use(), 0);
}

#[test]
fn a_clock_that_goes_far_back_neither_frees_nor_locks_leases() {
    let concurrency = Concurrency::new(2, EXPIRE);
    let mut leases = Leases::default();
    let first = taken(&concurrency, &mut leases, 1_000_000).unwrap();
    assert!(taken(&concurrency, &mut leases, 1_000_010).is_some());
    assert_eq!(taken(&concurrency, &mut leases, 5_000), None, "both are under way still");
    give_back(&concurrency, &mut leases, 5_010, first);
    assert_eq!(concurrency.current(leases, 5_010).in_use(), 1);
    assert_eq!(concurrency.current(leases, 5_060).in_use(), 0, "and they expire by the clock as it is");
}

#[test]
fn the_serialised_form_is_read_back() {
    let leases = Leases { newest: u64::MAX - 1, counts: [1, 2, 3, 4, u32::MAX] };
    let mut bytes = [0; Leases::SIZE];
    leases.write(&mut bytes);
    assert_eq!(Leases::read(&bytes), Some(leases));
    assert_eq!(Leases::read(&bytes[..7]), None);
}

proptest! {
    /// Against a list of leases with the time at which each was taken.
    #[test]
    fn it_agrees_with_a_list(
        max in 1_u32..8, steps in prop::collection::vec((0_u64..30, any::<bool>(), any::<prop::sample::Index>()), 200)
    ) {
        let concurrency = Concurrency::new(max, EXPIRE);
        let (mut leases, mut now) = (Leases::default(), 1_000);
        let mut model: Vec<(u64, Lease)> = Vec::new();
        for (passed, take, which) in steps {
            now += passed;
            model.retain(|(at, _)| now / 10 - at / 10 < 5);
            if take || model.is_empty() {
                match taken(&concurrency, &mut leases, now) {
                    Some(lease) => {
                        prop_assert!(model.len() < max as usize);
                        model.push((now, lease));
                    }
                    None => prop_assert_eq!(model.len(), max as usize),
                }
            } else {
                let (_, lease) = model.remove(which.index(model.len()));
                give_back(&concurrency, &mut leases, now, lease);
            }
            prop_assert_eq!(concurrency.current(leases, now).in_use() as usize, model.len());
        }
    }

    /// Time jumping both ways: never more than the maximum, and nothing is locked for good.
    #[test]
    fn no_clock_breaks_it(steps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 1..50)) {
        let concurrency = Concurrency::new(3, EXPIRE);
        let mut leases = Leases::default();
        let mut last = 0;
        for (now, lease, take) in steps {
            last = now;
            if take {
                let _ = taken(&concurrency, &mut leases, now);
            } else {
                give_back(&concurrency, &mut leases, now, Lease(lease));
            }
            prop_assert!(leases.in_use() <= 3);
        }
        let later = last.saturating_add(2 * EXPIRE + 20);
        if later < u64::MAX {
            prop_assert_eq!(concurrency.current(leases, later).in_use(), 0);
        }
    }
}
