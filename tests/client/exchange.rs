//! One exchange: what is written and what is read, in whatever order the two come.

use std::io;
use std::sync::{Arc, Mutex};

use nethttp::error::{Phase, Sent};
use nethttp::trace::ClientTrace;
use nethttp::{Body, Bytes, ErrorKind, Header, Request, Result, StatusCode};
use tokio::time::{Instant, timeout};

use crate::fake::{OK, URL, client_of, counts, fake, fake_with, fed, outcome, pair, pieces, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_response_is_handed_out_before_the_request_is_sent_and_both_go_on_together() {
    let (client, transport, mut server) = pair();
    let (feed, body) = fed();
    let sending = tokio::spawn(async move { client.send(Request::post(URL, body)?).await });
    let mut conn = server.accept().await;
    assert!(conn.head().await.contains("Transfer-Encoding: chunked\r\n"));
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut response = sending.await.unwrap().unwrap();
    assert_eq!(response.timings().wrote_request, None, "the request is still on its way");
    for (said, heard) in [("one", "1"), ("two", "2")] {
        feed.send(Ok(said.into())).unwrap();
        let (chunk, came) = tokio::join!(response.body.chunk(), async {
            let came = conn.take(8).await.unwrap();
            conn.send(format!("1\r\n{heard}\r\n")).await;
            String::from_utf8(came).unwrap()
        });
        assert_eq!(chunk.unwrap().unwrap(), heard);
        assert_eq!(came, format!("3\r\n{said}\r\n"));
    }
    drop(feed);
    let (end, ()) = tokio::join!(response.body.chunk(), async {
        assert_eq!(conn.take(5).await.unwrap(), b"0\r\n\r\n");
        conn.send("0\r\n\r\n").await;
    });
    assert_eq!(end.unwrap(), None);
    assert_eq!(counts(&transport), (1, 0, 0, 0), "both messages are whole: the connection is kept");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_came_counts_although_the_rest_of_the_request_cannot_be_sent() {
    let (transport, mut server) = fake_with(4096);
    let (client, transport) = client_of(transport);
    let (response, ()) = tokio::join!(client.post(URL, "text/plain", vec![b'x'; 100_000]), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    });
    assert_eq!(outcome(response).await, Ok((413, "big".to_owned())));
    assert_eq!(counts(&transport), (0, 0, 0, 0), "a request was cut: the connection is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_no_more_and_brings_no_answer_is_an_error_of_writing() {
    let (transport, mut server) = fake_with(4096);
    let (client, _) = client_of(transport);
    let (response, ()) = tokio::join!(client.post(URL, "text/plain", vec![b'x'; 100_000]), async {
        server.accept().await.head().await;
    });
    let error = response.unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.sent()), (ErrorKind::Io, Some(Phase::Write), Some(Sent::Partly)));
    assert_eq!(error.url(), Some(URL));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_ends_early_is_an_error_and_its_connection_is_not_kept() {
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n",
    ] {
        let (client, transport, mut server) = pair();
        let (response, ()) = tokio::join!(client.get(URL), async {
            server.accept().await.serve(cut).await;
        });
        let mut response = response.unwrap();
        let error = response.text().await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::CutOff, Some(Phase::Body)), "{cut:?}");
        assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY), "what a gateway answers");
        assert_eq!((error.sent(), error.url()), (Some(Sent::Fully), Some(URL)), "{error}");
        assert_eq!(response.text().await.unwrap_err().kind(), ErrorKind::CutOff, "an error stays");
        drop(response);
        assert_eq!(counts(&transport), (0, 0, 0, 0), "{cut:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_length_is_what_comes_until_the_close() {
    let (client, transport, mut server) = pair();
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.serve("HTTP/1.1 200 OK\r\n\r\nhello").await;
    });
    assert_eq!(response.as_ref().unwrap().content_length, None);
    assert_eq!(outcome(response).await, Ok((200, "hello".to_owned())));
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_half_a_head_are_told_apart() {
    for (sent, said) in [("", "without an answer"), ("HTTP/1.1 200 OK\r\nX", "in the middle of its answer")] {
        let (client, _, mut server) = pair();
        let (response, ()) = tokio::join!(client.get(URL), async {
            server.accept().await.serve(sent).await;
        });
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::CutOff, Some(Phase::Head)));
        assert_eq!(error.sent(), Some(Sent::Fully));
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().starts_with("GET http://a.test/: "), "{error}");
    }
}

/// A POST that waits for `100 Continue`.
fn expecting(body: impl Into<Body>) -> Request {
    let mut request = Request::post(URL, body).unwrap();
    request.header.set("Expect", "100-continue");
    request
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_for_100_continue() {
    let (client, transport, mut server) = pair();
    let (response, ()) = tokio::join!(client.send(expecting("hello")), async {
        let mut conn = server.accept().await;
        assert!(conn.head().await.contains("Expect: 100-continue\r\n"));
        assert_eq!(conn.here().await, "", "nothing goes before the 100");
        conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(conn.take(5).await.unwrap(), b"hello");
        conn.send(OK).await;
    });
    assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    assert_eq!(counts(&transport), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_without_100_continue_after_the_timeout() {
    for (limit, waited) in [(secs(1), secs(1)), (secs(7), secs(7)), (secs(0), secs(0))] {
        let (mut transport, mut server) = fake();
        transport.expect_continue_timeout = limit;
        let (client, _) = client_of(transport);
        let began = Instant::now();
        let (response, ()) = tokio::join!(client.send(expecting("hello")), async {
            let mut conn = server.accept().await;
            assert!(conn.head().await.contains("Expect: 100-continue\r\n"));
            assert_eq!(conn.take(5).await.unwrap(), b"hello");
            assert_eq!(began.elapsed(), waited);
            conn.send(OK).await;
        });
        assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_in_place_of_100_continue_on_a_kept_connection_has_the_body_follow() {
    let (client, transport, mut server) = pair();
    let (response, mut conn) = tokio::join!(client.send(expecting("hello")), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
        conn
    });
    assert_eq!(outcome(response).await, Ok((403, "no".to_owned())));
    assert_eq!(conn.here().await, "hello", "the server counts on what was announced");
    assert_eq!(counts(&transport), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_in_place_of_100_continue_that_closes_gets_no_body() {
    let (client, transport, mut server) = pair();
    let (response, mut conn) = tokio::join!(client.send(expecting("hello")), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno").await;
        conn
    });
    assert_eq!(outcome(response).await, Ok((403, "no".to_owned())));
    assert_eq!(conn.end().await, "", "not a byte of the body");
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

const REFUSED: &str = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno";

#[tokio::test(start_paused = true)]
async fn what_417_refuses_is_sent_again_without_expect() {
    for body in [Body::from("hello"), pieces(&["hel", "lo"])] {
        let (client, transport, mut server) = pair();
        let (response, ()) = tokio::join!(client.send(expecting(body)), async {
            let mut conn = server.accept().await;
            conn.head().await;
            conn.send(REFUSED).await;
            assert_eq!(conn.end().await, "", "not a byte of the body");
            let again = server.accept().await.serve(OK).await;
            assert_eq!((again.field("Expect"), again.text()), (None, "hello".to_owned()));
        });
        assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
        assert_eq!(counts(&transport).1, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_sent_when_417_comes_is_sent_again_if_it_can_be_had_again() {
    for (body, expected) in [(Body::from("hello"), 200), (pieces(&["hello"]), 417)] {
        let (client, _, mut server) = pair();
        let (response, ()) = tokio::join!(client.send(expecting(body)), async {
            let mut conn = server.accept().await;
            conn.head().await;
            assert_eq!(conn.here().await, "");
            tokio::time::sleep(secs(2)).await;
            conn.send(REFUSED).await;
            if let Ok(Some(mut conn)) = tokio::time::timeout(secs(1), server.next()).await {
                assert_eq!(conn.serve(OK).await.field("Expect"), None);
            }
        });
        assert_eq!(response.unwrap().status, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_417_is_the_answer_and_so_is_one_that_no_expect_was_sent_for() {
    let (client, _, server) = pair();
    let log = server.answer(|_| REFUSED.into());
    assert_eq!(outcome(client.send(expecting("hello")).await).await, Ok((417, "no".to_owned())));
    assert_eq!(log.all().len(), 2);
    assert_eq!(outcome(client.post(URL, "text/plain", "hello").await).await, Ok((417, "no".to_owned())));
    assert_eq!(log.all().len(), 3);
}

/// Told of informational responses; refuses after so many.
struct Informed(Mutex<Vec<(u16, String)>>, usize);

impl ClientTrace for Informed {
    fn got_1xx_response(&self, status: StatusCode, header: &Header) -> Result<()> {
        let mut seen = self.0.lock().unwrap();
        seen.push((status.as_u16(), header.get("Link").unwrap_or_default().to_owned()));
        if seen.len() > self.1 { Err(nethttp::Error::other("enough")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn informational_responses_go_to_the_trace_and_its_error_ends_the_request() {
    for (most, expected) in [(10, Ok((200, "ok".to_owned()))), (1, Err(ErrorKind::Other))] {
        let (client, transport, mut server) = pair();
        let mut request = Request::get(URL).unwrap();
        let trace = Arc::new(Informed(Mutex::default(), most));
        request.set_trace(trace.clone());
        let (response, ()) = tokio::join!(client.send(request), async {
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
            let mut conn = server.accept().await;
            conn.serve(&format!("{hints}{OK}")).await;
            settle().await;
        });
        assert_eq!(outcome(response).await, expected);
        assert_eq!(*trace.0.lock().unwrap(), [(103, "</a>".to_owned()), (102, String::new())]);
        assert_eq!(counts(&transport).0, usize::from(expected.is_ok()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_trace_informational_responses_share_the_limit_of_the_head() {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
    for (limit, expected) in [(4096, Ok((200, "ok".to_owned()))), (2048, Err(ErrorKind::Refused))] {
        let (mut transport, mut server) = fake();
        transport.max_response_header_bytes = limit;
        let (client, _) = client_of(transport);
        let (response, ()) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.serve(&format!("{hints}{OK}")).await;
            settle().await;
        });
        assert_eq!(outcome(response).await, expected, "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn heads_over_their_limits_are_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "v".repeat(2000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: 1\r\n".repeat(20));
    for (bytes, values, answer, fits) in
        [(3000, 0, &long, true), (1000, 0, &long, false), (0, 21, &many, true), (0, 20, &many, false)]
    {
        let (mut transport, mut server) = fake();
        transport.max_response_header_bytes = bytes;
        transport.max_response_header_value_count = values;
        let (client, transport) = client_of(transport);
        let (response, ()) = tokio::join!(client.get(URL), async {
            server.accept().await.serve(answer).await;
        });
        assert_eq!(response.as_ref().map(|_| ()).map_err(nethttp::Error::kind).is_ok(), fits, "{bytes} {values}");
        if let Err(error) = response {
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Refused, Some(Phase::Head)));
            assert_eq!(counts(&transport), (0, 0, 0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_goes_in_chunks_with_its_trailer_behind_it() {
    let (client, _, server) = pair();
    let log = server.answer(|_| {
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n".into()
    });
    let mut request = Request::post(URL, pieces(&["one", "two"])).unwrap();
    request.trailer.set("X-Count", "2");
    let mut response = client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    assert_eq!(response.body.trailer().unwrap().get("x-sum"), Some("7"));
    let request = log.last();
    assert_eq!((request.text().as_str(), request.trailer.as_str()), ("onetwo", "X-Count: 2\n"));
    assert_eq!(request.field("Trailer"), Some("X-Count"));
    assert_eq!(request.field("Content-Length"), None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_as_long_as_was_declared_is_an_error_and_not_a_byte_too_many_is_sent() {
    for (declared, body, sent) in
        [(10, &["hello"][..], "hello"), (5, &["hel", "lo, you"], "hel"), (0, &["hello"], ""), (3, &[], "")]
    {
        let (client, transport, mut server) = pair();
        let mut request = Request::post(URL, pieces(body)).unwrap();
        request.content_length = Some(declared);
        let (response, received) = tokio::join!(client.send(request), async {
            let mut conn = server.accept().await;
            conn.head().await;
            conn.end().await
        });
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::ContentLength, Some(Phase::Write)), "{declared}");
        assert_eq!((received.as_str(), counts(&transport)), (sent, (0, 0, 0, 0)), "{declared}");
    }
    let (client, _, server) = pair();
    let mut request = Request::post(URL, "hello").unwrap();
    request.content_length = Some(5);
    request.header.set("Content-Length", "6");
    let error = client.send(request).await.unwrap_err();
    assert_eq!((error.kind(), error.sent(), server.dials()), (ErrorKind::ContentLength, Some(Sent::No), 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_bodys_own_is_the_requests() {
    let (client, transport, mut server) = pair();
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"hel"))).unwrap();
    feed.send(Err(io::Error::other("the disk is gone"))).unwrap();
    let (response, mut conn) = tokio::join!(client.send(Request::post(URL, body).unwrap()), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn
    });
    let error = response.unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!(error.sent(), Some(Sent::Partly));
    assert_eq!(conn.end().await, "3\r\nhel\r\n", "without an end that would make it whole");
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_bodys_own_is_not_sent_again_on_another_connection() {
    let (client, _, mut server) = pair();
    let (response, mut conn) = tokio::join!(client.get(URL), async {
        let mut conn = server.accept().await;
        conn.serve(OK).await;
        conn
    });
    outcome(response).await.unwrap();
    let made = Arc::new(Mutex::new(0));
    let count = made.clone();
    let body = Body::from_fn(move || {
        *count.lock().unwrap() += 1;
        let (feed, body) = fed();
        feed.send(Err(io::Error::other("the disk is gone"))).unwrap();
        Ok(body)
    });
    let (response, ()) = tokio::join!(client.send(Request::put(URL, body.unwrap()).unwrap()), async {
        conn.head().await;
    });
    assert!(response.unwrap_err().to_string().contains("the disk is gone"));
    assert_eq!((*made.lock().unwrap(), server.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_bodys_own_ends_a_response_that_would_wait_for_the_rest() {
    for (length, expected) in [(2, true), (9, false)] {
        let (client, transport, mut server) = pair();
        let (feed, body) = fed();
        let began = Instant::now();
        let (response, mut conn) = tokio::join!(client.send(Request::post(URL, body).unwrap()), async {
            let mut conn = server.accept().await;
            conn.head().await;
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok")).await;
            conn
        });
        feed.send(Err(io::Error::other("the disk is gone"))).unwrap();
        let mut response = response.unwrap();
        match timeout(secs(5), response.text()).await.expect("it ends") {
            Ok(text) => assert!(expected && text == "ok", "what came is whole: {text}"),
            Err(error) => assert!(!expected && error.to_string().contains("the disk is gone"), "{error}"),
        }
        assert!(conn.is_closed().await, "so that the server hears of it");
        assert!(began.elapsed() < secs(1));
        assert_eq!(counts(&transport), (0, 0, 0, 0));
    }
}
