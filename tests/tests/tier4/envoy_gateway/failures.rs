//! What goes wrong, and where it is seen: what docs/envoy-gateway.md says about it.

use e2e::companions::envoy_gateway::Without;
use e2e::image::Layout;
use libtest_mimic::{Failed, Trial};

use super::needed;
use super::site::{OPEN, SHOP, Site};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("failures::code_that_cannot_be_had_closes_its_route", no_code),
        needed("failures::a_bad_configuration_is_refused_and_the_old_one_serves", bad_configuration),
        needed("failures::without_the_secret_there_is_no_filter", without_secret),
        needed("failures::without_the_authority_there_is_no_filter", without_authority),
    ]
}

/// The policy's status says why, and the server's log; the route answers 500, others go on.
fn no_code() -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    let (url, image) = (site.manifest("rate-limit", "")?, site.manifest("rate-limit", "-image")?);
    let digest = module_digest(&image)?;
    let zeros = "0".repeat(64);
    // From here on that is what the tag stands for.
    let raw = site.push("rate-limit", Layout::RawLayer)?;
    let cases = [
        (url.replace("tidegate_rate_limit.wasm", "nothing.wasm"), "status code 404"),
        (url.replace(&module_digest(&url)?, &zeros), "which does not match: 0000000"),
        (image.replace(":0.1.0", ":0.2.0"), "MANIFEST_UNKNOWN"),
        (image.replace(&digest, &zeros), "oci://localhost:5000/tidegate/rate-limit:0.1.0 has checksum"),
        (image.replace(&digest, &raw), "could not parse"),
    ];
    for (text, reason) in cases {
        site.gateway.put("policy.yaml", &text)?;
        site.becomes(SHOP, 500)?;
        site.says(reason)?;
        site.expect(OPEN, 200)?;
        site.gateway.remove("policy.yaml");
        site.becomes(SHOP, 200)?;
    }
    Ok(())
}

/// What stands behind `sha256:`.
fn module_digest(manifest: &str) -> Result<String, Failed> {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("sha256: ")).ok_or("no digest")?;
    Ok(line.trim_matches('"').to_owned())
}

/// Envoy refuses it; the policy's status knows nothing of it, the server's log does.
fn bad_configuration() -> Result<(), Failed> {
    let site = Site::start(Without::Nothing)?;
    let good = site.manifest("rate-limit", "")?;
    site.gateway.put("policy.yaml", &good)?;
    site.decides("rate-limit", SHOP)?;
    site.gateway.put("policy.yaml", &good.replace("requests: 3", "requests: none"))?;
    site.says("limits[0].quotas[0].requests: expected an integer from 1 to 1000000000000, found \"none\"")?;
    site.says("Unable to create Wasm plugin rate-limit")?;
    site.says("the proxy is still serving its last known good config")?;
    site.decides("rate-limit", SHOP)?;
    site.expect(OPEN, 200)?;
    site.gateway
        .put("policy.yaml", &good.replace("requests: 3, per: 30s, burst: 3", "requests: 1, per: 1h"))?;
    site.until("the next good one is live", || {
        let user = format!("{:?}", std::time::Instant::now());
        let seen =
            [1, 2].map(|_| site.get(SHOP, "/api", &[("x-user-id", &user)]).map(|answer| answer.status));
        match seen {
            [Ok(200), Ok(429)] => Ok(()),
            _ => Err("it is not".into()),
        }
    })
}

/// The policy is accepted, but Envoy's calls for the module are refused: it goes on as if there were no policy, for as long
/// as it tries again.
fn without_secret() -> Result<(), Failed> {
    let site = Site::start(Without::Secret)?;
    site.gateway.put("policy.yaml", &site.manifest("rate-limit", "")?)?;
    site.says("Policy has been accepted.")?;
    site.says("TLS handshake error from 127.0.0.1")?;
    site.says("tls: failed to verify certificate: x509: certificate signed by unknown authority")?;
    site.expect(SHOP, 200)
}

/// The same, told by Envoy.
fn without_authority() -> Result<(), Failed> {
    let site = Site::start(Without::Authority)?;
    site.gateway.put("policy.yaml", &site.manifest("rate-limit", "")?)?;
    site.says("Policy has been accepted.")?;
    site.says("Error adding/updating cluster(s) wasm_cluster: Invalid path: /certs/ca.crt")?;
    site.expect(OPEN, 200)
}
