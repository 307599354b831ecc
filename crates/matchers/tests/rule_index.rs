//! The rule index answers what a walk through the list answers, and verifies few rules.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::{Exchange, HeaderBlock, Headers, Property};
use tidegate_matchers::{ClientAddress, Conditions, Facts, RuleIndex, Scope};
use tidegate_testkit::fake::FakeHost;

struct Rules(Vec<Conditions>);

impl Decode for Rules {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let rules = cursor.elements()?.map(|element| {
            let mut object = element.object()?;
            let conditions = Conditions::from_rule(&mut object, Scope::Request);
            object.finish();
            conditions
        });
        rules.collect::<Option<_>>().map(Self)
    }
}

fn rules(rules: &[Value]) -> Vec<Conditions> {
    let text = Value::from(rules).to_string();
    let decoded: Rules = tidegate_config::decode(text.as_bytes()).unwrap();
    decoded.0
}

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    path: String,
    host: &'static str,
    headers: Vec<(&'static str, String)>,
    address: &'static str,
    principal: Option<String>,
    claims: Option<Value>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET",
            path: "/".to_owned(),
            host: "shop.example",
            headers: Vec::new(),
            address: "192.0.2.1:1234",
            principal: None,
            claims: None,
        }
    }
}

impl Request {
    fn get(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    fn with<T>(&self, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let host = FakeHost::new();
        host.set(Property::SOURCE_ADDRESS, self.address.as_bytes());
        if let Some(principal) = &self.principal {
            host.set(Property::PRINCIPAL, principal.as_bytes());
        }
        if let Some(claims) = &self.claims {
            host.set(Property::CLAIMS, claims.to_string().as_bytes());
        }
        let mut pairs: Vec<(&[u8], &[u8])> = vec![
            (b":method", self.method.as_bytes()),
            (b":path", self.path.as_bytes()),
            (b":authority", self.host.as_bytes()),
        ];
        pairs.extend(self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let exchange = Exchange::new(Headers::new(HeaderBlock::from_pairs(pairs.into_iter())));
        look(&Facts::new(&exchange, &*host, ClientAddress::default()))
    }
}

const WORDS: [&str; 9] = ["a", "ab", "abc", "b", "ba", "bab", "3", "12", "-5"];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&WORDS[..])
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        word().prop_map(|word| json!({"exact": word})),
        word().prop_map(|word| json!({"prefix": word})),
        word().prop_map(|word| json!({"suffix": word})),
        word().prop_map(|word| json!({"contains": word})),
        prop::sample::select(&["a.*", ".*b", "[ab]+", "(a|12)b?c?", "\\d+"][..])
            .prop_map(|regex| json!({"regex": regex})),
        prop::collection::vec(word(), 1..3).prop_map(|words| json!({"in": words})),
        (-6..13_i64, 0..9_i64)
            .prop_map(|(least, more)| json!({"range": {"gte": least, "lte": least + more}})),
    ]
}

fn field(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let condition = prop_oneof![
        8 => (text(), prop::bool::weighted(0.2)).prop_map(|(mut text, all)| {
            if all {
                text["values"] = json!("all");
            }
            text
        }),
        1 => prop::bool::ANY.prop_map(|present| json!({"present": present})),
    ];
    (prop::sample::select(names), condition).prop_map(|(name, mut condition)| {
        condition["name"] = json!(name);
        condition
    })
}

fn path() -> impl Strategy<Value = Value> {
    const TEXTS: &[&str] = &["/", "/a", "/a/b", "/a/b/", "/ab", "/b/a", "/b"];
    prop_oneof![
        prop::sample::select(TEXTS).prop_map(|path| json!({"exact": path})),
        prop::sample::select(TEXTS).prop_map(|path| json!({"prefix": path})),
        prop::sample::select(TEXTS).prop_map(|path| json!({"prefix": path, "raw": true})),
        word().prop_map(|word| json!({"suffix": word})),
        word().prop_map(|word| json!({"contains": word, "raw": true})),
        prop::sample::select(&["/{x}", "/a/{x}", "/{x}/b", "/{x}/{y}", "/{*all}", "/a/{*rest}", "/a/b"][..])
            .prop_map(|template| json!({"template": template})),
        prop::sample::select(&["/a.*", "/.*b", "/[ab]/?"][..]).prop_map(|regex| json!({"regex": regex})),
    ]
}

fn conditions() -> impl Strategy<Value = Value> {
    let some = |strategy: BoxedStrategy<Value>| prop::collection::vec(strategy, 1..3).prop_map(Value::from);
    let entry = prop_oneof![
        some(path().boxed()).prop_map(|list| ("paths", list)),
        some(prop::sample::select(&["x", "a.x", "*.x", "*.a.x"][..]).prop_map(Value::from).boxed())
            .prop_map(|list| ("hosts", list)),
        some(prop::sample::select(&["GET", "POST"][..]).prop_map(Value::from).boxed())
            .prop_map(|list| ("methods", list)),
        some(field(&["x-a", "x-b"]).boxed()).prop_map(|list| ("headers", list)),
        some(field(&["q", "r"]).boxed()).prop_map(|list| ("query", list)),
        some(field(&["c", "d"]).boxed()).prop_map(|list| ("cookies", list)),
        some(
            prop::sample::select(
                &["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "10.1.2.3"][..]
            )
            .prop_map(Value::from)
            .boxed()
        )
        .prop_map(|list| ("source", json!({"cidrs": list}))),
        some(text().boxed()).prop_map(|list| ("principals", list)),
        some(
            prop_oneof![
                field(&["r", "s.t"]),
                (prop::sample::select(&["r", "s.t"][..]), prop_oneof![Just(json!(3)), Just(json!(true))])
                    .prop_map(|(name, scalar)| json!({"name": name, "exact": scalar})),
            ]
            .boxed()
        )
        .prop_map(|list| ("claims", list)),
    ];
    prop::collection::vec(entry, 1..4).prop_map(|entries| {
        let mut conditions = json!({});
        for (key, list) in entries {
            conditions[key] = list;
        }
        conditions
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let any = prop::collection::vec(conditions(), 1..3);
    (
        prop::option::weighted(0.9, conditions()),
        prop::option::weighted(0.1, conditions()),
        prop::option::weighted(0.2, any),
    )
        .prop_map(|(all, not, any)| {
            let mut rule = json!({});
            for (key, part) in [("match", all), ("not", not), ("any", any.map(Value::from))] {
                if let Some(part) = part {
                    rule[key] = part;
                }
            }
            rule
        })
}

fn request() -> impl Strategy<Value = Request> {
    let path = (
        prop::sample::select(
            &["/", "/a", "/a/b", "/a/b/", "/ab", "/b/a", "//a", "/%61/b", "*", "/a/b/c/12"][..],
        ),
        prop::collection::vec((prop::sample::select(&["q", "r", "%71"][..]), word()), 0..3),
    )
        .prop_map(|(path, query)| {
            let query: Vec<String> =
                query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
        });
    let cookies = prop::collection::vec((prop::sample::select(&["c", "d"][..]), word()), 0..3);
    let headers = prop::collection::vec((prop::sample::select(&["x-a", "x-b"][..]), word()), 0..4);
    let claim = prop_oneof![
        word().prop_map(Value::from),
        Just(json!(3)),
        Just(json!(true)),
        Just(Value::Null),
        Just(json!(["a", 3])),
        Just(json!([])),
    ];
    let claims = (claim.clone(), claim).prop_map(|(r, t)| json!({"r": r, "s": {"t": t}}));
    (
        prop::sample::select(&["GET", "POST", "get"][..]),
        path,
        prop::sample::select(&["x", "A.x:80", "b.a.x", "y"][..]),
        headers,
        cookies,
        prop::sample::select(&["10.1.2.3:1", "10.9.9.9:1", "[2001:db8::1]:1", "192.0.2.1:1", "nonsense"][..]),
        prop::option::of(word().prop_map(str::to_owned)),
        prop::option::of(claims),
    )
        .prop_map(|(method, path, host, headers, cookies, address, principal, claims)| {
            let mut headers: Vec<(&str, String)> =
                headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            headers
                .extend(cookies.into_iter().map(|(name, value)| ("cookie", format!("{name}={value}; z=1"))));
            Request { method, path, host, headers, address, principal, claims }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn index_and_walk_agree(
        list in prop::collection::vec(rule(), 0..60),
        requests in prop::collection::vec(request(), 8),
    ) {
        let walked = rules(&list);
        let index = RuleIndex::new(rules(&list));
        let shadows = index.shadows(&*FakeHost::new());
        for request in &requests {
            request.with(|facts| {
                let matching: Vec<usize> =
                    (0..walked.len()).filter(|number| walked[*number].match_facts(facts)).collect();
                prop_assert_eq!(index.all_matches(facts), &matching[..]);
                prop_assert_eq!(index.first_match(facts), matching.first().copied());
                let candidates = index.candidates(facts);
                prop_assert!(candidates.is_sorted_by(|one, other| one < other));
                // What is called unreachable is never reached.
                let first = matching.first();
                let wrong = shadows.iter().find(|shadow| shadow.part.is_none() && first == Some(&shadow.later));
                prop_assert!(wrong.is_none(), "{wrong:?}");
                Ok(())
            })?;
        }
    }
}

/// A list of rules by its length, and requests that the first, the last and no rule applies to.
struct Mix {
    name: &'static str,
    rule: fn(usize) -> Value,
    request: fn(usize) -> Request,
}

const MIXES: [Mix; 17] = [
    Mix {
        name: "exact paths",
        rule: |n| json!({"match": {"paths": [{"exact": format!("/p/{n}")}]}}),
        request: |n| Request::get(&format!("/p/{n}")),
    },
    Mix {
        name: "prefixes of paths",
        rule: |n| json!({"match": {"paths": [{"prefix": format!("/p/{n}")}]}}),
        request: |n| Request::get(&format!("/p/{n}/x/y")),
    },
    Mix {
        name: "templates",
        rule: |n| json!({"match": {"paths": [{"template": format!("/p/{{id}}/r{n}/{{*rest}}")}]}}),
        request: |n| Request::get(&format!("/p/7/r{n}/x/y")),
    },
    Mix {
        name: "regular expressions with a literal start",
        rule: |n| json!({"match": {"paths": [{"regex": format!("/r{n}/[0-9]+/.*")}]}}),
        request: |n| Request::get(&format!("/r{n}/12/x")),
    },
    Mix {
        name: "regular expressions with a literal end",
        rule: |n| json!({"match": {"paths": [{"regex": format!("/[a-z]+/[0-9]+/r{n}")}]}}),
        request: |n| Request::get(&format!("/x/12/r{n}")),
    },
    Mix {
        name: "raw prefixes, suffixes and parts",
        rule: |n| match n % 3 {
            0 => json!({"match": {"paths": [{"prefix": format!("/p/{n}/"), "raw": true}]}}),
            1 => json!({"match": {"paths": [{"suffix": format!("/{n}.html")}]}}),
            _ => json!({"match": {"paths": [{"contains": format!("/part-{n}/")}]}}),
        },
        request: |n| match n % 3 {
            0 => Request::get(&format!("/p/{n}/x")),
            1 => Request::get(&format!("/x/{n}.html")),
            _ => Request::get(&format!("/x/part-{n}/y")),
        },
    },
    Mix {
        name: "exact headers",
        rule: |n| json!({"match": {"headers": [{"name": "x-tenant", "exact": format!("t{n}")}]}}),
        request: |n| Request { headers: vec![("x-tenant", format!("t{n}"))], ..Request::default() },
    },
    Mix {
        name: "a header of its own for each rule",
        rule: |n| json!({"match": {"headers": [{"name": format!("x-flag-{n}"), "present": true}]}}),
        request: |n| Request {
            headers: vec![(leak(format!("x-flag-{n}")), String::new())],
            ..Request::default()
        },
    },
    Mix {
        name: "hosts, exact and below",
        rule: |n| match n % 2 {
            0 => json!({"match": {"hosts": [format!("t{n}.example.com")]}}),
            _ => json!({"match": {"hosts": [format!("*.t{n}.example.com")]}}),
        },
        request: |n| Request {
            host: leak(format!("{}t{n}.example.com", if n % 2 == 0 { "" } else { "x." })),
            ..Request::default()
        },
    },
    Mix {
        name: "hosts times paths: no condition alone is selective",
        rule: |n| json!({"match": {"hosts": [format!("h{}.example", n % 100)], "paths": [{"prefix": format!("/p{}", n / 100)}]}}),
        request: |n| Request {
            host: leak(format!("h{}.example", n % 100)),
            ..Request::get(&format!("/p{}/x", n / 100))
        },
    },
    Mix {
        name: "methods and paths and a negation",
        rule: |n| {
            json!({"match": {"methods": ["GET"], "paths": [{"prefix": "/api"}], "query": [{"name": "id", "exact": n.to_string()}]},
                   "not": {"headers": [{"name": "x-no", "present": true}]}})
        },
        request: |n| Request::get(&format!("/api/x?id={n}")),
    },
    Mix {
        name: "cookies in lists",
        rule: |n| json!({"match": {"cookies": [{"name": "plan", "in": [format!("a{n}"), format!("b{n}")]}]}}),
        request: |n| Request { headers: vec![("cookie", format!("x=1; plan=b{n}"))], ..Request::default() },
    },
    Mix {
        name: "ranges",
        rule: |n| json!({"match": {"headers": [{"name": "x-v", "range": {"gte": n * 10, "lt": n * 10 + 5}}]}}),
        request: |n| Request { headers: vec![("x-v", (n * 10 + 3).to_string())], ..Request::default() },
    },
    Mix {
        name: "address ranges",
        rule: |n| json!({"match": {"source": {"cidrs": [format!("10.{}.{}.0/24", n / 250, n % 250)]}}}),
        request: |n| Request {
            address: leak(format!("10.{}.{}.7:1", n / 250, n % 250)),
            ..Request::default()
        },
    },
    Mix {
        name: "principals and claims",
        rule: |n| match n % 2 {
            0 => json!({"match": {"principal": {"exact": format!("user-{n}")}}}),
            _ => json!({"match": {"claims": [{"name": "org.id", "exact": n}]}}),
        },
        request: |n| Request {
            principal: Some(format!("user-{n}")),
            claims: Some(json!({"org": {"id": n}})),
            ..Request::default()
        },
    },
    Mix {
        name: "one of several ways",
        rule: |n| json!({"any": [{"paths": [{"exact": format!("/p/{n}")}]}, {"headers": [{"name": "x-p", "exact": format!("{n}")}]}]}),
        request: |n| Request { headers: vec![("x-p", n.to_string())], ..Request::default() },
    },
    Mix { name: "all of it", rule: |n| (MIXES[n % 16].rule)(n), request: |n| (MIXES[n % 16].request)(n) },
];

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// How many rules are verified until the first that applies, and which one that is.
fn verified(index: &RuleIndex, request: &Request) -> (usize, Option<usize>) {
    request.with(|facts| {
        let first = index.first_match(facts);
        let candidates = index.candidates(facts);
        let until = candidates.iter().position(|number| Some(*number) == first);
        (until.map_or(candidates.len(), |place| place + 1), first)
    })
}

#[test]
fn ten_thousand_rules_are_verified_like_ten() {
    for mix in &MIXES {
        let worst = |length: usize| {
            let list: Vec<Value> = (0..length).map(mix.rule).collect();
            let index = RuleIndex::new(rules(&list));
            let found = [0, length / 2, length - 1].map(|number| {
                let (count, first) = verified(&index, &(mix.request)(number));
                assert_eq!(first, Some(number), "{} {number}", mix.name);
                count
            });
            let (none, first) = verified(&index, &(mix.request)(length + 77));
            assert_eq!(first, None, "{}", mix.name);
            found.into_iter().chain([none]).max().unwrap()
        };
        let (few, many) = (worst(10), worst(10_000));
        assert!(many * 10 <= few * 12, "{}: {few} of 10 rules are verified, {many} of 10,000", mix.name);
    }
}

#[test]
fn adversarial_lists_keep_to_their_bounds() {
    let count = |list: &[Value], request: &Request| verified(&RuleIndex::new(rules(list)), request).0;
    let no = json!({"headers": [{"name": "x-no", "present": true}]});
    // Only negations: nothing to look up. All are verified if all are in vain, one if the first applies.
    let negations: Vec<Value> = (0..1_000).map(|_| json!({"not": no})).collect();
    let refused = Request { headers: vec![("x-no", String::new())], ..Request::default() };
    assert_eq!(count(&negations, &refused), 1_000);
    assert_eq!(count(&negations, &Request::default()), 1);
    // Nested prefixes: as many as the path has of them.
    let nested: Vec<Value> = (1..=1_000)
        .map(|depth| json!({"match": {"paths": [{"prefix": "/a".repeat(depth)}]}, "not": no}))
        .collect();
    assert_eq!(count(&nested, &Request { path: "/a".repeat(20), ..refused.clone() }), 20);
    // One condition that all share, and nothing beside it.
    let same: Vec<Value> =
        (0..1_000).map(|_| json!({"match": {"paths": [{"exact": "/a"}]}, "not": no})).collect();
    assert_eq!(count(&same, &Request { path: "/a".to_owned(), ..refused.clone() }), 1_000);
    assert_eq!(count(&same, &Request { path: "/b".to_owned(), ..refused }), 0);
}
