//! Published vectors in pure Rust, native and as wasm32: Wycheproof's for JOSE and for each primitive, and those of the
//! RFCs. The same vectors are held against Envoy's cryptography in tier 2.

mod support;

use support::{Case, jose, primitives, rfc};
use tidegate_jose::{Algorithm, Key, PureRust, Token, verify};
use wasm_bindgen_test::wasm_bindgen_test;

fn check(cases: impl Iterator<Item = Case>, least: usize) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for case in cases {
        count += 1;
        let seen = case
            .key
            .as_ref()
            .is_some_and(|key| verify(key, case.algorithm, &case.text, &case.signature, &PureRust));
        if seen != case.valid {
            wrong.push(format!("{}: expected {}, seen {seen}", case.name, case.valid));
        }
    }
    assert!(count >= least, "{count} vectors only");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn rsa_pkcs1_v15() {
    check(primitives::pkcs1v15(), 2_000);
}

#[wasm_bindgen_test(unsupported = test)]
fn rsa_pss() {
    check(primitives::pss(), 300);
}

#[wasm_bindgen_test(unsupported = test)]
fn ecdsa() {
    check(primitives::ecdsa(), 600);
}

#[wasm_bindgen_test(unsupported = test)]
fn ed25519() {
    check(primitives::ed25519(), 100);
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_of_the_rfcs() {
    for (name, key, token, valid) in rfc::TOKENS {
        let seen = jose::accepts(key, token, &PureRust);
        assert_eq!(seen, *valid, "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn json_web_signatures() {
    let wrong: Vec<String> = jose::cases()
        .filter(|case| jose::accepts(&case.key, &case.token, &PureRust) != case.valid)
        .map(|case| case.name)
        .collect();
    assert_eq!(wrong, jose::DISAGREEMENTS);
}

#[wasm_bindgen_test(unsupported = test)]
fn json_web_keys() {
    let wrong: Vec<String> = jose::key_cases()
        .filter(|case| jose::accepts_fetched(&case.key, &case.token, &PureRust) != case.valid)
        .map(|case| case.name)
        .collect();
    // Sets of shared secrets: one that can be fetched holds none.
    assert_eq!(wrong, ["2 acceptsValid", "13 long_key", "14 long_key", "15 long_key"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_verifies_nothing_of_another_algorithm() {
    let (_, key, token, _) = rfc::TOKENS[0];
    let key: Key = jose::keys(key).into_iter().next().unwrap();
    let token = Token::parse(token.as_bytes()).unwrap();
    let accepted: Vec<_> = Algorithm::all()
        .filter(|algorithm| verify(&key, *algorithm, token.signed(), token.signature(), &PureRust))
        .map(Algorithm::name)
        .collect();
    assert_eq!(accepted, ["HS256"]);
}
