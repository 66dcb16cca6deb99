//! HTTP/1.1 and HTTP/2, each on either side of the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::client::ClientProtocols;
use nethttp::net::{DialedStream, dial_fn};
use nethttp::reverse_proxy::{ReverseProxy, UpstreamServer, Upstreams, proxy_transport};
use nethttp::{Header, Method, Request, ResponseWriter, Result, StatusCode, Version, handle_with, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::fake::fake;
use crate::frames;
use crate::kit::{BOTH, Chain, Spoken, on_all_chains, plain};
use crate::wire::{Host, kept};

/// Says what it was asked.
async fn describe(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let fields: Vec<String> =
        r.header.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect();
    let content = r.body.text().await?;
    w.header().add("X-Answer", "1");
    w.header().add("X-Answer", "2");
    w.write_header(StatusCode::CREATED);
    w.write(format!("{} {} {} {:?}\n{}{content}", r.method, r.request_uri, r.host, r.proto, fields.concat())).await
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_pass_over_every_pair_of_protocols() {
    on_all_chains(describe, async |chain| {
        let mut request = Request::to(Method::PUT, &*chain.url("/%2F//x?"), "content").unwrap();
        request.header = Header::from_iter([("accept", "a/b"), ("x-twice", "1"), ("X-Twice", "2"), ("TE", "trailers")]);
        let mut response = chain.client.send(request).await.unwrap();
        assert_eq!(response.status, StatusCode::CREATED);
        assert_eq!(response.header.values("X-Answer").collect::<Vec<_>>(), ["1", "2"]);
        assert!(response.header.contains("Date"));
        let text = response.text().await.unwrap();
        let version = if chain.behind == Spoken::Http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        assert!(text.starts_with(&format!("PUT /%2F//x? u.test {version:?}\n")), "{text}");
        assert!(text.ends_with("\ncontent"), "{text}");
        let fields = text.to_ascii_lowercase();
        for line in
            ["accept: a/b\n", "x-twice: 1\n", "x-twice: 2\n", "te: trailers\n", "x-forwarded-host: example.com\n"]
        {
            assert!(fields.contains(line), "{line} in {text}");
        }
        assert!(!fields.contains("connection:") && !fields.contains("transfer-encoding:"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_crumbs_of_cookies_are_one_field_again() {
    for behind in BOTH {
        let chain = Chain::start(Spoken::Http2, behind, async |w: &mut ResponseWriter, r: &mut Request| {
            let cookies: Vec<_> = r.header.values("Cookie").collect();
            w.write(cookies.join("|")).await
        });
        let mut request = Request::get(&*chain.url("/")).unwrap();
        for crumb in ["a=1", "b=2", "c=3"] {
            request.header.add("Cookie", crumb);
        }
        let mut response = chain.client.send(request).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "a=1; b=2; c=3", "{behind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_streams_share_the_connections_of_both_sides() {
    let chain = Chain::start(Spoken::Http2, Spoken::Http2, describe);
    let asked = (0..50).map(|number| {
        let (client, url) = (chain.client.clone(), chain.url(&format!("/{number}")));
        tokio::spawn(async move { client.get(&*url).await.unwrap().text().await.unwrap() })
    });
    for (number, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
        assert!(asked.await.unwrap().starts_with(&format!("GET /{number} ")));
    }
    assert_eq!((chain.front.server().connections(), chain.back.server().connections()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_clients_host_is_preserved_over_both() {
    for before in BOTH {
        for behind in BOTH {
            let chain = Chain::with(before, behind, describe, ReverseProxy::preserve_host);
            let mut response = chain.client.get(&*chain.url("/")).await.unwrap();
            assert!(response.text().await.unwrap().starts_with("GET / example.com "), "{before:?} to {behind:?}");
        }
    }
}

/// What an upstream does with the first request of its first connection.
#[derive(Clone, Copy, Debug)]
enum FirstRequest {
    Refused,
    /// It is answered, and the connection takes no other.
    Last,
}

/// Answers with the content, but for the first request of the connection with the number 0.
async fn serve_http2(stream: DuplexStream, number: usize, first: FirstRequest) {
    let mut conn = h2::server::handshake(stream).await.unwrap();
    let mut is_first = number == 0;
    while let Some(Ok((request, mut respond))) = conn.accept().await {
        if std::mem::take(&mut is_first) {
            match first {
                FirstRequest::Refused => {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    continue;
                }
                FirstRequest::Last => conn.graceful_shutdown(),
            }
        }
        tokio::spawn(async move {
            let (mut body, mut content) = (request.into_body(), Vec::new());
            while let Some(Ok(data)) = body.data().await {
                content.extend_from_slice(&data);
            }
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(content.into(), true).unwrap();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn refused_streams_and_goaway_of_an_upstream_are_survived() {
    for first in [FirstRequest::Refused, FirstRequest::Last] {
        let dialed = Arc::new(AtomicUsize::new(0));
        let mut transport = proxy_transport();
        transport.protocols = ClientProtocols::Http2;
        transport.dial = Arc::new(dial_fn(move |_, _| {
            let (ours, theirs) = duplex(64 * 1024);
            tokio::spawn(serve_http2(theirs, dialed.fetch_add(1, Ordering::Relaxed), first));
            async { Ok(DialedStream::new(ours)) }
        }));
        let host = Host::new(ReverseProxy::to("http://u.test").unwrap().transport(transport));
        let mut client = host.connect();
        let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        for _ in 0..3 {
            let answer = client.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
            assert_eq!(answer, kept(expected), "{first:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_field_beside_another_authority_never_makes_two() {
    for behind in BOTH {
        let chain = Chain::with(Spoken::Http2, behind, describe, ReverseProxy::preserve_host);
        let stream = chain.front.dialer().unwrap().dial().await.unwrap();
        let (mut client, conn) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(conn);
        let request = http::Request::get("http://a.test/").header("host", "b.test").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        if response.status() == StatusCode::CREATED {
            let mut body = response.into_body();
            let text = body.data().await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
            assert!(text.starts_with("get / a.test ") && !text.contains("b.test"), "{behind:?}: {text}");
        } else {
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        }
    }
}

/// A request of HTTP/2 with these pseudo-fields, as literal fields without indexing.
fn odd_request(stream: u32, method: &str, path: &str) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h")];
    let field = |(name, value): (&str, &str)| {
        [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    frames::frame(frames::HEADERS, 5, stream, &fields.into_iter().flat_map(field).collect::<Vec<u8>>())
}

#[tokio::test(start_paused = true)]
async fn no_odd_path_or_method_of_http2_reaches_a_request_line() {
    let (transport, mut upstream) = fake();
    let proxy = ReverseProxy::to("http://u.test").unwrap().transport(plain(&transport));
    let front = testing::Server::builder(proxy).in_memory().http2().start();
    let paths = ["/p?a b", "/p q", "/p\r\nX: 1", "/p\n", "/p\0", "/p\tx", "p", "*", "", "/p#f", "http://x/", "/\u{7f}"];
    let methods = ["GE T", "GET\r\n", "", "G\0T", "GET / HTTP/1.1\r\nX: 1\r\n\r\nGET"];
    let odd = paths.into_iter().map(|path| ("GET", path)).chain(methods.into_iter().map(|method| (method, "/")));
    for (method, path) in odd {
        let mut peer = frames::RawPeer::dial(front.dialer().unwrap(), &[]).await;
        peer.send(&odd_request(1, method, path)).await;
        // Refused by an answer, or as what it is: malformed.
        loop {
            let frame = peer.frame().await.expect("the connection lives");
            match frame.kind {
                frames::HEADERS => assert_eq!(frame.payload[0], 0x8c, "400 to {method:?} {path:?}"),
                frames::RST_STREAM => {}
                _ => continue,
            }
            break;
        }
        assert!(upstream.try_accept().is_none(), "{method:?} {path:?}");
    }
    // One that is only unusual passes.
    let mut peer = frames::RawPeer::dial(front.dialer().unwrap(), &[]).await;
    peer.send(&odd_request(1, "M-SEARCH", "//p/../%2F?")).await;
    assert!(upstream.accept().await.head().await.starts_with("M-SEARCH //p/../%2F? HTTP/1.1\r\n"));
}

/// Takes the settings, and answers each head with this frame: one for its stream, or for the connection.
async fn answer_with(mut stream: DuplexStream, mut answer: Vec<u8>) {
    stream.write_all(&frames::frame(frames::SETTINGS, 0, 0, b"")).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == frames::HEADERS {
            if answer[3] == frames::RST_STREAM {
                answer[5..9].copy_from_slice(&head[5..9]);
            }
            stream.write_all(&answer).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_an_upstream_of_http2_has_not_processed_goes_to_another_one() {
    let goaway = frames::frame(frames::GOAWAY, 0, 0, &[0; 8]);
    let refused = frames::frame(frames::RST_STREAM, 0, 1, &7_u32.to_be_bytes());
    // Cancelled is not refused: it may have run.
    let cancelled = frames::frame(frames::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    for (answer, status) in [(goaway, 200), (refused, 200), (cancelled, 502)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let echo = async |asked: &Arc<AtomicUsize>, w: &mut ResponseWriter, r: &mut Request| {
            asked.fetch_add(1, Ordering::Relaxed);
            let content = r.body.text().await?;
            w.write(content).await
        };
        let back = testing::Server::builder(handle_with(asked.clone(), echo));
        let back = back.in_memory().http2().start();
        let dialer = back.dialer().unwrap().clone();
        let mut transport = proxy_transport();
        transport.protocols = ClientProtocols::Http2;
        transport.dial = Arc::new(dial_fn(move |host, _| {
            let (dialer, answer, is_bad) = (dialer.clone(), answer.clone(), host == "127.0.0.1");
            async move {
                if is_bad {
                    let (ours, theirs) = duplex(64 * 1024);
                    tokio::spawn(answer_with(theirs, answer));
                    return Ok(DialedStream::new(ours));
                }
                dialer.dial().await.map(DialedStream::new)
            }
        }));
        let servers = ["http://127.0.0.1:8001", "http://127.0.0.2:8001"].map(|url| UpstreamServer::new(url).unwrap());
        let upstreams = Upstreams::new(servers).transport(transport);
        let host = Host::new(ReverseProxy::new(upstreams));
        let mut client = host.connect();
        let mut heard = client.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
        // The transport asks the same server six times more, with pauses of some seconds in all, before the proxy
        // goes elsewhere.
        for _ in 0..100 {
            if heard.text.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                heard = client.hear().await;
            }
        }
        assert!(heard.text.starts_with(&format!("HTTP/1.1 {status} ")), "{heard:?}");
        let is_answered = status == 200;
        assert_eq!((heard.text.ends_with("hello"), asked.load(Ordering::Relaxed)), (is_answered, is_answered as usize));
    }
}
