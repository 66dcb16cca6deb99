//! Time limits hit what they are for.

use std::sync::Arc;

use nethttp::net::{DialedStream, dial_fn};
use nethttp::reverse_proxy::{ReverseProxy, UpstreamFailure, proxy_transport};

use crate::fake::{OK, secs};
use crate::kit::{Records, raw_with};
use crate::wire::{GET, Host, kept};

const OK_SENT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: -\r\n\r\nok";

#[tokio::test(start_paused = true)]
async fn the_time_for_an_answer_counts_from_the_end_of_the_request_and_ends_with_its_head() {
    let (host, mut upstream) = raw_with(|proxy| proxy.response_header_timeout(secs(5)));
    let mut client = host.connect();
    // A slow upload is no slow answer.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    for _ in 0..3 {
        tokio::time::sleep(secs(20)).await;
        client.send("x").await;
    }
    conn.request().await;
    tokio::time::sleep(secs(4)).await;
    // Nor is a long one.
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        tokio::time::sleep(secs(20)).await;
        conn.send("1\r\nx\r\n").await;
    }
    conn.send("0\r\n\r\n").await;
    let heard = client.hear().await;
    assert!(heard.text.ends_with("1\r\nx\r\n0\r\n\r\n") && !heard.closed, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_a_504_and_the_upstream_connection_ends() {
    let records = Records::default();
    let (host, mut upstream) = raw_with(|proxy| records.of(proxy.response_header_timeout(secs(5))));
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.request().await;
    tokio::time::sleep(secs(6)).await;
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 504 Gateway Timeout\r\n") && !heard.closed, "{heard:?}");
    assert!(!heard.text.contains("response_header_timeout"), "{heard:?}");
    assert!(conn.is_closed().await);
    assert_eq!(records.last().failure, Some(UpstreamFailure::TimedOut));
    assert_eq!(upstream.dials(), 1, "it may have been acted on");
    client.send(GET).await;
    upstream.accept().await.serve(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn a_pause_within_an_answer_cuts_it_where_pauses_are_limited() {
    for (limit, is_cut) in [(Some(secs(5)), true), (None, false)] {
        let change = |proxy: ReverseProxy| match limit {
            Some(limit) => proxy.stall_timeout(limit),
            None => proxy,
        };
        let (host, mut upstream) = raw_with(change);
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
        assert!(client.hear().await.text.ends_with("\r\n\r\nhello"));
        tokio::time::sleep(secs(600)).await;
        let heard = client.hear().await;
        assert_eq!((heard.text.as_str(), heard.closed), ("", is_cut));
        assert_eq!(conn.is_closed().await, is_cut);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_takes_nothing_of_the_request_is_a_504() {
    let (host, mut upstream) = raw_with(|proxy| proxy.stall_timeout(secs(5)));
    let mut client = host.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000))).await;
    let conn = upstream.accept().await;
    tokio::time::sleep(secs(6)).await;
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 504 "), "{heard:?}");
    drop(conn);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_cannot_be_reached_in_time_is_a_504() {
    let records = Records::default();
    let mut transport = proxy_transport();
    transport.dial = Arc::new(dial_fn(|_, _| std::future::pending::<std::io::Result<DialedStream>>()));
    let proxy = ReverseProxy::to("http://u.test").unwrap().transport(transport).connect_timeout(secs(3));
    let host = Host::new(records.of(proxy));
    let mut client = host.connect();
    client.send(GET).await;
    tokio::time::sleep(secs(4)).await;
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 504 Gateway Timeout\r\n") && !heard.closed, "{heard:?}");
    assert_eq!(records.last().failure, Some(UpstreamFailure::Connect));
}
