//! Informational responses, and content that waits to be asked for.

use std::sync::{Arc, Mutex};

use nethttp::trace::ClientTrace;
use nethttp::{Header, Request, ResponseWriter, Result, StatusCode};

use crate::fake::{OK, secs, settle};
use crate::kit::{on_all_chains, raw};
use crate::wire::{GET, closed, kept};

const OK_SENT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: -\r\n\r\nok";
const HINTS: &str =
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn an_informational_response_passes_at_once_without_what_is_of_the_connection() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.serve(HINTS).await;
    assert_eq!(client.hear().await, kept("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"));
    conn.send("HTTP/1.1 102 Processing\r\n\r\n").await;
    assert_eq!(client.hear().await, kept("HTTP/1.1 102 Processing\r\n\r\n"));
    // One that comes together with the final response is passed on too, and leaves nothing in it.
    conn.send(format!("{HINTS}{OK}")).await;
    assert_eq!(client.hear().await, kept(format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK_SENT}")));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_0_gets_no_informational_response() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    let request = conn.serve(&format!("{HINTS}{OK}")).await;
    assert!(request.head.starts_with("GET / HTTP/1.1\r\n"));
    assert_eq!(
        client.hear().await,
        closed("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nDate: -\r\nConnection: close\r\n\r\nok")
    );
}

/// What a client was told on the way.
#[derive(Default)]
struct Told(Mutex<Vec<(u16, Header)>>);

impl ClientTrace for Told {
    fn got_1xx_response(&self, status: StatusCode, header: &Header) -> Result<()> {
        self.0.lock().unwrap().push((status.as_u16(), header.clone()));
        Ok(())
    }
}

async fn hints(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Link", "</a>");
    w.send_informational(StatusCode::from_u16(103).unwrap()).await?;
    w.header().del("Link");
    w.write("ok").await
}

#[tokio::test(start_paused = true)]
async fn informational_responses_pass_over_every_pair_of_protocols() {
    on_all_chains(hints, async |chain| {
        let told = Arc::new(Told::default());
        let mut request = Request::get(&*chain.url("/")).unwrap();
        request.set_trace(told.clone());
        let mut response = chain.client.send(request).await.unwrap();
        assert_eq!((response.status.as_u16(), response.text().await.unwrap().as_str()), (200, "ok"));
        assert!(!response.header.contains("Link"));
        let told = told.0.lock().unwrap();
        let told: Vec<_> = told.iter().map(|(status, header)| (*status, header.get("Link"))).collect();
        assert_eq!(told, [(103, Some("</a>"))]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_upstream_says_when_the_content_is_to_come() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(POST).await;
    let mut conn = upstream.accept().await;
    assert!(conn.head().await.contains("\r\nExpect: 100-continue\r\n"));
    assert_eq!(client.hear().await, kept(""));
    conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.hear().await, kept("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send("hello").await;
    assert_eq!(conn.take(5).await.unwrap(), b"hello");
    conn.send(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_passes_without_a_100_and_its_upstream_connection_takes_no_other_request() {
    for status in ["413 Payload Too Large", "417 Expectation Failed", "401 Unauthorized", "200 OK"] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(POST).await;
        let mut conn = upstream.accept().await;
        conn.head().await;
        conn.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno")).await;
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nDate: -\r\nConnection: close\r\n\r\nno");
        assert_eq!(client.hear().await.text, head, "{status}");
        assert!(conn.is_closed().await, "{status}: the missing content would be read out of the next request");
        assert_eq!(upstream.dials(), 1, "{status}: it is not sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_ignores_the_expectation_is_no_deadlock() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(POST).await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    assert_eq!(client.hear().await, kept(""));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(client.hear().await, kept("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send("hello").await;
    assert_eq!(conn.take(5).await.unwrap(), b"hello");
    conn.send(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
    // Both connections are in order.
    client.send(GET).await;
    conn.serve(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_is_not_asked() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(format!("{POST}hello")).await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(conn.take(5).await.unwrap(), b"hello");
    conn.send(OK).await;
    settle().await;
    assert_eq!(client.hear().await, kept(OK_SENT));
}
