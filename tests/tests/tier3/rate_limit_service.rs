//! Global limits on the rate limit service that Envoy's project keeps, with a real Redis.

use e2e::companions::ratelimit::RateLimitService;
use e2e::companions::redis::Redis;
use libtest_mimic::{Failed, Trial};

use crate::needing;

const NEEDED: &[&str] = &["redis-server", "ratelimit"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![needing(NEEDED, "rate_limit_service::starts_again_where_it_was", starts_again)]
}

const RULES: &str =
    "domain: shop\ndescriptors: [{key: user, rate_limit: {unit: hour, requests_per_unit: 3}}]\n";

/// What the tests below rest on: both programs can be killed and started again in the same places.
fn starts_again() -> Result<(), Failed> {
    let mut redis = Redis::start()?;
    let mut service = RateLimitService::start(&redis, RULES)?;
    redis.kill();
    redis.restart()?;
    service.kill();
    RateLimitService::start_on(&redis, RULES, service.address().port())?;
    Ok(())
}
