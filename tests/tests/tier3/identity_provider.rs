//! Tokens of a real OpenID provider whose keys change, and who dies, while requests keep coming.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::companions::oidc::OpenIdProvider;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

use crate::needing;

const NEEDED: &[&str] = &["oidc-provider"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![needing(NEEDED, "identity_provider::keys_change_and_the_provider_dies_in_traffic", in_traffic)]
}

struct Site {
    envoy: Envoy,
    _upstreams: Upstreams,
}

fn site(provider: &OpenIdProvider) -> Result<Site, Failed> {
    let upstreams = Upstreams::start()?;
    let auth = json!({
        "providers": {"corp": {"jwt": {
            "issuer": provider.issuer(), "audiences": ["shop"], "algorithms": ["ES256"], "types": ["at+jwt"],
            "jwks": {"cluster": "idp", "path": "/jwks", "refresh": "2s", "min_interval": "500ms", "timeout": "1s"}}}},
        "rules": [{"name": "all", "require": "corp", "claims": [{"name": "client_id", "exact": "webshop"}]}],
        "forward": {"principal_header": "x-auth-subject"},
    });
    let mut bootstrap = bootstrap::with_filters(&[("auth", &auth)], &upstreams, Form::Struct)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    clusters.push(bootstrap::cluster("idp", provider.address()));
    Ok(Site { envoy: Envoy::start(&bootstrap, 2)?, _upstreams: upstreams })
}

impl Site {
    fn status(&self, token: &str) -> Result<u16, Failed> {
        Ok(self.send(token)?.status)
    }

    fn send(&self, token: &str) -> Result<Response, Failed> {
        let request = Request {
            method: "GET".to_owned(),
            path: b"/orders".to_vec(),
            host: "shop.example".to_owned(),
            headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
            body: Vec::new(),
            grpc: false,
        };
        Ok(Connection::open(self.envoy.address())?.send(&request)?.into())
    }

    /// Sends again until the status is this one on several connections in a row: each worker has keys of its own.
    fn becomes(&self, what: &str, token: &str, expected: u16) -> Result<(), Failed> {
        let deadline = Instant::now() + Duration::from_secs(15);
        let mut row = 0;
        while row < 8 {
            let seen = self.status(token)?;
            row = if seen == expected { row + 1 } else { 0 };
            if Instant::now() > deadline {
                return Err(format!("{what}: expected {expected}, seen {seen}\n{}", self.envoy.log()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn in_traffic() -> Result<(), Failed> {
    let mut provider = OpenIdProvider::start()?;
    let port = provider.address().port();
    let site = site(&provider)?;
    let first = provider.token()?;
    let response = site.send(&first)?;
    if (response.status, response.upstream_header("x-auth-subject").as_deref()) != (200, Some("webshop")) {
        return Err(format!(
            "seen {} {:?}\n{}",
            response.status,
            response.upstream_headers,
            site.envoy.log()
        )
        .into());
    }

    // Requests with this token go on all the while: it stays good as long as its key is in the set.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<(), Failed> {
        let traffic = scope.spawn(|| -> Result<(usize, Vec<u16>), String> {
            let (mut count, mut odd) = (0, Vec::new());
            while !done.load(Ordering::Relaxed) {
                let seen = site.status(&first).map_err(|error| format!("{error:?}"))?;
                count += 1;
                if !matches!(seen, 200 | 401) {
                    odd.push(seen);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok((count, odd))
        });
        let course = course(&mut provider, port, &site, &first);
        done.store(true, Ordering::Relaxed);
        let (count, odd) = traffic.join().map_err(|_| "the traffic's thread panicked")??;
        course?;
        if count < 100 || !odd.is_empty() {
            return Err(format!("{count} requests, with {odd:?} among the answers").into());
        }
        Ok(())
    })?;
    let signature = first.rsplit('.').next().unwrap_or_default();
    if site.envoy.log().contains(signature) {
        return Err("a token is in the log".into());
    }
    Ok(())
}

fn course(provider: &mut OpenIdProvider, port: u16, site: &Site, first: &str) -> Result<(), Failed> {
    // A new key: its token is taken at once, although nobody knew its name; the old key's is refused from then on.
    provider.rotate()?;
    let second = provider.token()?;
    site.becomes("a token of the new key", &second, 200)?;
    site.becomes("a token of a key that is gone", first, 401)?;
    // Dead: what was fetched stays good, and nothing hangs.
    provider.kill();
    std::thread::sleep(Duration::from_secs(3));
    site.becomes("a token while the provider is dead", &second, 200)?;
    if site.envoy.stat("auth.keys_failed")? == 0 {
        return Err("no fetch failed while the provider was dead".into());
    }
    // Back with other keys.
    *provider = OpenIdProvider::start_on(port)?;
    provider.rotate()?;
    provider.rotate()?;
    let third = provider.token()?;
    site.becomes("a token of the provider's successor", &third, 200)?;
    site.becomes("a token of the one that died", &second, 401)
}
