//! What goes on beside the requests: health checks, and names that are looked up again.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::group::UpstreamGroup;
use super::settings::HealthCheck;
use crate::client::{RoundTripper, Transport};
use crate::message::{Body, Request};
use crate::net::Resolve;

/// Asks the endpoint how it is, again and again.
pub(super) async fn check_health(
    group: Weak<UpstreamGroup>,
    endpoint: Weak<Endpoint>,
    check: HealthCheck,
    via: Transport,
) {
    loop {
        let Some(url) = endpoint.upgrade().map(|endpoint| endpoint.spec.server.url().clone()) else { return };
        let passed = passes(&url, &check, &via).await;
        let (Some(group), Some(endpoint)) = (group.upgrade(), endpoint.upgrade()) else { return };
        group.decide(|now, state| state.balancer.checked(now, endpoint.id, passed));
        drop((group, endpoint));
        sleep(with_jitter(check.interval)).await;
    }
}

async fn passes(url: &Uri, check: &HealthCheck, via: &Transport) -> bool {
    let Some(uri) = checked_uri(url, &check.target) else { return false };
    let mut request = Request::new(Method::GET, uri, Body::empty());
    request.header.set("User-Agent", concat!("nethttp/", env!("CARGO_PKG_VERSION"), " (health check)"));
    // Whether a new connection can be made is a part of the question.
    request.close = true;
    let response = via.round_trip(&mut request);
    let response = if check.timeout.is_zero() { Ok(response.await) } else { timeout(check.timeout, response).await };
    matches!(response, Ok(Ok(response)) if is_well(check, response.status))
}

fn is_well(check: &HealthCheck, status: StatusCode) -> bool {
    check.status.map_or(status.is_success() || status.is_redirection(), |expected| status == expected)
}

/// The path is that of the check alone: the check is of the server, and not of what a proxy makes of its URL.
fn checked_uri(url: &Uri, target: &str) -> Option<Uri> {
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Looks a name up, again and again, and says what was found. A lookup that fails or finds nothing changes nothing:
/// the servers are still there when their DNS is not.
pub(super) async fn look_up(
    resolver: Arc<dyn Resolve>,
    (host, port): (String, u16),
    interval: Duration,
    found: impl Fn(Vec<std::net::SocketAddr>) -> Keep,
) {
    loop {
        let mut pause = interval;
        if let Ok(resolved) = resolver.resolve(&host, port).await {
            pause = resolved.ttl.unwrap_or(interval);
            if !resolved.addrs.is_empty() && found(resolved.addrs) == Keep::Ending {
                return;
            }
        }
        sleep(with_jitter(pause.max(MIN_PAUSE))).await;
    }
}

/// Whether whoever a task works for is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Going,
    Ending,
}

/// A resolver may say that an answer holds for no time at all.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Up to a tenth more or less. The microseconds of the clock are random enough for that.
fn with_jitter(interval: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    interval.saturating_sub(interval / 10).saturating_add(interval / 5 * (nanos / 1_000 % 1_000) / 1_000)
}
