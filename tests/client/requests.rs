//! Which parts of a request are sent, in which form, and which never are; what a trace gets.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::client::default_client;
use nethttp::error::Sent;
use nethttp::net::{Addr, FixedResolver, Resolved, TcpDialer};
use nethttp::trace::{ClientTrace, GotConn};
use nethttp::{Body, ErrorKind, Header, Method, Request, Result, StatusCode, Transport, Uri};

use crate::fake::{FakeServer, OK, URL, client_of, fake, millis, outcome, pair};

/// Every way in which a line could end where it must not.
const EVIL: [&str; 6] = ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\0b", "\r\n\r\nGET /evil", "a\u{7f}"];

/// Sends what must be refused, and asserts that nothing was dialled.
async fn refused(request: Request, what: &str) {
    let (client, _, mut server): (_, _, FakeServer) = pair();
    let error = client.send(request).await.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
    assert!(matches!(error.sent(), Some(Sent::No) | None), "{what}");
    assert!(server.try_accept().is_none(), "{what}");
    assert!(!error.to_string().contains("Evil") || !error.to_string().contains('\n'), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_could_end_a_line_is_refused_before_anything_is_sent() {
    for evil in EVIL {
        let get = || Request::get(URL).unwrap();
        let mut request = get();
        request.header.set("X", evil);
        refused(request, &format!("value {evil:?}")).await;
        let mut request = get();
        request.header.set(evil, "1");
        refused(request, &format!("name {evil:?}")).await;
        let mut request = get();
        request.host = evil.into();
        refused(request, &format!("host {evil:?}")).await;
        let mut request = Request::post(URL, "x").unwrap();
        request.trailer.set("X-T", evil);
        refused(request, &format!("trailer {evil:?}")).await;
        assert!(Request::get(&*format!("http://a.test/{evil}")).is_err(), "path {evil:?}");
        assert!(Request::get(&*format!("http://{evil}/")).is_err(), "authority {evil:?}");
        assert!(evil.parse::<Method>().is_err(), "method {evil:?}");
    }
    for name in ["", " ", "a b", "a:", "(", "é"] {
        let mut request = Request::get(URL).unwrap();
        request.header.set(name, "1");
        refused(request, &format!("name {name:?}")).await;
    }
    for host in ["a.test/x", "a b", "user@a.test", "a.test:x", "a.test, b.test", "[::1"] {
        let mut request = Request::get(URL).unwrap();
        request.host = host.into();
        refused(request, &format!("host {host:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_url_of_http_is_refused() {
    let bad = ["a.test", "/x", "", "ftp://a.test/", "http://", "http:///x", "http://a.test:99999/", "http://a b/"];
    for url in bad {
        let (client, _, server) = pair();
        assert_eq!(client.get(url).await.unwrap_err().kind(), ErrorKind::Invalid, "{url}");
        assert_eq!(server.dials(), 0);
    }
    for uri in ["/x", "ftp://a.test/", "*"] {
        refused(Request::new(Method::GET, Uri::from_static(uri), Body::empty()), uri).await;
    }
}

/// The head of this request as it goes out.
async fn head(request: Request) -> String {
    head_from(fake(), request).await
}

async fn head_from((transport, server): (Transport, FakeServer), request: Request) -> String {
    let (client, _) = client_of(transport);
    let log = server.answer(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into());
    client.send(request).await.unwrap();
    log.last().head
}

#[tokio::test(start_paused = true)]
async fn fields_keep_their_order_and_spelling_behind_the_host() {
    let mut request = Request::get("http://a.test/x?y=1").unwrap();
    for (name, value) in
        [("x-LOWER", "1"), ("ACCEPT", "a"), ("x-lower", "2"), ("Accept-Encoding", "z"), ("User-Agent", "me")]
    {
        request.header.add(name, value);
    }
    let expected = "GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nx-LOWER: 1\r\nACCEPT: a\r\nx-lower: 2\r\nAccept-Encoding: z\r\nUser-Agent: me\r\n\r\n";
    assert_eq!(head(request).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_caller_cannot_say_how_long_the_content_is_or_what_the_framing_is() {
    let mut request = Request::post(URL, "hello").unwrap();
    request.header.set("Transfer-Encoding", "chunked");
    request.header.set("Content-Length", "5");
    request.header.set("Host", "evil.test");
    let (client, _, server) = pair();
    let log = server.answer(|_| OK.into());
    match client.send(request).await {
        Err(error) => assert_eq!((error.kind(), log.all().len()), (ErrorKind::Invalid, 0)),
        Ok(_) => {
            let head = log.last().head;
            assert_eq!(head.matches("Content-Length: 5\r\n").count(), 1, "{head}");
            assert!(!head.contains("Transfer-Encoding") && !head.contains("evil.test"), "{head}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_is_the_urls_without_its_own_port_or_the_callers() {
    for (url, host) in [
        ("http://a.test/", "a.test"),
        ("http://A.TEST:80/", "a.test"),
        ("http://a.test:8080/", "a.test:8080"),
        ("http://[::1]:80/", "[::1]"),
        ("http://[::1]:81/", "[::1]:81"),
        ("http://[fe80::1%25eth0]/", "[fe80::1]"),
        ("http://[fe80::1%25eth0]:81/", "[fe80::1]:81"),
        ("http://user:secret@a.test/", "a.test"),
        ("http://Bücher.test/", "xn--bcher-kva.test"),
    ] {
        let text = head(Request::get(url).unwrap()).await;
        assert_eq!(text.lines().nth(1), Some(&*format!("Host: {host}")), "{url}");
    }
    let mut request = Request::get(URL).unwrap();
    request.host = "mine.test:81".into();
    assert_eq!(head(request).await.lines().nth(1), Some("Host: mine.test:81"));
}

#[tokio::test(start_paused = true)]
async fn a_user_agent_is_the_requests_or_the_transports_and_an_empty_one_is_none() {
    let agent = |text: &str| text.lines().find_map(|line| line.strip_prefix("User-Agent: ").map(str::to_owned));
    let ours = concat!("nethttp/", env!("CARGO_PKG_VERSION"));
    assert_eq!(agent(&head(Request::get(URL).unwrap()).await), Some(ours.to_owned()));
    for (transports, requests, expected) in [
        ("mine/1", None, Some("mine/1")),
        ("", None, None),
        ("mine/1", Some("own"), Some("own")),
        ("mine/1", Some(""), None),
    ] {
        let (mut transport, server) = fake();
        transport.user_agent = transports.into();
        let mut request = Request::get(URL).unwrap();
        if let Some(own) = requests {
            request.header.set("User-Agent", own);
        }
        let text = head_from((transport, server), request).await;
        assert_eq!(agent(&text).as_deref(), expected);
        assert_eq!(text.contains("User-Agent"), expected.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_of_a_url_become_basic_and_the_callers_own_come_first() {
    let field = |text: &str| text.lines().find_map(|line| line.strip_prefix("Authorization: ").map(str::to_owned));
    let url = "http://us%40er:p%3Ass@a.test/";
    // us@er:p:ss
    assert_eq!(field(&head(Request::get(url).unwrap()).await).unwrap(), "Basic dXNAZXI6cDpzcw==");
    assert_eq!(field(&head(Request::get("http://user@a.test/").unwrap()).await).unwrap(), "Basic dXNlcjo=");
    let mut request = Request::get(url).unwrap();
    request.header.set("Authorization", "Bearer x");
    assert_eq!(field(&head(request).await).unwrap(), "Bearer x");
    let by_hand = head(Request::new(Method::GET, Uri::from_static("http://user@a.test/"), Body::empty())).await;
    assert_eq!(field(&by_hand).unwrap(), "Basic dXNlcjo=");
    assert!(by_hand.contains("Host: a.test\r\n"), "{by_hand}");
}

#[tokio::test(start_paused = true)]
async fn errors_never_show_a_password() {
    let (transport, mut server) = fake();
    let (client, _) = client_of(transport);
    let (response, ()) = tokio::join!(client.get("http://user:secret@a.test/x"), async {
        server.accept().await.request().await;
    });
    let error = response.unwrap_err();
    assert_eq!(error.url(), Some("http://a.test/x"));
    for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!text.contains("secret") && !text.contains("user"), "{text}");
    }
    for url in
        ["http://user:secret@a.test:x/", "http://user:secret@/", "ftp://user:secret@a.test/", "http://user:secret@a b/"]
    {
        let error = client.get(url).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn content_is_announced_where_the_method_expects_some() {
    for (method, body, framing) in [
        ("GET", Body::empty(), None),
        ("POST", Body::empty(), Some("Content-Length: 0")),
        ("PUT", Body::from("abc"), Some("Content-Length: 3")),
        ("GET", Body::from("abc"), Some("Content-Length: 3")),
        ("DELETE", crate::fake::pieces(&["abc"]), Some("Transfer-Encoding: chunked")),
    ] {
        let text = head(Request::to(method.parse::<Method>().unwrap(), URL, body).unwrap()).await;
        let said: Vec<&str> =
            text.lines().filter(|line| line.starts_with("Content-L") || line.starts_with("Tr")).collect();
        assert_eq!(said, framing.into_iter().collect::<Vec<_>>(), "{method}");
    }
    let error = pair().0.send(Request::to(Method::TRACE, URL, "x").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyNotAllowed);
}

/// All that it is told, a word for each.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, word: impl Into<String>) {
        self.0.lock().unwrap().push(word.into());
    }

    fn line(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

impl ClientTrace for Told {
    fn get_conn(&self, host_port: &str) {
        self.note(format!("get:{host_port}"));
    }
    fn got_conn(&self, conn: &GotConn) {
        self.note(format!("got:{}:{}", conn.reused, conn.idle.is_some()));
    }
    fn put_idle_conn(&self, kept: bool) {
        self.note(format!("put:{kept}"));
    }
    fn dns_start(&self, host: &str) {
        self.note(format!("dns:{host}"));
    }
    fn dns_done(&self, _: &str, result: Result<&Resolved, &io::Error>) {
        self.note(format!("resolved:{}", result.is_ok()));
    }
    fn connect_start(&self, _: &Addr) {
        self.note("connect");
    }
    fn connect_done(&self, _: &Addr, result: Result<(), &io::Error>) {
        self.note(format!("connected:{}", result.is_ok()));
    }
    fn wrote_headers(&self) {
        self.note("head");
    }
    fn wait_100_continue(&self) {
        self.note("wait");
    }
    fn got_100_continue(&self) {
        self.note("100");
    }
    fn wrote_request(&self, result: &Result<()>) {
        self.note(format!("wrote:{}", result.is_ok()));
    }
    fn got_first_response_byte(&self) {
        self.note("first");
    }
    fn got_1xx_response(&self, status: StatusCode, _: &Header) -> Result<()> {
        self.note(format!("1xx:{status}"));
        Ok(())
    }
}

#[tokio::test]
async fn a_trace_gets_each_step_in_order_on_a_new_connection_and_on_a_reused_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        while tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await.is_ok_and(|read| read > 0) {
            tokio::io::AsyncWriteExt::write_all(&mut stream, OK.as_bytes()).await.unwrap();
        }
    });
    let mut transport = Transport::new();
    transport.proxy = nethttp::client::Proxy::none();
    transport.dial = Arc::new(TcpDialer::new().with_resolver(FixedResolver::only().with_addrs("a.test", 80, [place])));
    let (client, _) = client_of(transport);
    let told = Arc::new(Told::default());
    for expected in [
        "get:a.test:80 dns:a.test resolved:true connect connected:true got:false:false head wrote:true first put:true",
        "get:a.test:80 got:true:true head wrote:true first put:true",
    ] {
        let mut request = Request::get(URL).unwrap();
        request.set_trace(told.clone());
        let mut response = client.send(request).await.unwrap();
        response.text().await.unwrap();
        assert_eq!(told.line(), expected);
        let timings = response.timings();
        let steps =
            [timings.got_connection, timings.wrote_head, timings.wrote_request, timings.first_byte, timings.head];
        assert!(steps.iter().all(Option::is_some) && steps.is_sorted(), "{timings:?}");
        assert_eq!(timings.connected.is_some(), !response.is_reused());
        assert!(timings.resolved <= timings.connected && timings.secured.is_none(), "{timings:?}");
        assert_eq!(response.remote_addr(), Some(&Addr::Tcp(place)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_gets_100_continue() {
    let (client, _, mut server) = pair();
    let told = Arc::new(Told::default());
    let mut request = Request::post(URL, "hello").unwrap();
    request.header.set("Expect", "100-continue");
    request.set_trace(told.clone());
    let (response, ()) = tokio::join!(client.send(request), async {
        let mut conn = server.accept().await;
        conn.head().await;
        tokio::time::sleep(millis(5)).await;
        conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        conn.take(5).await.unwrap();
        tokio::time::sleep(millis(5)).await;
        conn.send(OK).await;
    });
    let response = response.unwrap();
    assert_eq!(told.line(), "get:a.test:80 got:false:false head wait first 1xx:100 Continue 100 wrote:true put:true");
    let timings = response.timings();
    assert_eq!(timings.wrote_head, Some(Duration::ZERO));
    assert_eq!((timings.first_byte, timings.wrote_request), (Some(millis(5)), Some(millis(5))));
    assert_eq!(timings.head, Some(millis(10)));
}

#[test]
fn the_default_client_serves_on_one_runtime_after_the_other() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while io::Read::read(&mut stream, &mut buffer).is_ok_and(|read| read > 0) {
                    io::Write::write_all(&mut stream, OK.as_bytes()).unwrap();
                }
            });
        }
    });
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for reused in [false, true] {
                let mut response = default_client().get(&*url).await.unwrap();
                assert_eq!(response.is_reused(), reused, "a connection is of use on its own runtime alone");
                assert_eq!(
                    outcome(Ok(std::mem::replace(&mut response, nethttp::Response::new("")))).await.unwrap().1,
                    "ok"
                );
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_gets_the_error_of_a_request_that_could_not_be_written() {
    let (client, _, mut server) = pair();
    let told = Arc::new(Told::default());
    let (feed, body) = crate::fake::fed();
    feed.send(Err(io::Error::other("the disk is gone"))).unwrap();
    let mut request = Request::post(URL, body).unwrap();
    request.set_trace(told.clone());
    let (response, _conn) = tokio::join!(client.send(request), server.accept());
    assert!(response.is_err());
    assert_eq!(told.line(), "get:a.test:80 got:false:false head wrote:false");
}

#[tokio::test(start_paused = true)]
async fn a_request_can_ask_for_its_connection_to_be_closed() {
    for by_field in [false, true] {
        let (client, transport, server) = pair();
        let log = server.answer(|_| OK.into());
        let mut request = Request::get(URL).unwrap();
        if by_field {
            request.header.set("Connection", "close");
        } else {
            request.close = true;
        }
        outcome(client.send(request).await).await.unwrap();
        assert_eq!(log.last().head.matches("Connection: close\r\n").count(), 1);
        assert_eq!(crate::fake::counts(&transport), (0, 0, 0, 0));
    }
}

#[cfg(feature = "gzip")]
#[tokio::test(start_paused = true)]
async fn codings_are_asked_for_where_the_caller_says_nothing_of_codings_or_parts() {
    let asked = |text: &str| text.lines().find_map(|line| line.strip_prefix("Accept-Encoding: ").map(str::to_owned));
    let get = || Request::get(URL).unwrap();
    assert!(asked(&head(get()).await).is_some_and(|codings| codings.starts_with("gzip")));
    assert_eq!(asked(&head(get().with_header("Accept-Encoding", "own")).await).as_deref(), Some("own"));
    assert_eq!(asked(&head(get().with_header("Range", "bytes=0-1")).await), None);
    assert_eq!(asked(&head(Request::head(URL).unwrap()).await), None);
    let (mut transport, server) = fake();
    transport.disable_compression = true;
    assert_eq!(asked(&head_from((transport, server), get()).await), None);
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_zone_is_dialled_and_each_zone_has_connections_of_its_own() {
    let (client, _, server) = pair();
    let log = server.answer(|_| OK.into());
    for (url, place, conn) in [
        ("http://[fe80::1%25Eth0]/", "fe80::1%Eth0:80", 0),
        ("http://[fe80::1%25Eth0]/x", "fe80::1%Eth0:80", 0),
        ("http://[fe80::1%25eth0]/", "fe80::1%eth0:80", 1),
        ("http://[fe80::1]/", "fe80::1:80", 2),
    ] {
        outcome(client.get(url).await).await.unwrap();
        let last = log.last();
        assert_eq!((last.place.as_str(), last.conn, last.field("Host")), (place, conn, Some("[fe80::1]")), "{url}");
    }
    let mut transport = Transport::new();
    transport.proxy = nethttp::client::Proxy::url("proxy.test").unwrap();
    let error = client_of(transport).0.get("http://[fe80::1%25eth0]/").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Invalid, Some(Sent::No)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_for_a_proxy_are_not_shown_to_a_server() {
    let mut request = Request::get(URL).unwrap();
    request.header.set("Proxy-Authorization", "Basic c2VjcmV0");
    request.header.set("X-Kept", "1");
    let text = head(request).await;
    assert!(!text.contains("c2VjcmV0") && text.contains("X-Kept: 1\r\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn text_is_read_in_its_charset() {
    for (content_type, content, expected) in [
        ("text/plain", "caf\u{e9}".as_bytes(), Ok("caf\u{e9}")),
        ("text/plain", b"\xef\xbb\xbfcaf\xc3\xa9", Ok("caf\u{e9}")),
        ("text/html; charset=iso-8859-1", b"caf\xe9", Ok("caf\u{e9}")),
        ("text/plain; charset=utf-16", b"a\0\xe9\0", Ok("a\u{e9}")),
        ("text/plain", b"caf\xe9", Err(ErrorKind::Malformed)),
        ("text/plain; charset=klingon", b"caf", Err(ErrorKind::Unsupported)),
    ] {
        let (client, _, mut server) = pair();
        let (response, ()) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.request().await;
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", content.len());
            conn.send([head.as_bytes(), content].concat()).await;
        });
        let text = response.unwrap().text().await.map_err(|error| error.kind());
        assert_eq!(text, expected.map(str::to_owned), "{content_type}");
    }
}
