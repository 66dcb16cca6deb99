//! Connections that a handler takes over: all their bytes, and none of the server's doing after.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::server::Hijacked;
use nethttp::{ErrorKind, Request, ResponseWriter, Result, StatusCode, handle_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::wire::{GET, Host, closed, exchange, kept, post, post_chunked};

/// Takes the connection over and says what was read ahead, then what comes, up to an `!`.
async fn say_back(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let mut raw = w.hijack().await?;
    let ahead = raw.buffered().escape_ascii().to_string();
    raw.write_all(format!("ahead {ahead} then ").as_bytes()).await?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"!") {
        heard.push(raw.read_u8().await?);
    }
    raw.write_all(&heard).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_comes_first_at_every_cut() {
    let host = Host::new(say_back);
    let bytes = format!("{GET}these bytes!");
    for cut in GET.len()..bytes.len() {
        let mut peer = host.connect();
        let mut heard = peer.talk(&bytes[..cut]).await;
        heard.text += &peer.talk(&bytes[cut..]).await.text;
        assert_eq!(heard.text, format!("ahead {} then these bytes!", &bytes[GET.len()..cut]));
    }
    let heard = host.connect().talk(&bytes).await;
    assert_eq!(heard, closed("ahead these bytes! then these bytes!"), "dropped, it is closed");
}

#[tokio::test(start_paused = true)]
async fn unread_content_is_among_the_bytes_as_it_was_framed() {
    let host = Host::new(say_back);
    assert_eq!(host.connect().talk(post("/", b"hello!")).await, closed("ahead hello! then hello!"));
    let heard = host.connect().talk(post_chunked("/", b"hello!", &[6])).await;
    assert_eq!(heard, closed("ahead 6\\r\\nhello!\\r\\n0\\r\\n\\r\\n then 6\r\nhello!"));

    let reads_some = async |w: &mut ResponseWriter, r: &mut Request| {
        assert_eq!(r.body.read_u8().await?, b'h');
        say_back(w, r).await
    };
    let mut peer = Host::new(reads_some).connect();
    let request = post("/", b"hello!");
    assert_eq!(peer.talk(&request[..request.len() - 5]).await, kept("ahead  then "));
    assert_eq!(peer.talk(&request[request.len() - 5..]).await, closed("ello!"));
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_came_while_the_handler_ran_is_not_lost() {
    let slow = async |w: &mut ResponseWriter, r: &mut Request| {
        sleep(Duration::from_secs(1)).await;
        assert!(!r.context().is_cancelled(), "a byte is no leaving");
        say_back(w, r).await
    };
    let mut peer = Host::new(slow).connect();
    peer.send(GET).await;
    peer.send("x").await;
    peer.send("y!").await;
    sleep(Duration::from_secs(1)).await;
    let heard = peer.hear().await;
    assert!(heard.text.starts_with("ahead x") && heard.text.ends_with("xy!"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_can_be_taken_apart_from_the_stream() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut raw = w.hijack().await?;
        assert_eq!(raw.take_buffered(), "ahead");
        assert!(raw.buffered().is_empty());
        assert_eq!(raw.read_u8().await?, b'!', "what follows comes from the stream");
        Ok(raw.write_all(b"good").await?)
    };
    let mut peer = Host::new(handler).connect();
    peer.send(format!("{GET}ahead")).await;
    assert_eq!(peer.talk("!").await, closed("good"));
}

#[tokio::test(start_paused = true)]
async fn much_data_is_neither_lost_nor_reordered() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut raw = w.hijack().await?;
        let mut content = vec![0; 1 << 20];
        raw.read_exact(&mut content).await?;
        Ok(raw.write_all(&content).await?)
    };
    let content: Vec<u8> = (0_u32..1 << 18).flat_map(u32::to_be_bytes).collect();
    let mut peer = Host::new(handler).connect_through(10_000);
    let (heard, was_closed) = peer.talk_bytes([GET.as_bytes(), &content].concat()).await;
    assert!(was_closed && heard == content, "{} bytes", heard.len());
}

// ------------------------------------------------------------ what the writer does then

#[tokio::test(start_paused = true)]
async fn a_connection_is_taken_over_once_and_the_writer_writes_no_more() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let mut raw = w.hijack().await?;
        let hijacked = Some(ErrorKind::Hijacked);
        let kind = |result: Result<()>| result.err().map(|error| error.kind());
        assert_eq!(kind(w.hijack().await.map(drop)), hijacked);
        assert_eq!(kind(w.write("lost").await), hijacked);
        assert_eq!(kind(w.write("").await), hijacked);
        assert_eq!(kind(w.flush().await), hijacked);
        assert_eq!(kind(w.send_informational(StatusCode::EARLY_HINTS).await), hijacked);
        assert_eq!(kind(w.upgrade().await.map(drop)), Some(ErrorKind::Invalid));
        assert!(w.write_all(b"lost").await.is_err());
        assert_eq!(kind(r.body.text().await.map(drop)), hijacked);
        w.write_header(StatusCode::NOT_FOUND);
        w.header().set("X-Lost", "1");
        w.trailer().set("X-Lost", "1");
        Ok(raw.write_all(b"mine alone").await?)
    };
    let host = Host::new(handler);
    assert_eq!(host.connect().talk(post("/", b"hello")).await, closed("mine alone"));
    let events = host.events();
    assert!(events.len() == 1 && events[0].starts_with("a status 404 was set in vain"), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_in_another_task_is_woken_by_a_takeover() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let mut body = std::mem::take(&mut r.body);
        let reading = tokio::spawn(async move { body.text().await.unwrap_err().kind() });
        sleep(Duration::from_secs(1)).await;
        let mut raw = w.hijack().await?;
        assert_eq!(reading.await.expect("no panic"), ErrorKind::Hijacked);
        Ok(raw.write_all(b"good").await?)
    };
    let mut peer = Host::new(handler).connect();
    peer.send(&post("/", b"hello")[..50]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.hear().await, closed("good"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_set_or_flushed_is_sent_before() {
    let was_set = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::CREATED);
        let mut raw = w.hijack().await?;
        Ok(raw.write_all(b"raw").await?)
    };
    let head = "Transfer-Encoding: chunked\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(was_set, GET).await, closed(format!("HTTP/1.1 201 Created\r\n{head}raw")));
    let was_flushed = async |w: &mut ResponseWriter, _: &mut Request| {
        w.omit(nethttp::server::AutoField::ContentType);
        w.write("a").await?;
        w.flush().await?;
        w.write("b").await?;
        let mut raw = w.hijack().await?;
        Ok(raw.write_all(b"raw").await?)
    };
    assert_eq!(exchange(was_flushed, GET).await, closed(format!("HTTP/1.1 200 OK\r\n{head}1\r\na\r\n1\r\nb\r\nraw")));
}

#[tokio::test(start_paused = true)]
async fn answers_to_earlier_requests_are_sent_before() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() != "/raw" {
            return Ok(());
        }
        let mut raw = w.hijack().await?;
        Ok(raw.write_all(b"raw").await?)
    };
    let requests = format!("{GET}{GET}GET /raw HTTP/1.0\r\n\r\n{GET}");
    let heard = exchange(handler, requests).await;
    assert_eq!(heard, closed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n".repeat(2) + "raw"));
}

#[tokio::test(start_paused = true)]
async fn no_100_is_sent_on_a_connection_that_was_taken_over() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n";
    let mut peer = Host::new(say_back).connect();
    assert_eq!(peer.talk(request).await, kept("ahead  then "));
    assert_eq!(peer.talk("hello!").await, closed("hello!"));
}

// ------------------------------------------------------------ what the server does then

#[tokio::test(start_paused = true)]
async fn the_server_never_touches_it_again() {
    type Place = Arc<Mutex<Option<Hijacked>>>;
    let place = Place::default();
    async fn take(place: &Place, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        w.set_write_deadline(Some(tokio::time::Instant::now() + Duration::from_secs(1)));
        let raw = w.hijack().await?;
        place.lock().unwrap().replace(raw);
        Ok(())
    }
    let host = Host::with(handle_with(place.clone(), take), |server| {
        server.read_timeout = Duration::from_secs(1);
        server.write_timeout = Duration::from_secs(1);
    });
    let mut peer = host.connect();
    assert_eq!(peer.talk(GET).await, kept(""));
    sleep(Duration::from_secs(10_000)).await;
    assert_eq!(peer.hear().await, kept(""), "no deadline runs");
    assert_eq!(host.states(), ["new", "active", "hijacked"]);
    assert_eq!(host.server.connections(), 0);

    let report = host.server.shutdown(Duration::from_secs(1)).await;
    assert_eq!((report.drained, report.cut, report.hijacked), (0, 0, 1));
    let mut raw = place.lock().unwrap().take().unwrap();
    raw.write_all(b"still here").await.unwrap();
    assert_eq!(peer.talk("hello").await, kept("still here"));
    assert_eq!(raw.read_u8().await.unwrap(), b'h');
    drop(raw);
    assert_eq!(peer.hear().await, closed(""));
    assert_eq!(host.states(), ["new", "active", "hijacked"], "closed is never told");
}

#[tokio::test(start_paused = true)]
async fn it_is_out_of_the_registry_while_the_handler_still_runs() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut raw = w.hijack().await?;
        raw.write_all(b"a").await?;
        sleep(Duration::from_secs(100)).await;
        Ok(raw.write_all(b"b").await?)
    };
    let host = Host::new(handler);
    let mut peer = host.connect();
    assert_eq!(peer.talk(GET).await, kept("a"));
    assert_eq!(host.states(), ["new", "active", "hijacked"]);
    let report = host.server.shutdown(Duration::from_secs(1)).await;
    assert_eq!((report.cut, report.hijacked), (0, 1));
    sleep(Duration::from_secs(100)).await;
    assert_eq!(peer.hear().await, closed("b"), "and a shutdown does not end it");
}

// ------------------------------------------------------------ upgrade

#[tokio::test(start_paused = true)]
async fn an_upgrade_answers_101_and_hands_the_stream_over() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        assert_eq!(r.header.get("Upgrade"), Some("chat"));
        w.header().set("Upgrade", "chat");
        w.header().set("Connection", "close, x-hop");
        w.header().set("Content-Length", "9");
        w.before_head(|status, header| header.set("X-Status", status.as_str()));
        let mut raw = w.upgrade().await?;
        let mut heard = [0; 5];
        raw.read_exact(&mut heard).await?;
        Ok(raw.write_all(&heard).await?)
    };
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nX-Status: 101\r\nDate: -\r\n\
                  Connection: Upgrade, x-hop\r\n\r\n";
    let host = Host::new(handler);
    let mut peer = host.connect();
    assert_eq!(peer.talk(request).await, kept(answer));
    assert_eq!(peer.talk("hello").await, closed("hello"));
    assert_eq!(host.connect().talk(format!("{request}hello")).await, closed(format!("{answer}hello")));
    host.server.set_keep_alives_enabled(false);
    assert_eq!(host.connect().talk(format!("{request}hello")).await, closed(format!("{answer}hello")));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_names_its_protocol_and_comes_first() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        assert_eq!(w.upgrade().await.unwrap_err().kind(), ErrorKind::Invalid, "to what?");
        w.flush().await?;
        w.header().set("Upgrade", "chat");
        assert_eq!(w.upgrade().await.unwrap_err().kind(), ErrorKind::Invalid, "something was sent");
        w.write("still an answer").await
    };
    let heard = exchange(handler, GET).await;
    assert!(!heard.closed && heard.text.ends_with("\r\n\r\nf\r\nstill an answer\r\n0\r\n\r\n"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_knows_no_101() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Upgrade", "chat");
        assert_eq!(w.upgrade().await.unwrap_err().kind(), ErrorKind::Unsupported);
        w.write_header(StatusCode::SWITCHING_PROTOCOLS);
        w.write("an answer").await
    };
    let request = "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    let heard = exchange(handler, request).await;
    assert!(heard.text.starts_with("HTTP/1.0 200 OK\r\n") && heard.text.ends_with("\r\n\r\nan answer"), "{heard:?}");
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: chat, other/2";

/// Upgrades to the protocol that the target names, and says back what comes up to an `!`.
async fn switch(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Upgrade", &r.escaped_path()[1..]);
    w.omit(nethttp::server::AutoField::Date);
    let mut raw = w.upgrade().await?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"!") {
        heard.push(raw.read_u8().await?);
    }
    Ok(raw.write_all(&heard).await?)
}

#[tokio::test(start_paused = true)]
async fn the_new_protocol_begins_behind_the_content_of_the_request() {
    for (field, content) in [("Content-Length: 3", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")] {
        let request = format!("POST /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n{field}\r\n\r\n{content}xyz!");
        let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n";
        let host = Host::new(switch);
        assert_eq!(host.connect().talk(&request).await, closed(format!("{switched}xyz!")));
        for cut in 1..request.len() {
            let mut peer = host.connect();
            peer.send(&request[..cut]).await;
            let heard = peer.talk(&request[cut..]).await;
            assert!(heard.closed && heard.text.ends_with("\r\n\r\nxyz!"), "cut at {cut}: {heard:?}");
        }
    }
    let host = Host::with(switch, |server| server.drain_bytes = 2);
    let content = "c".repeat(200_000);
    let long = format!("POST /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nContent-Length: 200000\r\n\r\n{content}xyz!");
    let heard = host.connect().talk(long).await;
    assert!(heard.text.starts_with("HTTP/1.1 413 "), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_to_send_its_content_gets_a_100_and_then_the_101() {
    let mut peer = Host::new(switch).connect();
    let head =
        format!("POST /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(peer.talk(head).await, kept("HTTP/1.1 100 Continue\r\n\r\n"));
    let heard = peer.talk("abcxyz!").await;
    assert!(heard.text.starts_with("HTTP/1.1 101 ") && heard.text.ends_with("\r\n\r\nxyz!"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_the_client_did_not_ask_for_is_its_error_and_no_switch() {
    for (target, version, fields, status) in [
        ("/chat", "1.1", UPGRADE, 101),
        ("/CHAT", "1.1", UPGRADE, 101),
        ("/other/2", "1.1", UPGRADE, 101),
        ("/other", "1.1", UPGRADE, 400),
        ("/chat,%20more", "1.1", UPGRADE, 400),
        ("/chat", "1.1", "X: 1", 400),
        ("/chat", "1.1", "Connection: upgrade", 400),
        ("/chat", "1.1", "Upgrade: chat", 400),
        ("/chat", "1.0", UPGRADE, 400),
    ] {
        let heard = exchange(switch, format!("GET {target} HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n")).await;
        assert!(heard.text.starts_with(&format!("HTTP/{version} {status} ")), "{target} {fields:?}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_has_offered_is_known_after_a_reset_too() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("never sent").await?;
        assert!(w.reset());
        w.header().set("Upgrade", "chat");
        w.upgrade().await?;
        Ok(())
    };
    let host = Host::new(handler);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    let answer = host.connect().talk(request).await;
    assert!(format!("{answer:?}").contains("101 Switching Protocols"), "{answer:?}");
}
