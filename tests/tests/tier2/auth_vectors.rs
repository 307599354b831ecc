//! Published vectors in a real Envoy: its cryptography and ours say the same of each.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

#[path = "../../../crates/jose/tests/support/mod.rs"]
mod support;

use support::{Case, jose, primitives, rfc};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth_vectors::rsa_pkcs1_v15", || hold(primitives::pkcs1v15(), true)),
        Trial::test("auth_vectors::ecdsa", || hold(primitives::ecdsa(), true)),
        Trial::test("auth_vectors::rsa_pss", || hold(primitives::pss(), false)),
        Trial::test("auth_vectors::ed25519", || hold(primitives::ed25519(), false)),
        Trial::test("auth_vectors::json_web_signatures", tokens),
    ]
}

struct Site {
    connection: Connection,
    envoy: Envoy,
    _upstreams: Upstreams,
}

impl Site {
    fn start() -> Result<Self, Failed> {
        let upstreams = Upstreams::start()?;
        let bootstrap = bootstrap::with_filters(&[("vectors", &json!({}))], &upstreams, Form::StringValue)?;
        let envoy = Envoy::start(&bootstrap, 1)?;
        Ok(Self { connection: Connection::open(envoy.address())?, envoy, _upstreams: upstreams })
    }

    fn ask(&mut self, algorithm: &str, key: &str, text: &[u8], signature: &[u8]) -> Result<String, Failed> {
        let header =
            |name: &str, value: &str| (format!("x-vector-{name}").into_bytes(), value.as_bytes().to_vec());
        let request = Request {
            method: "GET".to_owned(),
            path: b"/".to_vec(),
            host: "shop.example".to_owned(),
            headers: vec![
                header("algorithm", algorithm),
                header("key", key),
                header("text", &Base64UrlUnpadded::encode_string(text)),
                header("signature", &Base64UrlUnpadded::encode_string(signature)),
            ],
            body: Vec::new(),
            grpc: false,
        };
        let response = Response::from(self.connection.send(&request)?);
        let result = response.upstream_header("x-vector-result");
        result.ok_or_else(|| format!("{}: no result\n{}", response.status, self.envoy.log()).into())
    }
}

/// Each vector is answered as it says, by both; by the host, where it is asked for this kind of key.
fn hold(cases: impl Iterator<Item = Case>, hosted: bool) -> Result<(), Failed> {
    let mut site = Site::start()?;
    let (mut wrong, mut asked, mut count) = (Vec::new(), 0, 0);
    for case in cases {
        count += 1;
        let seen = site.ask(&case.algorithm.to_string(), &case.jwk, &case.text, &case.signature)?;
        let by_host = seen.split(' ').next().unwrap_or_default();
        asked += usize::from(by_host != "-" && by_host != "refused");
        let expected = match by_host {
            "refused" => "refused".to_owned(),
            "-" => format!("- {}", case.valid),
            _ => format!("{0} {0}", case.valid),
        };
        if seen != expected
            || (case.valid && hosted == (by_host == "-"))
            || (seen == "refused") != case.key.is_none()
        {
            wrong.push(format!("{}: expected {}, seen {seen}", case.name, case.valid));
        }
    }
    println!("{count} vectors, the host asked for {asked}");
    if wrong.is_empty() && count > 100 && hosted == (asked > 0) {
        return Ok(());
    }
    Err(format!("{} of {count} ({asked} asked of the host):\n{}", wrong.len(), wrong.join("\n")).into())
}

/// Tokens as a whole: the host's cryptography and ours accept the same.
fn tokens() -> Result<(), Failed> {
    let mut site = Site::start()?;
    let mut wrong = Vec::new();
    let rfcs = rfc::TOKENS.iter().map(|(name, key, token, _)| jose::Case {
        name: (*name).to_owned(),
        key: (*key).to_owned(),
        token: (*token).to_owned(),
        valid: false,
    });
    let mut count = 0;
    for case in jose::cases().chain(rfcs) {
        let Ok(token) = tidegate_jose::Token::parse(case.token.as_bytes()) else { continue };
        let key: serde_json::Value = serde_json::from_str(&case.key)?;
        let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
        for key in keys {
            count += 1;
            let seen = site.ask(
                token.header().algorithm.name(),
                &key.to_string(),
                token.signed(),
                token.signature(),
            )?;
            if matches!(seen.as_str(), "true false" | "false true" | "malformed") {
                wrong.push(format!("{}: {seen}", case.name));
            }
        }
    }
    if wrong.is_empty() && count > 100 {
        Ok(())
    } else {
        Err(format!("of {count}:\n{}", wrong.join("\n")).into())
    }
}
