//! Shares, and what moves when weights change.

use tidegate_filter_api::{Exchange, Headers, Property};
use tidegate_testkit::fake::FakeHost;

use super::*;

const KEYS: usize = 100_000;

struct Whole(Split);

impl Decode for Whole {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        Split::decode(cursor, "rule").map(Self)
    }
}

fn decoded(text: &str) -> Split {
    tidegate_config::decode::<Whole>(text.as_bytes()).unwrap().0
}

fn split(weights: &[i64]) -> Split {
    let arms: Vec<String> = weights
        .iter()
        .enumerate()
        .map(|(index, weight)| format!(r#"{{"route": "arm-{index}", "weight": {weight}}}"#))
        .collect();
    decoded(&format!(r#"{{"to": [{}]}}"#, arms.join(", ")))
}

fn arms(split: &Split) -> Vec<usize> {
    (0..KEYS).map(|number| split.arm_of(format!("user-{number}").as_bytes())).collect()
}

fn share(of: usize) -> f64 {
    of as f64 / KEYS as f64
}

#[test]
fn shares_are_the_weights() {
    for weights in [&[5, 95][..], &[50, 50], &[1, 2, 3, 4], &[0, 1], &[1, 999], &[100_000, 900_000], &[1; 10]]
    {
        let chosen = arms(&split(weights));
        let total: i64 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let seen = share(chosen.iter().filter(|arm| **arm == index).count());
            let wanted = *weight as f64 / total as f64;
            assert!((seen - wanted).abs() <= 0.005, "{weights:?}: arm {index} has {seen}, not {wanted}");
        }
    }
}

#[test]
fn from_five_to_ten_percent_moves_five_percent() {
    let (before, after) = (arms(&split(&[5, 95])), arms(&split(&[10, 90])));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(share(moved) <= 0.055, "{moved} of {KEYS}");
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || (*before, *after) == (1, 0)));
}

#[test]
fn changing_one_weight_moves_keys_to_or_from_that_arm_only() {
    let (before, after) = (arms(&split(&[10, 30, 40, 20])), arms(&split(&[10, 30, 60, 20])));
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || *after == 2));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!((share(moved) - (0.5 - 0.4)).abs() <= 0.005, "{moved}");
    let without = arms(&split(&[10, 0, 40, 20]));
    assert!(before.iter().zip(&without).all(|(before, after)| before == after || *before == 1));
}

#[test]
fn splits_are_independent_of_each_other() {
    let one = split(&[50, 50]);
    let other = Split { seed: "another".to_owned(), ..split(&[50, 50]) };
    let alike = arms(&one).iter().zip(arms(&other)).filter(|(one, other)| **one == *other).count();
    assert!((share(alike) - 0.5).abs() <= 0.01, "{alike}");
}

#[test]
fn claims_and_principals_are_keys_too() {
    let split = decoded(
        r#"{"by": [{"claim": "org.id"}, "principal"], "to": [{"route": "a", "weight": 1}, {"route": "b", "weight": 1}]}"#,
    );
    let exchange = Exchange::new(Headers::default());
    let key = |properties: &[(Property, &[u8])]| {
        let host = FakeHost::new();
        properties.iter().for_each(|(property, value)| host.set(*property, value));
        split.key(&Facts::new(&exchange, &*host, ClientAddress::default()), ClientAddress::default())
    };
    assert_eq!(key(&[]), None);
    assert_eq!(key(&[(Property::PRINCIPAL, b"ann")]), Some(b"ann".to_vec()));
    let claims = (Property::CLAIMS, br#"{"org": {"id": 7}}"#.as_slice());
    assert_eq!(key(&[(Property::PRINCIPAL, b"ann"), claims]), Some(b"7".to_vec()));
    let list = (Property::CLAIMS, br#"{"org": {"id": []}}"#.as_slice());
    assert_eq!(key(&[(Property::PRINCIPAL, b"ann"), list]), Some(b"ann".to_vec()), "a list is no key");
}
