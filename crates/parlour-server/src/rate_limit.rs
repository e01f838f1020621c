//! Where a caller stands with a limit, in the header fields that the IETF's HTTP API working group drafted for it
//! (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy: "sends";q=300;w=60` and `RateLimit: "sends";r=299;t=1`.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use parlour_core::limits::Allowance;
use std::time::Duration;

/// The limit itself.
pub(crate) static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
pub(crate) static LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Says in an answer where its caller stands.
pub(crate) fn tell(headers: &mut HeaderMap, allowance: &Allowance) {
    let name = allowance.action.as_str();
    let rate = allowance.rate;
    let policy = format!("\"{name}\";q={};w={}", rate.count, seconds(rate.per));
    let limit = format!("\"{name}\";r={};t={}", allowance.remaining, seconds(allowance.wait));
    for (header, text) in [(&POLICY, policy), (&LIMIT, limit)] {
        headers.insert(header, HeaderValue::try_from(text).expect("names and numbers"));
    }
}

/// Says in a refusal when to come back.
pub(crate) fn tell_refused(headers: &mut HeaderMap, allowance: &Allowance) {
    tell(headers, allowance);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(allowance.wait).max(1)));
}

/// Whole seconds, rounded up, so that nobody comes back too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
