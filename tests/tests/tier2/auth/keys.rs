//! Key sets that are fetched: tokens that wait, servers that fail and lie, names that nobody knows.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_testkit::tokens::{SigningKey, key_set};

use super::site::{Answer, Server, Site, eventually, send};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth::keys::tokens_wait_for_the_first_fetch", tokens_wait),
        Trial::test("auth::keys::tokens_are_refused_when_it_fails", first_fetch_fails),
        Trial::test("auth::keys::the_last_good_ones_stay_when_the_server_lies", server_lies),
        Trial::test("auth::keys::unknown_names_make_no_storm", no_storm),
        Trial::test("auth::keys::a_new_key_is_fetched_when_its_name_is_seen", rotation),
        Trial::test("auth::keys::only_the_named_cluster_is_asked", named_cluster_only),
        Trial::test("auth::keys::a_trap_elsewhere_hangs_nobody", trap_elsewhere),
        Trial::test("auth::keys::of_many_bad_tokens_nothing_stays", many_bad_tokens),
    ]
}

const ISSUER: &str = "https://id.example.com/";

fn auth(jwks: &Value) -> Value {
    json!({
        "providers": {"corp": {"jwt": {"issuer": ISSUER, "audiences": ["shop"], "jwks": jwks}}},
        "rules": [{"name": "open", "match": {"paths": [{"prefix": "/open"}]}, "allow": "anyone"},
                  {"name": "all", "require": "corp"}],
    })
}

fn remote(more: &Value) -> Value {
    let mut jwks = json!({"cluster": "idp", "path": "/jwks.json"});
    for (name, value) in more.as_object().into_iter().flatten() {
        jwks[name] = value.clone();
    }
    auth(&jwks)
}

fn token(key: SigningKey, kid: &str, subject: &str) -> String {
    let claims = json!({"iss": ISSUER, "aud": "shop", "sub": subject, "exp": 4_102_444_800_u64});
    key.sign(&json!({"alg": "ES256", "kid": kid}), &claims)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn keys(keys: &[(SigningKey, &str)]) -> Answer {
    Answer::of("200 OK", &key_set(keys).to_string())
}

const ONE: SigningKey = SigningKey::P256(1);
const TWO: SigningKey = SigningKey::P256(2);

fn tokens_wait() -> Result<(), Failed> {
    let idp = Server::start(Answer::Gate)?;
    let site = Site::start(&remote(&json!({})), &[idp.cluster("idp")], 1)?;
    let address = site.envoy.address();
    let (good, bad) = (bearer(&token(ONE, "one", "ann")), bearer(&token(TWO, "one", "ann")));
    let waiting: Vec<_> = (0..20)
        .map(|index| {
            let token = if index % 4 == 0 { bad.clone() } else { good.clone() };
            thread::spawn(move || {
                send(address, "/", &[("authorization", &token)]).map(|it| it.status).map_err(|_| ())
            })
        })
        .collect();
    eventually("the keys are asked for", || Ok(idp.requests() > 0))?;
    // Others are not held up by those that wait.
    site.expect("an open path", 200, "/open", &[])?;
    site.expect("no token", 401, "/", &[])?;
    if waiting.iter().any(thread::JoinHandle::is_finished) {
        return Err("a token was answered before the keys were there".into());
    }
    idp.set(keys(&[(ONE, "one")]));
    for (index, waiting) in waiting.into_iter().enumerate() {
        let expected = if index % 4 == 0 { 401 } else { 200 };
        match waiting.join() {
            Ok(Ok(status)) if status == expected => {}
            other => return Err(format!("token {index}: expected {expected}, seen {other:?}").into()),
        }
    }
    if idp.requests() != 1 {
        return Err(format!("expected one fetch for all, seen {}", idp.requests()).into());
    }
    Ok(())
}

fn first_fetch_fails() -> Result<(), Failed> {
    let silent = Server::start(Answer::Silence)?;
    let timed = json!({"timeout": "300ms", "min_interval": "1s"});
    let site = Site::start(&remote(&timed), &[silent.cluster("idp")], 2)?;
    let good = bearer(&token(ONE, "one", "ann"));
    let began = Instant::now();
    site.expect("a token while nobody answers", 503, "/", &[("authorization", &good)])?;
    site.expect("and the next", 503, "/", &[("authorization", &good)])?;
    if began.elapsed() > Duration::from_secs(5) {
        return Err(format!("it took {:?}", began.elapsed()).into());
    }
    silent.set(keys(&[(ONE, "one")]));
    eventually("it comes back", || {
        let row = (0..4).map(|_| site.status("/", &[("authorization", &good)]));
        Ok(row.collect::<Result<Vec<_>, _>>()?.iter().all(|status| *status == 200))
    })?;
    // A cluster that does not exist is refused at once, and hangs nothing either.
    let mut nowhere = remote(&json!({}));
    nowhere["providers"]["corp"]["jwt"]["jwks"]["cluster"] = json!("nowhere");
    let site = Site::start(&nowhere, &[], 1)?;
    site.expect("an unknown cluster", 503, "/", &[("authorization", &good)])?;
    // A bad token beside one that cannot be checked is bad, in both orders, also where none would do.
    nowhere["providers"]["corp"]["jwt"]["from"] = json!([{"header": "x-a"}, {"header": "x-b"}]);
    nowhere["rules"][1]["require"] = json!({"provider": "corp", "allow_missing": true});
    let site = Site::start(&nowhere, &[], 1)?;
    let good = token(ONE, "one", "ann");
    site.expect("no token", 200, "/", &[])?;
    site.expect("a token", 503, "/", &[("x-a", &good)])?;
    site.expect("a token and a bad one", 401, "/", &[("x-a", &good), ("x-b", "x.y.z")])?;
    site.expect("a bad one and a token", 401, "/", &[("x-a", "x.y.z"), ("x-b", &good)])
}

fn server_lies() -> Result<(), Failed> {
    let idp = Server::start(keys(&[(ONE, "one")]))?;
    let timed = json!({"timeout": "300ms", "min_interval": "100ms", "refresh": "500ms"});
    let site = Site::start(&remote(&timed), &[idp.cluster("idp")], 1)?;
    let good = bearer(&token(ONE, "one", "ann"));
    site.expect("the keys are good", 200, "/", &[("authorization", &good)])?;
    let forged = bearer(&token(TWO, "two", "root"));
    let huge = format!(r#"{{"keys": [{}], "x": "{}"}}"#, TWO.jwk("two"), "x".repeat(2 << 20));
    let twice = format!(r#"{{"keys": [], "keys": [{}]}}"#, TWO.jwk("two"));
    let secret = key_set(&[(SigningKey::Secret(1), "two")]).to_string();
    let lies = [
        ("500", Answer::of("500 Oops", &key_set(&[(TWO, "two")]).to_string())),
        ("a redirection", Answer::of("302 Found", &key_set(&[(TWO, "two")]).to_string())),
        ("a page", Answer::of("200 OK", "<html>sign in</html>")),
        ("no keys", Answer::of("200 OK", r#"{"keys": []}"#)),
        ("keys twice", Answer::of("200 OK", &twice)),
        ("a shared secret", Answer::of("200 OK", &secret)),
        ("too much", Answer::of("200 OK", &huge)),
        (
            "half of it",
            Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\": [".to_vec()),
        ),
        ("nothing", Answer::Bytes(Vec::new())),
        ("garbage", Answer::Bytes(b"\x00\xff\r\n\r\n".to_vec())),
        ("silence", Answer::Silence),
    ];
    for (what, lie) in lies {
        idp.set(lie);
        let before = site.envoy.stat("auth.keys_failed")?;
        eventually(what, || Ok(site.envoy.stat("auth.keys_failed")? > before + 1))?;
        site.expect(what, 200, "/", &[("authorization", &good)])?;
        let seen = site.status("/", &[("authorization", &forged)])?;
        if seen == 200 {
            return Err(format!("{what}: a forged token was let through").into());
        }
    }
    Ok(())
}

fn no_storm() -> Result<(), Failed> {
    let idp = Server::start(keys(&[(ONE, "one")]))?;
    let site = Site::start(&remote(&json!({"min_interval": "1h"})), &[idp.cluster("idp")], 1)?;
    let good = bearer(&token(ONE, "one", "ann"));
    site.expect("a good token", 200, "/", &[("authorization", &good)])?;
    let fetched = idp.requests();
    for number in 0..1_000 {
        let unknown = bearer(&token(TWO, &format!("made-up-{number}"), "root"));
        site.expect("an unknown name", 401, "/", &[("authorization", &unknown)])?;
    }
    site.expect("a good token after them", 200, "/", &[("authorization", &good)])?;
    // Envoy's main thread has a plugin of its own, which fetches too.
    if idp.requests() > fetched + 1 || idp.requests() > 2 {
        return Err(format!("{fetched} fetches before, {} after", idp.requests()).into());
    }
    Ok(())
}

fn rotation() -> Result<(), Failed> {
    let idp = Server::start(keys(&[(ONE, "one")]))?;
    let timed = json!({"refresh": "1h", "min_interval": "200ms"});
    let site = Site::start(&remote(&timed), &[idp.cluster("idp")], 1)?;
    let (old, new) = (bearer(&token(ONE, "one", "ann")), bearer(&token(TWO, "two", "ann")));
    site.expect("the old key's token", 200, "/", &[("authorization", &old)])?;
    site.expect("a key that is not there yet", 401, "/", &[("authorization", &new)])?;
    idp.set(keys(&[(TWO, "two")]));
    thread::sleep(Duration::from_millis(250));
    // Held until its key has been fetched; what was verified by the old one is forgotten with it.
    site.expect("the new key's token", 200, "/", &[("authorization", &new)])?;
    site.expect("the old key's token, seen before", 401, "/", &[("authorization", &old)])
}

fn named_cluster_only() -> Result<(), Failed> {
    let (idp, evil) = (Server::start(keys(&[(ONE, "one")]))?, Server::start(keys(&[(TWO, "two")]))?);
    let clusters = [idp.cluster("idp"), evil.cluster("evil")];
    let site = Site::start(&remote(&json!({"min_interval": "1ms"})), &clusters, 1)?;
    let claims = json!({"iss": ISSUER, "aud": "shop", "sub": "root", "exp": 4_102_444_800_u64});
    let there = format!("http://{}/jwks.json", evil.address);
    for header in [
        json!({"alg": "ES256", "kid": "two", "jku": there}),
        json!({"alg": "ES256", "kid": "two", "x5u": there}),
        json!({"alg": "ES256", "kid": "two", "jwk": TWO.jwk("two")}),
        json!({"alg": "ES256", "jku": there}),
    ] {
        let token = bearer(&TWO.sign(&header, &claims));
        site.expect(&header.to_string(), 401, "/", &[("authorization", &token)])?;
    }
    if evil.requests() > 0 {
        return Err("a server that a token names was asked".into());
    }
    Ok(())
}

/// The probe has a VM of its own: its trap takes nothing of auth with it, and the token that waits is answered.
fn trap_elsewhere() -> Result<(), Failed> {
    let idp = Server::start(Answer::Gate)?;
    let (auth, probe) = (remote(&json!({})), json!({"timeout": "1s"}));
    let site = Site::start_with(&[("auth", &auth), ("probe", &probe)], &[idp.cluster("idp")], 1, |_| ())?;
    let address = site.envoy.address();
    let good = bearer(&token(ONE, "one", "ann"));
    let waiting = thread::spawn(move || {
        let began = Instant::now();
        (send(address, "/", &[("authorization", &good)]).map(|it| it.status).map_err(|_| ()), began.elapsed())
    });
    eventually("the keys are asked for", || Ok(idp.requests() > 0))?;
    if site.status("/open", &[("x-probe-trap", "1")])? == 200 {
        return Err("a request that trapped was let through".into());
    }
    idp.set(keys(&[(ONE, "one")]));
    let (answer, took) = waiting.join().map_err(|_| "the waiting request's thread panicked")?;
    if answer.is_err() || took > Duration::from_secs(10) {
        return Err(format!("the token that waited got {answer:?} after {took:?}").into());
    }
    eventually("everything works again", || Ok(site.status("/open", &[])? == 200))
}

/// A million tokens, each another one: most are seen to be bad before their signature is looked at, one in twenty by it.
/// A request brings one to each of several providers: the time goes into tokens, not into requests.
fn many_bad_tokens() -> Result<(), Failed> {
    const PROVIDERS: u32 = 8;
    const TOKENS: u32 = 1_000_000;
    const WARM: u32 = 100_000;
    let provider = |number: u32| {
        json!({"jwt": {"issuer": ISSUER, "audiences": ["shop"], "from": [{"header": format!("x-token-{number}")}],
            "jwks": {"inline": key_set(&[(ONE, "one")])}}})
    };
    let names = || (0..PROVIDERS).map(|number| format!("provider-{number}"));
    let providers: serde_json::Map<String, Value> = names().zip((0..PROVIDERS).map(provider)).collect();
    let any: Vec<String> = names().collect();
    let configuration =
        json!({"providers": providers, "rules": [{"name": "all", "require": {"any_of": any}}]});
    let site = Site::start(&configuration, &[], 2)?;
    let good = token(ONE, "one", "ann");
    let (head, _) = good.rsplit_once('.').ok_or("no signature")?;
    let send_some = |tokens: std::ops::Range<u32>| -> Result<(), Failed> {
        let mut connection = e2e::client::Connection::open(site.envoy.address())?;
        for first in tokens.step_by(PROVIDERS as usize) {
            let mut request = "GET / HTTP/1.1\r\nhost: a\r\n".to_owned();
            for number in first..first + PROVIDERS {
                // Well-formed and wrong, or too short.
                let mut signature = vec![7; if number % 20 == 0 { 64 } else { 63 }];
                signature[..4].copy_from_slice(&number.to_be_bytes());
                let signature = tidegate_testkit::tokens::encoded(&signature);
                let header = number % PROVIDERS;
                request.push_str(&format!("x-token-{header}: {head}.{signature}\r\n"));
            }
            request.push_str("\r\n");
            let reply = connection.exchange(request.as_bytes())?;
            if reply.status != 401 {
                return Err(format!("token {first}: {}", reply.status).into());
            }
        }
        Ok(())
    };
    let send_many = |tokens: std::ops::Range<u32>| -> Result<(), Failed> {
        let half = tokens.start + (tokens.end - tokens.start) / 2;
        thread::scope(|scope| {
            let first = scope.spawn(|| send_some(tokens.start..half));
            send_some(half..tokens.end)?;
            first.join().map_err(|_| "a client panicked")?
        })
    };
    send_many(0..WARM)?;
    let warm = site.envoy.resident_kib()?;
    send_many(WARM..TOKENS)?;
    let end = site.envoy.resident_kib()?;
    println!("{WARM} bad tokens: {warm} KiB, {TOKENS}: {end} KiB");
    if end > warm + 8 * 1024 {
        return Err(format!("{warm} KiB after {WARM} bad tokens, {end} KiB after {TOKENS}").into());
    }
    let refused: u64 = names()
        .map(|name| site.envoy.stat_named(&format!("wasmcustom.tidegate.auth.provider.{name}.refused")))
        .sum::<anyhow::Result<u64>>()?;
    if refused == u64::from(TOKENS) { Ok(()) } else { Err(format!("{refused} were refused").into()) }
}
