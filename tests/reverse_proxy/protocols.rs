//! HTTP/1.1 and HTTP/2, each on either side of the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::client::ClientProtocols;
use nethttp::net::{DialedStream, dial_fn};
use nethttp::reverse_proxy::{ReverseProxy, proxy_transport};
use nethttp::{Header, Method, Request, ResponseWriter, Result, StatusCode, Version};
use tokio::io::{DuplexStream, duplex};

use crate::kit::{BOTH, Chain, Spoken, on_all_chains};
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
