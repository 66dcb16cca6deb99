//! What is incomplete is never made complete, and whose fault it was.

use std::time::Duration;

use nethttp::reverse_proxy::{ProxyEnd, UpstreamFailure};
use nethttp::{ErrorKind, Method, Request, Response, ResponseWriter, Result, StatusCode};

use crate::fake::{OK, fed, settle};
use crate::kit::{BOTH, Chain, Records, Spoken, raw, raw_with};
use crate::wire::GET;

const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\n";

#[tokio::test(start_paused = true)]
async fn a_cut_upload_gets_no_end_and_takes_its_upstream_connection_with_it() {
    for (request, cut) in [
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhe", "2\r\nhe\r\n"),
        ("Content-Length: 10\r\n\r\nhello", "hello"),
    ] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{request}")).await;
        let mut conn = upstream.accept().await;
        conn.head().await;
        settle().await;
        client.end().await;
        let came = conn.end().await;
        assert_eq!(came, cut, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_upload_gets_no_end_and_is_answered_400() {
    let records = Records::default();
    let (host, mut upstream) = raw_with(|proxy| records.of(proxy));
    let mut client = host.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    let heard = client.talk("nonsense\r\n").await;
    assert!(heard.text.starts_with("HTTP/1.1 400 Bad Request\r\n") && heard.closed, "{heard:?}");
    assert_eq!(conn.end().await, "5\r\nhello\r\n");
    let record = records.last();
    assert_eq!((record.end, record.failure, record.request_bytes), (ProxyEnd::ClientGone, None, 5));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_cut_and_nothing_is_appended() {
    for (answer, seen) in [
        ("Content-Length: 10\r\n\r\nhello", "\r\n\r\nhello"),
        ("Content-Length: 10\r\n\r\n", "\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "\r\n\r\n5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "\r\n\r\n5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n", "\r\n\r\n5\r\nhello\r\n"),
    ] {
        let records = Records::default();
        let (host, mut upstream) = raw_with(|proxy| records.of(proxy));
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve(&format!("HTTP/1.1 200 OK\r\n{answer}")).await;
        drop(conn);
        let heard = client.hear().await;
        assert!(heard.text.starts_with("HTTP/1.1 200 OK\r\n") && heard.text.ends_with(seen), "{answer}: {heard:?}");
        assert!(heard.closed, "{answer}: the client sees that there is more to come and that it does not come");
        assert_eq!(records.last().end, ProxyEnd::Failed, "{answer}");
    }
}

/// Begins its answer, and ends it as the content of the request says.
async fn broken(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("begun").await?;
    w.flush().await?;
    nethttp::server::abort()
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_breaks_off_is_seen_over_every_pair_of_protocols() {
    for before in BOTH {
        for behind in BOTH {
            let chain = Chain::start(before, behind, broken);
            let mut response = chain.client.get(&*chain.url("/")).await.unwrap();
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
            let error = response.body.chunk().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CutOff, "{before:?} to {behind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_off_is_seen_over_every_pair_of_protocols() {
    for before in BOTH {
        for behind in BOTH {
            let (seen, mut kinds) = tokio::sync::mpsc::unbounded_channel();
            let handler = nethttp::handle_with(
                seen,
                async |seen: &tokio::sync::mpsc::UnboundedSender<_>, w: &mut ResponseWriter, r: &mut Request| {
                    let outcome = r.body.bytes(100).await.map_err(|error| error.kind());
                    seen.send(outcome).unwrap();
                    w.write("done").await
                },
            );
            let chain = Chain::start(before, behind, handler);
            let (feed, body) = fed();
            feed.send(Ok("begun".into())).unwrap();
            let mut request = Request::to(Method::POST, &*chain.url("/"), body).unwrap();
            request.content_length = None;
            let client = chain.client.clone();
            let sending = tokio::spawn(async move { client.send(request).await });
            settle().await;
            feed.send(Err(std::io::ErrorKind::Other.into())).unwrap();
            let outcome = kinds.recv().await.unwrap();
            assert!(outcome.is_err(), "{before:?} to {behind:?}: {outcome:?}");
            assert!(sending.await.unwrap().is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_gives_no_answer_is_a_502_that_tells_nothing_of_the_inside() {
    let records = Records::default();
    let (host, mut upstream) = raw_with(|proxy| records.of(proxy));
    for part in ["", "HTTP/1.1 200 OK\r\nX: 1\r\n"] {
        let mut client = host.connect();
        client.send("POST /secret HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok").await;
        let mut conn = upstream.accept().await;
        conn.serve(part).await;
        drop(conn);
        let heard = client.hear().await;
        assert!(heard.text.starts_with(BAD_GATEWAY) && !heard.closed, "{heard:?}");
        assert!(!heard.text.contains("u.test") && !heard.text.contains("secret"), "{heard:?}");
        let record = records.last();
        assert_eq!((record.failure, record.status), (Some(UpstreamFailure::CutOff), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_answers_failures_in_its_own_way() {
    let (host, mut upstream) = raw_with(|proxy| {
        proxy.on_error(|r, error| {
            let status = error.status().unwrap();
            Some(
                Response::new(format!("{} {}", r.path(), status.as_u16())).with_status(StatusCode::SERVICE_UNAVAILABLE),
            )
        })
    });
    let mut client = host.connect();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    drop(upstream.accept().await);
    // A GET whose fresh connection is closed without an answer is not sent again to the one upstream there is.
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 503 ") && heard.text.ends_with("\r\n\r\n/x 502"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn errors_of_functions_are_answered_with_their_status() {
    let (host, mut upstream) = raw_with(|proxy| {
        proxy.rewrite(|_, r| {
            if r.path() == "/no" {
                Err(nethttp::Error::answer(StatusCode::FORBIDDEN, "not that one\n"))
            } else {
                Ok(())
            }
        })
    });
    let heard = host.connect().talk("GET /no HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(heard.text.starts_with("HTTP/1.1 403 ") && heard.text.ends_with("not that one\n"), "{heard:?}");
    assert!(upstream.try_accept().is_none());

    let (host, mut upstream) = raw_with(|proxy| {
        proxy.modify_response(|response, _| match response.status {
            StatusCode::OK => Err(nethttp::Error::answer(StatusCode::BAD_GATEWAY, "")),
            _ => Ok(()),
        })
    });
    let mut client = host.connect();
    client.send(GET).await;
    upstream.accept().await.serve(OK).await;
    assert!(client.hear().await.text.starts_with(BAD_GATEWAY));
}

#[tokio::test(start_paused = true)]
async fn a_record_says_what_became_of_an_exchange() {
    let records = Records::default();
    let (host, mut upstream) = raw_with(|proxy| records.of(proxy));
    let mut client = host.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    let mut conn = upstream.accept().await;
    conn.request().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    conn.send(OK).await;
    assert!(client.hear().await.text.ends_with("ok"));
    let record = records.last();
    assert_eq!(record.upstream.as_ref().unwrap().url(), "http://u.test/");
    assert_eq!((record.retries, record.end, record.failure), (0, ProxyEnd::Whole, None));
    assert_eq!((record.status, record.request_bytes, record.response_bytes), (Some(StatusCode::OK), 5, 2));
    assert!(record.first_byte.unwrap() >= Duration::from_millis(100) && record.duration >= record.first_byte.unwrap());
    assert!(record.to_string().starts_with("http://u.test/ 200 in "), "{record}");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_stream_holds_no_other() {
    let chain = Chain::start(Spoken::Http2, Spoken::Http2, async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/stuck" {
            w.flush().await?;
            std::future::pending::<()>().await;
        }
        w.write("ok").await
    });
    let stuck = chain.client.get(&*chain.url("/stuck")).await.unwrap();
    for _ in 0..5 {
        assert_eq!(chain.client.get(&*chain.url("/")).await.unwrap().text().await.unwrap(), "ok");
    }
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_length_that_does_not_fit_is_never_a_whole_request() {
    let chain = Chain::start(Spoken::Http2, Spoken::Http1, async |w: &mut ResponseWriter, r: &mut Request| {
        let outcome = r.body.bytes(100).await;
        w.write(if outcome.is_ok() { "whole" } else { "cut" }).await
    });
    let (feed, body) = fed();
    feed.send(Ok("hello".into())).unwrap();
    drop(feed);
    let mut request = Request::to(Method::POST, &*chain.url("/"), body).unwrap();
    request.content_length = Some(10);
    let outcome = chain.client.send(request).await;
    assert!(outcome.is_err(), "{outcome:?}");
}
