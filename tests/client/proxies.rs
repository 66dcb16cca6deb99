//! Requests through proxies: in absolute form, through a tunnel, over SOCKS, with TLS on either leg.

use std::sync::{Arc, Mutex};

use nethttp::client::{Proxy, ProxyUrl};
use nethttp::error::{Phase, Sent};
use nethttp::tls::TlsConfig;
use nethttp::{Client, Error, ErrorKind, Request, StatusCode, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;

use crate::certificates::Authority;
use crate::fake::{Conn, FakeServer, OK, URL, client_of, counts, fake, outcome};

const SECRET: &str = "http://user:secret@proxy.test:3128";
const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// A client that goes through this proxy and trusts this authority.
fn through(proxy: Proxy, authority: Option<&Authority>) -> (Client, Arc<Transport>, FakeServer) {
    let (mut transport, server) = fake();
    transport.proxy = proxy;
    if let Some(authority) = authority {
        transport.set_tls(TlsConfig::new().roots(nethttp::tls::TlsRoots::None).add_root_pem(authority.pem()).unwrap());
    }
    let (client, transport) = client_of(transport);
    (client, transport, server)
}

/// Lays the server's side of TLS over a stream.
async fn secure<S: AsyncRead + AsyncWrite + Unpin>(authority: &Authority, name: &str, stream: S) -> TlsStream<S> {
    let issued = authority.issue(&[name]);
    crate::foreign_tls::acceptor(&issued, &[]).accept(stream).await.unwrap()
}

/// Reads a head to its end.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head comes"));
    }
    String::from_utf8(head).unwrap()
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &str) -> String {
    let asked = head(stream).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    asked
}

#[tokio::test(start_paused = true)]
async fn plain_requests_go_in_absolute_form_with_the_credentials_over_one_connection() {
    let (client, transport, server) = through(Proxy::url(SECRET).unwrap(), None);
    let log = server.answer(|_| OK.into());
    for url in ["http://a.test/x?y", "http://me:too@b.test:81/"] {
        outcome(client.get(url).await).await.unwrap();
    }
    let all = log.all();
    assert_eq!(all[0].line(), "GET http://a.test/x?y HTTP/1.1");
    assert_eq!(all[1].line(), "GET http://b.test:81/ HTTP/1.1", "without user and password");
    for (request, host) in all.iter().zip(["a.test", "b.test:81"]) {
        assert_eq!((request.place.as_str(), request.conn), ("proxy.test:3128", 0));
        assert_eq!(request.field("Host"), Some(host));
        assert_eq!(request.field("Proxy-Authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    }
    assert_eq!(transport.pool_stats()[0].host, "http://proxy.test:3128");

    let mut request = Request::get(URL).unwrap();
    request.header.set("Proxy-Authorization", "Bearer own");
    outcome(client.send(request).await).await.unwrap();
    assert_eq!(log.last().field("Proxy-Authorization"), Some("Bearer own"));
    assert_eq!(log.last().head.matches("Proxy-Authorization").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_407_to_a_plain_request_is_an_answer() {
    let (client, _, server) = through(Proxy::url("proxy.test").unwrap(), None);
    let _log = server.answer(|_| "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n".into());
    assert_eq!(client.get(URL).await.unwrap().status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_alone_sees_the_credentials() {
    let authority = Authority::new("ca");
    let (mut transport, mut server) = fake();
    transport.proxy = Proxy::url(SECRET).unwrap();
    transport.proxy_connect_header.set("X-Connect", "1");
    transport.set_tls(TlsConfig::new().roots(nethttp::tls::TlsRoots::None).add_root_pem(authority.pem()).unwrap());
    let (client, transport) = client_of(transport);
    let playing = async {
        let mut conn = server.accept().await;
        assert_eq!(conn.place, "proxy.test:3128");
        let connect = conn.head().await;
        conn.send(ESTABLISHED).await;
        let mut stream = secure(&authority, "a.test", conn.stream).await;
        let first = answer(&mut stream, OK).await;
        let second = answer(&mut stream, OK).await;
        (connect, first, second, stream)
    };
    let asking = async {
        for reused in [false, true] {
            let response = client.get("https://a.test/x").await.unwrap();
            assert_eq!((response.is_reused(), response.tls.is_some()), (reused, true));
            assert_eq!(response.timings().secured.is_some(), !reused);
            outcome(Ok(response)).await.unwrap();
        }
    };
    let ((connect, first, second, _stream), ()) = tokio::join!(playing, asking);
    assert!(connect.starts_with("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"), "{connect}");
    assert!(
        connect.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n") && connect.contains("X-Connect: 1\r\n")
    );
    assert!(first.starts_with("GET /x HTTP/1.1\r\nHost: a.test\r\n"), "{first}");
    assert!(!first.contains("Proxy-") && !first.contains("X-Connect"));
    assert_eq!(first, second);
    assert_eq!(counts(&transport), (1, 0, 0, 0));
}

#[tokio::test]
async fn a_proxy_can_be_spoken_to_over_tls_and_carries_tls_inside() {
    let authority = Authority::new("ca");
    let proxy = Proxy::url("https://user:secret@proxy.test").unwrap();
    let (client, _, mut server) = through(proxy.clone(), Some(&authority));
    let (response, (asked, place)) = tokio::join!(client.get(URL), async {
        let conn = server.accept().await;
        let mut stream = secure(&authority, "proxy.test", conn.stream).await;
        (answer(&mut stream, OK).await, conn.place)
    });
    assert_eq!(place, "proxy.test:443");
    assert!(asked.starts_with("GET http://a.test/ HTTP/1.1\r\n") && asked.contains("Proxy-Authorization: Basic"));
    let response = response.unwrap();
    assert!(response.tls.is_none(), "the server's session is told of, and there is none");
    outcome(Ok(response)).await.unwrap();

    let (client, _, mut server) = through(proxy, Some(&authority));
    let (response, (connect, asked)) = tokio::join!(client.get("https://a.test/"), async {
        let conn = server.accept().await;
        let mut outer = secure(&authority, "proxy.test", conn.stream).await;
        let connect = answer(&mut outer, ESTABLISHED).await;
        let mut inner = secure(&authority, "a.test", outer).await;
        let asked = answer(&mut inner, OK).await;
        (connect, asked)
    });
    assert!(connect.starts_with("CONNECT a.test:443 "));
    assert!(asked.starts_with("GET / HTTP/1.1\r\n") && !asked.contains("Proxy-Authorization"), "{asked}");
    outcome(response).await.unwrap();
}

/// Plays a SOCKS proxy that accepts; the credentials and the target that it was given.
async fn socks(conn: &mut Conn, with_credentials: bool) -> (Vec<u8>, Vec<u8>) {
    let mut credentials = Vec::new();
    if with_credentials {
        assert_eq!(conn.take(4).await.unwrap(), [5, 2, 0, 2]);
        conn.send([5, 2]).await;
        credentials = conn.take(1 + 1 + 4 + 1 + 6).await.unwrap();
        conn.send([1, 0]).await;
    } else {
        assert_eq!(conn.take(3).await.unwrap(), [5, 1, 0]);
        conn.send([5, 0]).await;
    }
    let target = conn.take(4 + 1 + 6 + 2).await.unwrap();
    conn.send([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await;
    (credentials, target)
}

#[tokio::test(start_paused = true)]
async fn socks5_leads_to_the_name_and_requests_are_as_without_a_proxy() {
    for (url, with_credentials) in [("socks5://user:secret@proxy.test", true), ("socks5h://proxy.test:1080", false)] {
        let (client, _, mut server) = through(Proxy::url(url).unwrap(), None);
        let (response, (told, asked)) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            assert_eq!(conn.place, "proxy.test:1080");
            let told = socks(&mut conn, with_credentials).await;
            (told, conn.serve(OK).await)
        });
        assert_eq!(told.1, b"\x05\x01\x00\x03\x06a.test\x00\x50");
        assert_eq!(told.0, if with_credentials { &b"\x01\x04user\x06secret"[..] } else { b"" });
        assert_eq!(asked.line(), "GET / HTTP/1.1");
        assert_eq!(asked.field("Proxy-Authorization"), None);
        outcome(response).await.unwrap();
    }
}

#[tokio::test]
async fn tls_goes_through_socks_too() {
    let authority = Authority::new("ca");
    let (client, _, mut server) = through(Proxy::url("socks5://proxy.test").unwrap(), Some(&authority));
    let (response, asked) = tokio::join!(client.get("https://a.test/"), async {
        let mut conn = server.accept().await;
        let (_, target) = socks(&mut conn, false).await;
        assert_eq!(target, b"\x05\x01\x00\x03\x06a.test\x01\xbb");
        answer(&mut secure(&authority, "a.test", conn.stream).await, OK).await
    });
    assert!(asked.starts_with("GET / HTTP/1.1\r\n"));
    outcome(response).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_refuses_or_speaks_something_else_is_an_error_of_the_proxys() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2 << 20));
    for (answer, says) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "407 Proxy Authentication Required",
        ),
        ("HTTP/1.1 502 No route\r\n\r\n", "502 No route"),
        ("HTTP/1.1 301 R\r\nLocation: https://evil.test/\r\n\r\n", "301 R"),
        ("SSH-2.0-OpenSSH_9\r\n", "no HTTP"),
        ("HTTP/1.1 2", "closed before"),
        ("", "closed before"),
        ("HTTP/1.1 200 OK\r\n\r\nbytes of whom?", "more than its answer"),
        (&long, "no HTTP"),
    ] {
        let (client, transport, mut server) = through(Proxy::url(SECRET).unwrap(), None);
        let (response, ()) = tokio::join!(client.get("https://a.test/"), async {
            let mut conn = server.accept().await;
            conn.head().await;
            let _ = conn.stream.write_all(answer.as_bytes()).await;
        });
        let error = response.unwrap_err();
        let shown = &answer[..answer.len().min(40)];
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Proxy, Some(Phase::Proxy)), "{shown:?}: {error}");
        assert!(error.sent() == Some(Sent::No) && error.to_string().contains(says), "{shown:?}: {error}");
        assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY), "what a gateway answers");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        assert_eq!(counts(&transport), (0, 0, 0, 0));
    }
    for reply in [&[5, 0xff][..], &[4, 0], b"HTTP/1.1 400 Bad\r\n", &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], &[]] {
        let (client, _, mut server) = through(Proxy::url("socks5://proxy.test").unwrap(), None);
        let (response, ()) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.send(reply).await;
            conn.take(3).await.unwrap();
        });
        let error = response.unwrap_err();
        assert_eq!((error.phase(), error.sent()), (Some(Phase::Proxy), Some(Sent::No)), "{reply:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_sees_the_answer_to_connect_and_may_refuse_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let (mut transport, mut server) = fake();
    transport.proxy = Proxy::url("proxy.test").unwrap();
    transport.on_proxy_connect_response = Some(Arc::new(move |response| {
        told.lock().unwrap().push((response.status.as_u16(), response.header.get("X-Proxy").map(str::to_owned)));
        Err(Error::other("not this one"))
    }));
    let (client, _) = client_of(transport);
    let (response, ()) = tokio::join!(client.get("https://a.test/"), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nX-Proxy: p\r\n\r\n").await;
    });
    assert!(response.unwrap_err().to_string().contains("not this one"));
    assert_eq!(*seen.lock().unwrap(), [(200, Some("p".to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_stands_is_kept_and_the_proxy_is_asked_once() {
    let (client, transport, mut server) = through(Proxy::url("proxy.test").unwrap(), None);
    // A tunnel to a server that speaks no TLS fails in the handshake, and is not kept.
    let (response, mut conn) = tokio::join!(client.get("https://a.test/"), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send(ESTABLISHED).await;
        conn.take(5).await.unwrap();
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        conn
    });
    let error = response.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)), "{error}");
    assert!(conn.is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn variables_choose_the_proxy_of_each_request() {
    let proxy = Proxy::from_variables([
        ("HTTP_PROXY", "http://one.test:81"),
        ("HTTPS_PROXY", "http://two.test:82"),
        ("NO_PROXY", "direct.test, .internal.test"),
    ]);
    let (client, _, server) = through(proxy, None);
    let log = server.answer(|request| if request.line().starts_with("CONNECT") { String::new() } else { OK.into() });
    for (url, place) in [
        ("http://a.test/", "one.test:81"),
        ("https://a.test/", "two.test:82"),
        ("http://direct.test/", "direct.test:80"),
        ("http://x.internal.test/", "x.internal.test:80"),
        ("http://localhost/", "localhost:80"),
        ("http://127.0.0.1/", "127.0.0.1:80"),
    ] {
        let _ = client.get(url).await;
        assert_eq!(log.last().place, place, "{url}");
    }
    let (client, _, server) =
        through(Proxy::from_variables([("HTTP_PROXY", "one.test"), ("REQUEST_METHOD", "GET")]), None);
    assert!(client.get(URL).await.is_err(), "in a CGI program the variable may be the client's");
    assert_eq!(server.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_chooses_and_a_redirect_is_chosen_for_anew() {
    let proxy = Proxy::from_fn(|uri| match uri.host() {
        Some("b.test") => ProxyUrl::parse("http://me:secret@proxy.test").map(Some),
        Some("bad.test") => Err(Error::other("not today")),
        _ => Ok(None),
    });
    let (client, _, server) = through(proxy, None);
    let log = server.answer(|request| match request.line().contains("/end") {
        true => OK.into(),
        false => "HTTP/1.1 302 F\r\nLocation: http://b.test/end\r\nContent-Length: 0\r\n\r\n".into(),
    });
    outcome(client.get(URL).await).await.unwrap();
    let places: Vec<_> =
        log.all().into_iter().map(|request| (request.place.clone(), request.line().to_owned())).collect();
    assert_eq!(places[0], ("a.test:80".to_owned(), "GET / HTTP/1.1".to_owned()));
    assert_eq!(places[1], ("proxy.test:80".to_owned(), "GET http://b.test/end HTTP/1.1".to_owned()));
    assert!(client.get("http://bad.test/").await.unwrap_err().to_string().contains("not today"));
}
