//! What a request that repeats itself costs.

use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::{Exchange, HeaderBlock, Headers};
use tidegate_testkit::fake::FakeHost;

use super::*;
use crate::{ClientAddress, Scope};

struct Rule(Conditions);

impl Decode for Rule {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let conditions = Conditions::from_rule(&mut object, Scope::Request);
        object.finish();
        conditions.map(Self)
    }
}

fn rule(text: &str) -> Conditions {
    tidegate_config::decode::<Rule>(text.as_bytes()).unwrap().0
}

/// How many runs a request finds, and its first match.
fn found(index: &RuleIndex, cookies: &str, header: &str) -> (usize, Option<usize>) {
    let pairs: [(&[u8], &[u8]); 3] =
        [(b":path", b"/"), (b"cookie", cookies.as_bytes()), (b"x-agent", header.as_bytes())];
    let exchange = Exchange::new(Headers::new(HeaderBlock::from_pairs(pairs.into_iter())));
    let host = FakeHost::new();
    let facts = Facts::new(&exchange, &*host, ClientAddress::default());
    let mut runs = Vec::new();
    index.find(&facts, &mut runs);
    (runs.len(), index.first_match(&facts))
}

#[test]
fn what_is_repeated_is_looked_up_once() {
    // Neither cookie alone tells the rules apart, so there are two levels.
    let rules = (0..100).map(|n| {
        rule(&format!(
            r#"{{"match": {{"cookies": [{{"name": "a", "exact": "{}"}}, {{"name": "b", "exact": "{}"}}]}}}}"#,
            n % 10,
            n / 10
        ))
    });
    let index = RuleIndex::new(rules.collect());
    assert!(index.nodes.len() > 1, "two levels");
    let cookies = |times: usize| "a=3; ".repeat(times) + &"b=4; ".repeat(times);
    for times in [1, 2_000, 1] {
        assert_eq!(found(&index, &cookies(times), ""), (1, Some(43)), "{times} times");
    }
}

#[test]
fn parts_that_a_value_repeats_are_found_once() {
    let rules = ["a", "aa", "aaa"].map(|part| {
        rule(&format!(r#"{{"match": {{"headers": [{{"name": "x-agent", "contains": "{part}"}}]}}}}"#))
    });
    let index = RuleIndex::new(rules.into());
    assert_eq!(found(&index, "", &"a".repeat(10_000)), (3, Some(0)));
}
