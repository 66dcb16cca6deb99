//! Requests that find no room at any upstream.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use nethttp::reverse_proxy::{ReverseProxy, Upstreams};
use nethttp::testing::{self, record};
use nethttp::{Handler, Request, ResponseWriter, Result, StatusCode};
use tokio::sync::Semaphore;

use crate::kit::{Servers, get, server, settle, stats_of};

/// Answers each request when it gets a permit, and notes their targets in order.
#[derive(Clone)]
struct Held {
    permits: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Handler for Held {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.seen.lock().unwrap().push(r.request_uri.clone());
        self.permits.acquire().await.unwrap().forget();
        w.write("done").await
    }
}

impl Held {
    fn new() -> Held {
        Held { permits: Arc::new(Semaphore::new(0)), seen: Arc::default() }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn one_at_a_time(servers: &Servers, held: &Held) -> Upstreams {
    servers.start("a", held.clone());
    Upstreams::new([server("a").max_connections(1)]).resolve_interval(Duration::ZERO).transport(servers.transport())
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_are_sent_in_order_and_who_has_left_is_not() {
    let (servers, held) = (Servers::default(), Held::new());
    let upstreams = one_at_a_time(&servers, &held);
    let send = |target: &'static str| {
        let upstreams = upstreams.clone();
        tokio::spawn(async move { get(&upstreams, target).await.status })
    };
    let mut requests = Vec::new();
    for target in ["/1", "/2", "/3", "/4"] {
        requests.push(send(target));
        settle().await;
    }
    assert_eq!((held.seen(), upstreams.waiting()), (vec!["/1".to_owned()], 3));
    requests.remove(1).abort();
    settle().await;
    assert_eq!(upstreams.waiting(), 2);
    held.permits.add_permits(3);
    for request in requests {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(held.seen(), ["/1", "/3", "/4"]);
    assert_eq!((stats_of(&upstreams, "a").in_flight, upstreams.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_and_who_finds_the_queue_full_is_answered_503() {
    let (servers, held) = (Servers::default(), Held::new());
    let upstreams = one_at_a_time(&servers, &held).queue(1, Duration::from_secs(3));
    let first = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { get(&upstreams, "/1").await.status }
    });
    settle().await;
    let begun = tokio::time::Instant::now();
    let (waits, finds_it_full) = tokio::join!(get(&upstreams, "/2"), async {
        settle().await;
        (get(&upstreams, "/3").await.status, begun.elapsed())
    });
    assert_eq!(finds_it_full, (StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO));
    assert_eq!((waits.status, begun.elapsed().as_secs()), (StatusCode::SERVICE_UNAVAILABLE, 3));
    held.permits.add_permits(1);
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    assert_eq!(held.seen(), ["/1"], "those were never sent");
}

/// The moment between being given room and taking it is where a request could vanish with it.
#[tokio::test(start_paused = true)]
async fn room_that_was_given_to_a_request_which_then_leaves_is_given_on() {
    let (servers, held) = (Servers::default(), Held::new());
    let upstreams = one_at_a_time(&servers, &held);
    let proxy = ReverseProxy::new(upstreams.clone());
    let first = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { get(&upstreams, "/1").await.status }
    });
    settle().await;
    {
        let mut leaves = pin!(record(&proxy, testing::request("GET", "/2")));
        assert!(leaves.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(upstreams.waiting(), 1);
        held.permits.add_permits(1);
        assert_eq!(first.await.unwrap(), StatusCode::OK);
        assert_eq!(
            (upstreams.waiting(), stats_of(&upstreams, "a").in_flight),
            (0, 1),
            "it has room, and does not know"
        );
    }
    settle().await;
    assert_eq!(stats_of(&upstreams, "a").in_flight, 0);
    held.permits.add_permits(1);
    assert_eq!(get(&upstreams, "/3").await.status, StatusCode::OK);
    assert_eq!(held.seen(), ["/1", "/3"]);
}

#[tokio::test(start_paused = true)]
async fn a_drained_server_ends_what_it_has_and_gets_no_more_until_it_is_resumed() {
    let (servers, held) = (Servers::default(), Held::new());
    servers.start("a", held.clone());
    servers.named("b");
    let upstreams = servers.group(&["a", "b"]);
    let at_a = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { get(&upstreams, "/1").await.text().to_owned() }
    });
    settle().await;
    assert!(upstreams.drain("http://a") && !upstreams.drain("http://c"));
    for _ in 0..4 {
        assert_eq!(get(&upstreams, "/").await.text(), "b");
    }
    assert_eq!(stats_of(&upstreams, "a").in_flight, 1);
    held.permits.add_permits(1);
    assert_eq!(at_a.await.unwrap(), "done");
    assert!(upstreams.resume("http://a"));
    held.permits.add_permits(1);
    let both = [get(&upstreams, "/").await.text().to_owned(), get(&upstreams, "/").await.text().to_owned()];
    assert!(both.contains(&"done".to_owned()), "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_set_take_over_while_the_others_come_to_their_end() {
    let (servers, held) = (Servers::default(), Held::new());
    servers.start("a", held.clone());
    servers.named("b");
    let upstreams = servers.group(&["a"]);
    let at_a = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { get(&upstreams, "/1").await.text().to_owned() }
    });
    settle().await;
    upstreams.set([server("b")]);
    assert_eq!(get(&upstreams, "/").await.text(), "b");
    assert_eq!(upstreams.stats().len(), 2, "a is shown until its request is over");
    held.permits.add_permits(1);
    assert_eq!(at_a.await.unwrap(), "done");
    assert_eq!(upstreams.stats().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_stuck_gets_little_by_least_connections() {
    use nethttp::reverse_proxy::LoadBalancing;

    let (servers, held) = (Servers::default(), Held::new());
    servers.start("stuck", held.clone());
    servers.named("b");
    let upstreams = servers.group(&["stuck", "b"]).policy(LoadBalancing::LeastConnections);
    let mut requests = Vec::new();
    for _ in 0..50 {
        let upstreams = upstreams.clone();
        requests.push(tokio::spawn(async move { get(&upstreams, "/").await.status }));
        settle().await;
    }
    assert_eq!(held.seen().len(), 1);
    held.permits.add_permits(1);
    for request in requests {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}
