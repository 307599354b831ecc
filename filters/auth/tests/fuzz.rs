//! What parses the bytes of strangers, fed with what lies near the texts in `corpus`: it ends, never panics, and accepts
//! what it ought to and nothing else.
//!
//! The three targets run side by side, each for as long as the environment variable `FUZZ_SECONDS` says (20 without it: a
//! minute in all). What breaks one is shown as small as it could be made; as a file in `corpus` it is tried first from
//! then on. Texts whose names begin with `good` are accepted, the others are not.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a slip here fails the test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use tidegate_auth::Auth;
use tidegate_jose::{Algorithm, KeySet, PureRust, Token, parse_object, verify};
use tidegate_testkit::fake::{FakeHost, Outcome, Worker, worker_on};
use tidegate_testkit::tokens::{SigningKey, key_set};

/// The texts of one folder, by their names.
type Corpus = BTreeMap<String, Vec<u8>>;

fn corpus(folder: &str) -> Corpus {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let read = |file: std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // Files end in a line feed, which is none of the text's.
        let text = std::fs::read(&file).unwrap();
        (name, text.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(text))
    };
    files.map(read).collect()
}

/// What parsers trip over.
const PIECES: [&[u8]; 30] = [
    b".",
    b"..",
    b"=",
    b"==",
    b",",
    b";",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\"exp\":",
    b"\"kid\":",
    b"\"alg\":",
    b"%",
    b"%2e",
    b" ",
    b"\n",
    b"\0",
    b"\xff",
    b"\xc0\xae",
    b"URI=",
];

/// A place in a text: any, or, as often, one of the seams where one part ends and another begins.
fn place(text: &[u8], at: Index, seam: bool) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric();
    let seams: Vec<usize> = (0..=text.len())
        .filter(|at| {
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            !before.is_some_and(is_part) || !text.get(*at).is_some_and(is_part)
        })
        .collect();
    if seam { seams[at.index(seams.len())] } else { at.index(text.len() + 1) }
}

/// A text of the corpus, a good one as often as any, with a few edits: parts cut, doubled, replaced, or taken from another
/// text.
fn near(corpus: &Corpus) -> impl Strategy<Value = Vec<u8>> + use<> {
    let texts: Vec<Vec<u8>> = corpus.values().cloned().collect();
    let pieces = prop_oneof![
        3 => select(PIECES.as_slice()).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (select(texts.clone()), any::<Index>(), 0..60_usize).prop_map(|(text, at, length)| {
            let at = at.index(text.len() + 1);
            text[at..(at + length).min(text.len())].to_vec()
        }),
    ];
    let good =
        corpus.iter().filter(|(name, _)| is_good(name)).map(|(_, text)| text.clone()).collect::<Vec<_>>();
    let edit = (any::<Index>(), any::<bool>(), 0..5_u8, 0..40_usize, pieces);
    let text = prop_oneof![select(texts), select(good)];
    let edits = prop_oneof![prop::collection::vec(edit.clone(), 1), prop::collection::vec(edit, 0..5)];
    (text, edits).prop_map(|(mut text, edits)| {
        for (at, seam, kind, length, piece) in edits {
            let at = place(&text, at, seam);
            let end = (at + length).min(text.len());
            match kind {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, piece)),
                2 => drop(text.splice(at..end, piece)),
                3 => {
                    let doubled = text[at..end].to_vec();
                    drop(text.splice(at..at, doubled));
                }
                _ => text.truncate(at),
            }
        }
        text
    })
}

/// Tries what lies near the corpus until the time is over: once at least.
fn fuzz(corpus: &Corpus, test: impl Fn(Vec<u8>) -> TestCaseResult) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let (began, near) = (Instant::now(), near(corpus));
    let mut cases = 0;
    loop {
        // Each run begins with other random numbers.
        let mut runner =
            TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
        if let Err(failure) = runner.run(&near, &test) {
            panic!("{failure}");
        }
        cases += 500;
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{cases} cases");
}

fn is_good(name: &str) -> bool {
    name.starts_with("good")
}

/// The keys that the good tokens are signed with.
fn keys() -> KeySet {
    let keys =
        key_set(&[(SigningKey::P256(1), "one"), (SigningKey::Rsa, "two"), (SigningKey::Ed25519(3), "three")]);
    KeySet::parse(keys.to_string().as_bytes()).unwrap()
}

fn is_accepted(text: &[u8], keys: &KeySet) -> bool {
    let Ok(token) = Token::parse(text) else { return false };
    let signed = keys
        .candidates(token.header())
        .any(|key| verify(key, token.header().algorithm, token.signed(), token.signature(), &PureRust));
    signed && token.claims().is_ok()
}

fn tokens() {
    let (corpus, keys) = (corpus("tokens"), keys());
    for (name, text) in &corpus {
        assert_eq!(is_accepted(text, &keys), is_good(name), "{name}");
    }
    let good: Vec<&Vec<u8>> = corpus.iter().filter(|(name, _)| is_good(name)).map(|(_, text)| text).collect();
    assert!(good.len() >= 3, "a token of each key");
    fuzz(&corpus, |text| {
        prop_assert_eq!(is_accepted(&text, &keys), good.contains(&&text));
        Ok(())
    });
}

/// What is wrong with a set that was accepted.
fn fault(text: &[u8]) -> Option<&'static str> {
    let keys = KeySet::parse(text)?;
    let kids: Vec<&str> = keys.iter().filter_map(|key| key.kid()).collect();
    if kids.iter().enumerate().any(|(index, kid)| kids[..index].contains(kid)) {
        return Some("a kid twice");
    }
    if parse_object(text).is_none() {
        return Some("no JSON object");
    }
    for key in keys.iter() {
        if key.is_symmetric() || !Algorithm::all().any(|algorithm| key.is_for(algorithm)) {
            return Some("a key that is shared, or for nothing");
        }
        if Algorithm::all().any(|algorithm| verify(key, algorithm, b"text", text, &PureRust)) {
            return Some("a key that verifies anything");
        }
    }
    None
}

fn key_sets() {
    let corpus = corpus("key-sets");
    for (name, text) in &corpus {
        assert_eq!(KeySet::parse(text).is_some(), is_good(name), "{name}");
        assert_eq!(fault(text), None, "{name}");
    }
    fuzz(&corpus, |text| {
        prop_assert_eq!(fault(&text), None);
        Ok(())
    });
}

/// What opens, for whoever has it.
const KEY: &str = "acme-key-1";
const PASSWORD: &str = "b3BzOnNlY3JldDox";
const WORKLOAD: &str = "spiffe://cluster.local/";
const MESHED: &str = ".cluster.local";

/// Every provider that reads what clients send.
fn auth() -> Worker<Auth> {
    let host = FakeHost::new();
    host.set_variable("SECRET", b"0123456789abcdef");
    let trusted = serde_json::json!({"trusted": {"cidrs": ["192.0.2.0/24"]}});
    let configuration = serde_json::json!({
        "providers": {
            "jwt": {"jwt": {"issuer": "https://id.example.com/", "audiences": ["shop"],
                "from": [{"header": "authorization", "prefix": "Bearer "}, {"query": "token"}, {"cookie": "session"}],
                "jwks": {"inline": key_set(&[(SigningKey::P256(7), "seven")])}}},
            "key": {"api_key": {"from": [{"header": "x-api-key"}, {"query": "key"}, {"cookie": "key"}],
                "keys": [{"id": "acme", "sha256": "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508"}]}},
            "basic": {"basic": {"users":
                [{"name": "ops", "sha256": "808d0577d711dd91b461ab5c50b70d66f1a2a821eef1654787a19cad8ce18c34"}]}},
            "hook": {"hmac": {"from": {"header": "x-signature"}, "secret_env": "SECRET", "signed": ["path", "header:date"]}},
            "xfcc": {"mtls": {"trust_domain": "cluster.local", "xfcc": trusted}},
            "l5d": {"mtls": {"trust_domain": "cluster.local", "l5d_client_id": trusted}},
        },
        "rules": [{"name": "all", "require": {"any_of": ["jwt", "key", "basic", "hook", "xfcc", "l5d"]}}],
        "forward": {"principal_header": "x-auth-subject", "strip_credentials": true},
    });
    worker_on(&host, &configuration.to_string())
}

/// A request as it stands in the corpus: the path, and on each further line a header.
fn passes(text: &[u8], auth: &Worker<Auth>) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    let path = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let headers: Vec<(String, &[u8])> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii()))
        })
        .collect();
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    matches!(auth.get(&path, &headers), Outcome::Passed(_))
}

/// Whether something that opens stands in the text: in a query also in escaped form.
fn has_a_credential(text: &[u8]) -> bool {
    let query = tidegate_matchers::form_decoded(text);
    [KEY, PASSWORD, WORKLOAD, MESHED].iter().any(|good| {
        [text, &query].into_iter().any(|text| text.windows(good.len()).any(|part| part == good.as_bytes()))
    })
}

fn requests() {
    let (corpus, auth) = (corpus("requests"), auth());
    for (name, text) in &corpus {
        assert_eq!(passes(text, &auth), is_good(name), "{name}");
    }
    fuzz(&corpus, |text| {
        prop_assert!(!passes(&text, &auth) || has_a_credential(&text));
        Ok(())
    });
}

/// In threads of their own: the test runner has one for each processor, and all three are to begin at once.
#[test]
fn tokens_key_sets_and_requests() {
    std::thread::scope(|scope| {
        let targets = [("tokens", tokens as fn()), ("key sets", key_sets), ("requests", requests)];
        let running = targets.map(|(name, target)| (name, scope.spawn(target)));
        let failed = running.map(|(name, target)| (name, target.join().is_err()));
        assert_eq!(failed, failed.map(|(name, _)| (name, false)), "failed; what broke it stands above");
    });
}
