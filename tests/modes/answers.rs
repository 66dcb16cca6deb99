//! Heads: statuses, fields, what both sides know of each other.

use std::sync::{Arc, Mutex};

use nethttp::error::Phase;
use nethttp::tls::{TlsInfo, TlsVersion};
use nethttp::trace::ClientTrace;
use nethttp::{ErrorKind, Header, Method, Request, ResponseWriter, Result, ServeMux, StatusCode};

use crate::fake::fed;
use crate::site::{Site, in_all_modes, on_all_sites, whole};
use crate::support::{echo, hello, millis, secs};

#[tokio::test(start_paused = true)]
async fn a_plain_answer_has_length_type_and_date_and_no_field_of_a_connection() {
    on_all_sites(hello, async |site| {
        for reused in [false, true] {
            let mut response = site.get("/").await.unwrap();
            assert_eq!((response.status.as_u16(), response.proto), (200, site.mode.version()));
            assert_eq!((response.content_length, response.is_reused()), (Some(5), reused));
            assert_eq!(response.header.get("Content-Type"), Some("text/plain; charset=utf-8"));
            assert_eq!(response.header.get("Content-Length"), Some("5"));
            assert!(response.header.contains("Date"));
            assert_eq!(response.header.len(), 3, "{:?}", response.header);
            assert_eq!(response.text().await.unwrap(), "hello");
            assert_eq!(response.remote_addr().unwrap().to_string().split(':').next(), Some("a.test"));
            assert_eq!(response.url().unwrap().to_string(), site.url("/"));
        }
        assert!(site.events().await.is_empty());
    })
    .await;
}

/// What a request is, in one line.
async fn facts(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let tls = r.tls.as_deref().map_or("in the clear".to_owned(), session);
    let length = r.content_length.map_or(-1, |length| i64::try_from(length).unwrap());
    w.write(format!("{:?} {} {} {} {length} {tls}", r.proto, r.method, r.request_uri, r.host)).await
}

fn session(tls: &TlsInfo) -> String {
    assert_eq!(tls.version, TlsVersion::Tls13);
    let alpn = tls.alpn.as_deref().map(|name| String::from_utf8_lossy(name).into_owned());
    format!("{} {:?}", tls.cipher_suite, alpn.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn both_sides_know_the_protocol_and_the_session() {
    on_all_sites(facts, async |site| {
        let mut response = site.post("/a%20b?c=d", "12345").await.unwrap();
        let tls = response.tls.as_deref().map_or("in the clear".to_owned(), session);
        let proto = if site.mode.is_http2() { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!(response.text().await.unwrap(), format!("{proto} POST /a%20b?c=d a.test 5 {tls}"));
        assert_eq!(response.tls.is_some(), site.mode.is_secure());
        if let Some(tls) = &response.tls {
            let alpn: &[u8] = if site.mode.is_http2() { b"h2" } else { b"http/1.1" };
            assert_eq!((tls.alpn.as_deref(), tls.peer_certificates.len()), (Some(alpn), 1));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_a_length_and_no_content() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/large" { w.write(vec![b'x'; 100_000]).await } else { w.write("hello").await }
    };
    on_all_sites(handler, async |site| {
        for (path, length) in [("/", Some(5)), ("/large", None)] {
            let mut response = site.client.head(&*site.url(path)).await.unwrap();
            assert_eq!((response.status.as_u16(), response.content_length), (200, length));
            assert_eq!(response.text().await.unwrap(), "");
        }
        assert_eq!(site.ask("/").await, (200, "hello".into()));
        assert_eq!(site.states.all().iter().filter(|(info, _)| info.id > 1).count(), 0, "one connection");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn statuses_without_content_have_none_and_keep_the_connection() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.write_header(StatusCode::from_u16(r.path()[1..].parse().unwrap()).unwrap());
        match w.write("content").await {
            Err(error) if error.kind() == ErrorKind::BodyNotAllowed => Ok(()),
            other => other,
        }
    };
    on_all_sites(handler, async |site| {
        for (status, content) in
            [(204, ""), (304, ""), (200, "content"), (404, "content"), (500, "content"), (799, "content")]
        {
            assert_eq!(site.ask(&format!("/{status}")).await, (status, content.to_owned()));
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fields_arrive_in_order_with_all_their_values() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        for value in ["1", "", "3, 4"] {
            w.header().add("X-Many", value);
        }
        w.header().add("X-Bytes", b"\xe9t\xe9");
        let sent: Vec<&[u8]> = r.header.values_bytes("X-Sent").collect();
        w.write(sent.join(&b'|')).await
    };
    on_all_sites(handler, async |site| {
        let mut request = site.request(Method::GET, "/", ());
        for value in [&b"a"[..], b"", b"b, c", b"\xff"] {
            request.header.add("x-sent", value);
        }
        let mut response = site.client.send(request).await.unwrap();
        assert_eq!(response.header.values("X-Many").collect::<Vec<_>>(), ["1", "", "3, 4"]);
        assert_eq!(response.header.values_bytes("x-bytes").collect::<Vec<_>>(), [b"\xe9t\xe9"]);
        assert_eq!(response.bytes().await.unwrap(), &b"a||b, c|\xff"[..]);
    })
    .await;
}

#[derive(Default)]
struct Interim(Mutex<Vec<(u16, Option<String>)>>);

impl ClientTrace for Interim {
    fn got_1xx_response(&self, status: StatusCode, header: &Header) -> Result<()> {
        self.0.lock().unwrap().push((status.as_u16(), header.get("Link").map(str::to_owned)));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn informational_answers_come_before_the_final_one() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.send_informational(StatusCode::PROCESSING).await?;
        w.header().set("Link", "</a>");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        w.header().del("Link");
        w.write("done").await
    };
    on_all_sites(handler, async |site| {
        let (mut request, interim) = (site.request(Method::GET, "/", ()), Arc::new(Interim::default()));
        request.set_trace(interim.clone());
        let mut response = site.client.send(request).await.unwrap();
        assert_eq!((response.header.get("Link"), response.status.as_u16()), (None, 200));
        assert_eq!(response.text().await.unwrap(), "done");
        assert_eq!(*interim.0.lock().unwrap(), [(102, None), (103, Some("</a>".into()))]);
        assert_eq!(site.ask("/").await, (200, "done".into()));
    })
    .await;
}

// ------------------------------------------------------------ Expect: 100-continue

#[tokio::test(start_paused = true)]
async fn content_that_is_expected_is_sent_when_the_handler_reads() {
    on_all_sites(echo, async |site| {
        let began = tokio::time::Instant::now();
        for _ in 0..2 {
            let (mut request, interim) = (site.request(Method::PUT, "/", "content"), Arc::new(Interim::default()));
            request.header.set("Expect", "100-continue");
            request.set_trace(interim.clone());
            assert_eq!(whole(site.client.send(request).await).await, (200, "content".into()));
            assert_eq!(*interim.0.lock().unwrap(), [(100, None)]);
        }
        assert!(began.elapsed() < millis(500), "nobody waited: {:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_that_is_refused_is_never_sent() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/refuse" {
            w.write_header(StatusCode::PAYLOAD_TOO_LARGE);
        }
        w.write("answered").await
    };
    on_all_sites(handler, async |site| {
        let (feed, body) = fed();
        feed.send(Ok("content".into())).unwrap();
        let mut request = site.request(Method::PUT, "/refuse", body);
        request.header.set("Expect", "100-continue");
        assert_eq!(whole(site.client.send(request).await).await, (413, "answered".into()));
        assert!(feed.is_closed(), "the body was let go");
        site.assert_lives("/").await;
        assert!(site.events().await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_is_sent_anyway_when_the_server_takes_its_time() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        tokio::time::sleep(secs(5)).await;
        echo(w, r).await
    };
    on_all_sites(handler, async |site| {
        let mut request = site.request(Method::PUT, "/", "content");
        request.header.set("Expect", "100-continue");
        let began = tokio::time::Instant::now();
        assert_eq!(whole(site.client.send(request).await).await, (200, "content".into()));
        assert_eq!(began.elapsed().as_secs(), 5);
        site.assert_lives("/").await;
    })
    .await;
}

// ------------------------------------------------------------ handlers that fail

fn failing() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/ok", hello);
    mux.handle("/error", async |_: &mut ResponseWriter, _: &mut Request| Err(nethttp::Error::other("secret")));
    mux.handle("/conflict", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(nethttp::Error::answer(StatusCode::CONFLICT, "that name is taken"))
    });
    mux.handle("/panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("at once") });
    mux.handle("/abort", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("partial").await?;
        w.flush().await?;
        nethttp::server::abort()
    });
    mux
}

/// Sets fields as a middleware around it would, and of its own, and then ends as its path says.
async fn fail_behind_fields(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    for (name, value) in [("Access-Control-Allow-Origin", "*"), ("X-Request-Id", "7"), ("Set-Cookie", "a=1")] {
        w.header().add(name, value);
    }
    w.header().set("WWW-Authenticate", "Basic");
    w.header().set("Content-Type", "image/png");
    w.header().set("Content-Encoding", "br");
    w.header().set("ETag", "\"1\"");
    w.header().set("Cache-Control", "max-age=3600");
    w.before_head(|_, header| header.set("Strict-Transport-Security", "max-age=1"));
    w.write("a part").await?;
    match r.escaped_path() {
        "/error" => Err(nethttp::Error::answer(StatusCode::UNAUTHORIZED, "who are you?")),
        "/reset" => {
            assert!(w.reset());
            w.write_header(StatusCode::UNAUTHORIZED);
            w.write("who are you?").await
        }
        _ => panic!("at once"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_replaces_a_response_keeps_the_fields_that_are_not_about_its_content() {
    on_all_sites(fail_behind_fields, async |site| {
        for (path, status, content) in [
            ("/error", 401, "who are you?"),
            ("/reset", 401, "who are you?"),
            ("/panic", 500, "500 Internal Server Error\n"),
        ] {
            let mut response = site.get(path).await.unwrap();
            assert_eq!(response.status.as_u16(), status, "{path}");
            for name in ["Access-Control-Allow-Origin", "X-Request-Id", "Set-Cookie", "WWW-Authenticate"] {
                assert!(response.header.contains(name), "{path} {name}");
            }
            assert_eq!(response.header.get("Strict-Transport-Security"), Some("max-age=1"));
            assert_eq!(response.header.get("Content-Type"), Some("text/plain; charset=utf-8"));
            for name in ["Content-Encoding", "ETag", "Cache-Control"] {
                assert!(!response.header.contains(name), "{path} {name}");
            }
            assert_eq!(response.text().await.unwrap(), content);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_left_is_not_reset() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("X-Set", "1");
        w.write("begun").await?;
        w.flush().await?;
        assert!(!w.reset());
        w.write(" and done").await
    };
    on_all_sites(handler, async |site| {
        let mut response = site.get("/").await.unwrap();
        assert_eq!(response.header.get("X-Set"), Some("1"));
        assert_eq!(response.text().await.unwrap(), "begun and done");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_is_answered_for_and_others_are_not_touched() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, failing());
        assert_eq!(site.ask("/error").await, (500, "500 Internal Server Error\n".into()));
        assert_eq!(site.ask("/conflict").await, (409, "that name is taken".into()));
        assert_eq!(site.ask("/panic").await, (500, "500 Internal Server Error\n".into()));
        assert_eq!(site.ask("/nothing").await.0, 404);
        let mut response = site.get("/abort").await.unwrap();
        let error = response.text().await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::CutOff, Some(Phase::Body)), "{error}");
        site.assert_lives("/ok").await;
        let events = site.events().await;
        assert_eq!(events.len(), 3, "{events:?}");
        for (event, words) in events.iter().zip(["secret", "409", "at once"]) {
            assert!(event.contains(words), "{event}");
        }
    })
    .await;
}
