//! Servers that fail, and servers that are asked how they are.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::reverse_proxy::{HealthCheck, UpstreamHealth};
use nethttp::{Handler, Request, ResponseWriter, Result, StatusCode};
use tokio::time::{Instant, sleep};

use crate::kit::{Servers, get, settle, stats_of, text};

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_connections_is_out_for_the_fail_time_and_back_in() {
    let servers = Servers::default();
    servers.named("a");
    servers.named("b");
    let upstreams = servers.group(&["a", "b"]).max_fails(1, Duration::from_secs(10));
    servers.stop("b");
    for _ in 0..4 {
        assert_eq!(text(&upstreams).await, "a");
    }
    let stats = stats_of(&upstreams, "b");
    assert_eq!((stats.failed, stats.health), (1, UpstreamHealth::Out(Duration::from_secs(10))));
    servers.named("b");
    sleep(Duration::from_secs(9)).await;
    assert_eq!([text(&upstreams).await, text(&upstreams).await], ["a", "a"]);
    sleep(Duration::from_secs(1)).await;
    let both = [text(&upstreams).await, text(&upstreams).await];
    assert!(both.contains(&"b".to_owned()), "{both:?}");
    assert_eq!(stats_of(&upstreams, "b").health, UpstreamHealth::Up);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_out_the_answer_comes_at_once() {
    let servers = Servers::default();
    let upstreams = servers.group(&["a", "b"]);
    let begun = Instant::now();
    assert_eq!(get(&upstreams, "/").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(get(&upstreams, "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// A server whose health is a status; 0 is no answer at all. All other requests are answered.
#[derive(Clone)]
struct Checked {
    status: Arc<AtomicU16>,
    count: Arc<AtomicUsize>,
}

impl Handler for Checked {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if r.request_uri != "/health?full" {
            return w.write("checked").await;
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        match self.status.load(Ordering::SeqCst) {
            0 => pending().await,
            status => w.write_header(StatusCode::from_u16(status).unwrap()),
        }
        Ok(())
    }
}

fn checked(servers: &Servers) -> Checked {
    let checked = Checked { status: Arc::new(AtomicU16::new(200)), count: Arc::default() };
    servers.start("checked", checked.clone());
    servers.named("other");
    checked
}

#[tokio::test(start_paused = true)]
async fn a_server_gets_requests_while_its_checks_pass() {
    let servers = Servers::default();
    let checked = checked(&servers);
    let check = HealthCheck::new("/health?full").interval(Duration::from_secs(2)).timeout(Duration::from_secs(1));
    let upstreams = servers.group(&["checked", "other"]).health_check(check.thresholds(2, 2));
    upstreams.start();
    settle().await;
    assert_eq!(checked.count.load(Ordering::SeqCst), 1, "the first comes at once");
    for (status, health) in
        [(0, UpstreamHealth::CheckFailed), (204, UpstreamHealth::Up), (503, UpstreamHealth::CheckFailed)]
    {
        let before = stats_of(&upstreams, "checked").health;
        checked.status.store(status, Ordering::SeqCst);
        let asked = checked.count.load(Ordering::SeqCst);
        while checked.count.load(Ordering::SeqCst) < asked + 2 {
            assert_eq!(stats_of(&upstreams, "checked").health, before, "one check is not enough");
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(1_100)).await;
        assert_eq!(stats_of(&upstreams, "checked").health, health, "{status}");
    }
    for _ in 0..4 {
        assert_eq!(text(&upstreams).await, "other");
    }
}

#[tokio::test(start_paused = true)]
async fn checks_come_in_their_interval_and_end_with_the_group() {
    let servers = Servers::default();
    let checked = checked(&servers);
    let check = HealthCheck::new("/health?full").interval(Duration::from_secs(10));
    let upstreams = servers.group(&["checked"]).health_check(check);
    upstreams.start();
    sleep(Duration::from_secs(1_000)).await;
    let count = checked.count.load(Ordering::SeqCst);
    assert!((90..=112).contains(&count), "{count}: a tenth more or less");
    drop(upstreams);
    sleep(Duration::from_secs(1_000)).await;
    assert!(checked.count.load(Ordering::SeqCst) <= count + 1);
}
