//! When a request is sent again, and when it is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::reverse_proxy::{
    ChooseFuture, ChooseUpstream, ChosenUpstream, ReverseProxy, Upstream, UpstreamFailure, UpstreamPermit,
};
use nethttp::{Error, Request, StatusCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::fake::{FakeServer, OK, fake, settle};
use crate::kit::{plain, raw};
use crate::wire::{GET, Host, kept};

const OK_SENT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: -\r\n\r\nok";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 5\r\n\r\nhello";

/// The first of these that was not tried, and what its permit was told.
struct InOrder(Vec<Upstream>, UnboundedSender<String>);

impl ChooseUpstream for InOrder {
    fn choose<'a>(&'a self, _: &'a Request, tried: &'a [Upstream]) -> ChooseFuture<'a> {
        Box::pin(async move {
            let left = self.0.iter().find(|upstream| !tried.iter().any(|tried| tried.is_same(upstream)));
            let upstream = left.ok_or_else(|| Error::answer(StatusCode::SERVICE_UNAVAILABLE, "nobody is left\n"))?;
            let name = upstream.url().host().unwrap().to_owned();
            Ok(ChosenUpstream::new(upstream.clone()).with_permit(Told(name, self.1.clone())))
        })
    }
}

struct Told(String, UnboundedSender<String>);

impl UpstreamPermit for Told {
    fn responded(&mut self, status: StatusCode, _: Duration) {
        let _ = self.1.send(format!("{} {}", self.0, status.as_u16()));
    }

    fn failed(&mut self, failure: UpstreamFailure, _: Duration) {
        let _ = self.1.send(format!("{} {failure:?}", self.0));
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.1.send(format!("{} over", self.0));
    }
}

/// A proxy before these hosts. Connections to those whose names begin with `dead` are refused.
fn before(hosts: &[&str]) -> (Host, FakeServer, UnboundedReceiver<String>) {
    let (mut transport, upstream) = fake();
    let dial = transport.dial.clone();
    transport.dial = Arc::new(Refusing(dial));
    let (told, heard) = unbounded_channel();
    let upstreams = hosts.iter().map(|host| Upstream::new(format!("http://{host}")).unwrap()).collect();
    let proxy = ReverseProxy::new(InOrder(upstreams, told)).transport(plain(&transport));
    (Host::new(proxy), upstream, heard)
}

struct Refusing(Arc<dyn nethttp::net::Dial>);

impl nethttp::net::Dial for Refusing {
    fn dial<'a>(
        &'a self,
        target: &'a nethttp::net::DialTarget<'a>,
    ) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<nethttp::net::DialedStream>> + Send + 'a>> {
        if target.host().starts_with("dead") {
            return Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) });
        }
        self.0.dial(target)
    }
}

fn told(heard: &mut UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_moves_on_with_the_whole_content_whatever_the_method() {
    let (host, mut upstream, mut heard) = before(&["dead1.test", "dead2.test", "live.test"]);
    let mut client = host.connect();
    client.send(POST).await;
    let mut conn = upstream.accept().await;
    let request = conn.serve(OK).await;
    assert_eq!((request.place.as_str(), request.text().as_str()), ("live.test:80", "hello"));
    assert_eq!(client.hear().await, kept(OK_SENT));
    let expected = [
        "dead1.test Connect",
        "dead1.test over",
        "dead2.test Connect",
        "dead2.test over",
        "live.test 200",
        "live.test over",
    ];
    assert_eq!(told(&mut heard), expected);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_is_left_the_answer_is_that_of_the_last_failure() {
    let (host, _upstream, mut heard) = before(&["dead1.test"]);
    let answer = host.connect().talk(GET).await;
    assert!(answer.text.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && !answer.closed, "{answer:?}");
    assert_eq!(told(&mut heard), ["dead1.test Connect", "dead1.test over"]);
    let (host, _upstream, _) = before(&[]);
    let answer = host.connect().talk(GET).await;
    assert!(answer.text.starts_with("HTTP/1.1 503 ") && answer.text.ends_with("nobody is left\n"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_post_is_never_sent_twice_on_a_fresh_connection_and_a_get_goes_elsewhere() {
    let (host, mut upstream, mut heard) = before(&["a.test", "b.test"]);
    let mut client = host.connect();
    client.send(POST).await;
    let mut conn = upstream.accept().await;
    conn.request().await;
    drop(conn);
    let answer = client.hear().await;
    assert!(answer.text.starts_with("HTTP/1.1 502 "), "{answer:?}");
    assert!(upstream.try_accept().is_none());
    assert_eq!(told(&mut heard), ["a.test CutOff", "a.test over"]);

    client.send(GET).await;
    drop(upstream.accept().await);
    let mut conn = upstream.accept().await;
    assert_eq!(conn.serve(OK).await.place, "b.test:80");
    assert_eq!(client.hear().await, kept(OK_SENT));
    assert_eq!(told(&mut heard), ["a.test CutOff", "a.test over", "b.test 200", "b.test over"]);
}

#[tokio::test(start_paused = true)]
async fn on_a_kept_connection_that_ends_a_get_is_invisible_and_a_post_is_not_sent_again() {
    for (request, is_sent_again) in [(GET, true), (POST, false)] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve(OK).await;
        assert_eq!(client.hear().await, kept(OK_SENT));
        // The upstream has read the request, and nobody knows what it has done with it.
        client.send(request).await;
        conn.request().await;
        drop(conn);
        if is_sent_again {
            upstream.accept().await.serve(OK).await;
            assert_eq!(client.hear().await, kept(OK_SENT));
        } else {
            assert!(client.hear().await.text.starts_with("HTTP/1.1 502 "));
            assert!(upstream.try_accept().is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_has_ended_before_is_not_used_for_a_post() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.serve(OK).await;
    drop(conn);
    assert_eq!(client.hear().await, kept(OK_SENT));
    client.send(POST).await;
    assert_eq!(upstream.accept().await.serve(OK).await.text(), "hello");
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_with_short_content_goes_elsewhere_with_all_of_it() {
    let (host, mut upstream, _) = before(&["a.test", "b.test"]);
    let mut client = host.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    let mut conn = upstream.accept().await;
    conn.request().await;
    drop(conn);
    assert_eq!(upstream.accept().await.serve(OK).await.text(), "hello");
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn a_permit_lasts_as_long_as_the_answer_and_hears_of_its_end() {
    let (host, mut upstream, mut heard) = before(&["a.test"]);
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    settle().await;
    assert_eq!(told(&mut heard), ["a.test 200"]);
    drop(conn);
    client.hear().await;
    assert_eq!(told(&mut heard), ["a.test CutOff", "a.test over"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_says_nothing_of_the_upstream() {
    let (host, mut upstream, mut heard) = before(&["a.test"]);
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.request().await;
    drop(client);
    settle().await;
    assert_eq!(told(&mut heard), ["a.test over"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_upstreams_are_tried_than_is_allowed() {
    let tries = Arc::new(AtomicUsize::new(0));
    struct Counted(Arc<AtomicUsize>);
    impl ChooseUpstream for Counted {
        fn choose<'a>(&'a self, _: &'a Request, _: &'a [Upstream]) -> ChooseFuture<'a> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(ChosenUpstream::new(Upstream::new("http://dead.test")?)) })
        }
    }
    for (max, expected) in [(0, 1), (2, 3)] {
        tries.store(0, Ordering::Relaxed);
        let (mut transport, _upstream) = fake();
        transport.dial = Arc::new(Refusing(transport.dial.clone()));
        let proxy = ReverseProxy::new(Counted(tries.clone())).transport(plain(&transport)).max_retries(max);
        assert!(Host::new(proxy).connect().talk(GET).await.text.starts_with("HTTP/1.1 502 "));
        assert_eq!(tries.load(Ordering::Relaxed), expected);
    }
}
