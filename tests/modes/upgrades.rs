//! Another protocol in place of a response: `101` over HTTP/1.1, an extended CONNECT over HTTP/2. One handler
//! serves both.

use std::sync::Arc;

use nethttp::client::{ClientProtocols, Upgraded};
use nethttp::server::Hijacked;
use nethttp::{
    ErrorKind, Handler, Method, Request, Response, ResponseWriter, Result, ServeMux, StatusCode, handle_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::site::{Mode, Site, in_all_modes, whole};
use crate::support::secs;

/// A site whose server takes tunnels, and whose client asks for them in its mode.
fn site(mode: Mode, handler: impl Handler) -> Site {
    let set_transport = |transport: &mut nethttp::Transport| {
        if mode.is_http2() {
            transport.protocols = ClientProtocols::Http2;
        }
    };
    Site::with(mode, handler, |server| server.http2.enable_connect_protocol = true, set_transport)
}

fn asking(site: &Site, path: &str, protocol: &str) -> Request {
    let mut request = site.request(Method::GET, path, "");
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", protocol);
    request
}

async fn switched(site: &Site, path: &str) -> (Response, Upgraded) {
    let mut response = site.client.send(asking(site, path, "echo")).await.unwrap();
    let expected = if site.mode.is_http2() { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
    assert_eq!(response.status, expected);
    let upgraded = response.upgrade().unwrap();
    (response, upgraded)
}

async fn agree(w: &mut ResponseWriter) -> Result<Hijacked> {
    w.header().set("Upgrade", "echo");
    w.header().set("X-Kept", "yes");
    w.upgrade().await
}

async fn echo_back(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let asked = (r.method.clone(), r.header.get("Connection"), r.header.get("Upgrade"), r.content_length);
    assert_eq!(asked, (Method::GET, Some("Upgrade"), Some("echo"), Some(0)));
    assert_eq!((&*r.path(), r.uri.query(), r.host.as_str()), ("/chat", Some("a=b"), "a.test"));
    assert_eq!(r.body.text().await?, "", "what comes on a tunnel is no content");
    let (mut read, mut write) = split(agree(w).await?);
    copy(&mut read, &mut write).await?;
    write.shutdown().await?;
    Ok(())
}

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

#[tokio::test(start_paused = true)]
async fn one_handler_serves_upgrades_of_both_protocols_and_bytes_go_both_ways_at_once() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("GET /chat", echo_back);
        mux.handle("GET /hello", hello);
        let site = site(mode, mux);
        let (response, mut tunnel) = switched(&site, "/chat?a=b").await;
        assert_eq!(response.header.get("X-Kept"), Some("yes"));
        assert_eq!((response.header.get("Content-Type"), response.content_length), (None, None));
        assert_eq!(response.header.contains("Upgrade"), !mode.is_http2());
        // More than the windows and buffers on the way hold.
        let said: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut read, mut write) = split(&mut tunnel);
        let mut heard = Vec::new();
        let writing = async {
            write.write_all(&said).await.unwrap();
            assert_eq!(site.ask("/hello").await, (200, "hello".into()), "others use the connection meanwhile");
            write.shutdown().await.unwrap();
        };
        tokio::join!(writing, async { read.read_to_end(&mut heard).await.unwrap() });
        assert!(heard == said);
        drop(tunnel);
        site.assert_lives("/hello").await;
        assert!(site.events().await.is_empty(), "{:?}", site.events().await);
    })
    .await;
}

type Heard = Arc<Mutex<String>>;

/// Ends its side first, then says what it still hears in an answer of another request.
async fn end_first(heard: &Heard, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if r.path() == "/heard" {
        let heard = heard.lock().await.clone();
        return w.write(heard).await;
    }
    let mut heard = heard.lock().await;
    let mut tunnel = agree(w).await?;
    tunnel.write_all(b"last words").await?;
    tunnel.shutdown().await?;
    assert!(tunnel.write_all(b"more").await.is_err(), "behind the end");
    tunnel.read_to_string(&mut heard).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_side_can_end_before_the_other() {
    in_all_modes(async |mode| {
        let site = site(mode, handle_with(Heard::default(), end_first));
        let (_, mut tunnel) = switched(&site, "/").await;
        let mut heard = String::new();
        tunnel.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "last words");
        tunnel.write_all(b"and mine").await.unwrap();
        tunnel.shutdown().await.unwrap();
        assert_eq!(site.ask("/heard").await, (200, "and mine".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_arrives_although_the_stream_is_dropped_and_its_end_is_seen() {
    in_all_modes(async |mode| {
        let site = site(mode, async |w: &mut ResponseWriter, _: &mut Request| {
            let mut tunnel = agree(w).await?;
            tunnel.write_all(b"said").await?;
            tunnel.flush().await?;
            Ok(())
        });
        for _ in 0..2 {
            let (_, mut tunnel) = switched(&site, "/").await;
            let mut heard = [0; 4];
            tunnel.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"said");
            // TLS tells an end from a connection that was merely closed.
            let end = timeout(secs(1), tunnel.read(&mut heard)).await.expect("it has no end");
            assert!(if mode == Mode::Http1Tls { end.is_err() } else { matches!(end, Ok(0)) }, "{end:?}");
        }
    })
    .await;
}

type Taken = mpsc::UnboundedSender<Hijacked>;

/// Hands the stream to another task, and is over.
async fn hand_over(taken: &Taken, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let tunnel = agree(w).await?;
    taken.send(tunnel).map_err(|_| nethttp::Error::other("the test is over"))
}

#[tokio::test(start_paused = true)]
async fn a_stream_lives_on_in_another_task_under_no_limit_and_ends_with_its_peer() {
    in_all_modes(async |mode| {
        let (sender, mut taken) = mpsc::unbounded_channel();
        let site = site(mode, handle_with(sender, hand_over));
        let (_, mut tunnel) = switched(&site, "/").await;
        let mut served = taken.recv().await.unwrap();
        sleep(secs(3600)).await;
        served.write_all(b"late").await.unwrap();
        served.flush().await.unwrap();
        let mut late = [0; 4];
        tunnel.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"late");
        drop(tunnel);
        let rest = timeout(secs(1), served.read_to_end(&mut Vec::new())).await.expect("it waits for ever");
        // Neither a stream that was reset nor a TLS connection that was merely closed has ended.
        assert_eq!(rest.is_err(), mode != Mode::Http1, "{rest:?}");
        if mode.is_http2() {
            assert!(served.write_all(b"to nobody").await.is_err());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_a_stream_of_http2_within_its_grace_and_then_cuts_it() {
    in_all_modes(async |mode| {
        let (sender, mut taken) = mpsc::unbounded_channel();
        let site = site(mode, handle_with(sender, hand_over));
        let (_, mut tunnel) = switched(&site, "/").await;
        let mut served = taken.recv().await.unwrap();
        let began = Instant::now();
        let report = site.server.shutdown(secs(5)).await;
        if mode.is_http2() {
            assert_eq!((report.cut, report.hijacked, began.elapsed() >= secs(5)), (1, 0, true));
            for end in
                [timeout(secs(1), tunnel.read(&mut [0; 9])).await, timeout(secs(1), served.read(&mut [0; 9])).await]
            {
                assert!(end.expect("it waits for ever").is_err());
            }
        } else {
            assert_eq!((report.cut, report.hijacked, began.elapsed() < secs(1)), (0, 1, true));
            served.write_all(b"on").await.unwrap();
            served.flush().await.unwrap();
            let mut heard = [0; 2];
            tunnel.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"on");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_within_the_grace_is_not_cut_by_a_shutdown() {
    in_all_modes(async |mode| {
        let (sender, mut taken) = mpsc::unbounded_channel();
        let site = site(mode, handle_with(sender, hand_over));
        let (_, mut tunnel) = switched(&site, "/").await;
        let mut served = taken.recv().await.unwrap();
        let ending = async {
            sleep(secs(1)).await;
            served.write_all(b"bye").await.unwrap();
            served.shutdown().await.unwrap();
            drop(served);
        };
        let mut heard = String::new();
        let (report, (), _) =
            tokio::join!(site.server.shutdown(secs(5)), ending, async { tunnel.read_to_string(&mut heard).await });
        assert_eq!((report.cut, heard.as_str()), (0, "bye"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_not_agreed_on_is_a_plain_answer_and_never_a_tunnel() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("GET /hello", hello);
        mux.handle("GET /echo", async |w: &mut ResponseWriter, _: &mut Request| agree(w).await.map(drop));
        let site = site(mode, mux);
        // One that knows no upgrades: over HTTP/2 its 200 would open the tunnel (RFC 8441 §5).
        let answer = site.client.send(asking(&site, "/hello", "echo")).await.unwrap();
        assert_eq!(answer.status.as_u16(), if mode.is_http2() { 501 } else { 200 });
        for (path, protocol, status) in [("/echo", "chat", 400), ("/none", "echo", 404)] {
            let mut response = site.client.send(asking(&site, path, protocol)).await.unwrap();
            assert_eq!(response.status.as_u16(), status, "{path} {protocol}");
            assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Unsupported);
            whole(Ok(response)).await;
        }
        site.assert_lives("/hello").await;
    })
    .await;
}
