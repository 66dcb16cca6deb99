//! Tunnels over one stream of a connection: CONNECT, and upgrades as extended CONNECT (RFC 8441).

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, server};
use nethttp::{Body, ErrorKind, Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::http2_peer::{Rig, URL, answer, handled, send, status};

/// A server that takes extended CONNECT where `is_allowed`, echoes what comes through a tunnel, and answers
/// other requests. What it saw of tunnels, and how they ended, goes into the channel.
fn tunnelling(is_allowed: bool) -> (Rig, mpsc::UnboundedReceiver<String>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let mut builder = server::Builder::new();
    if is_allowed {
        builder.enable_connect_protocol();
    }
    let rig = handled(builder, move |mut request, mut respond| {
        let sender = sender.clone();
        async move {
            if request.method() != Method::CONNECT {
                return answer(respond, "hello");
            }
            let protocol = request.extensions().get::<Protocol>().map(|protocol| protocol.as_str().to_owned());
            let has_upgrade = request.headers().contains_key("upgrade");
            sender.send(format!("{protocol:?} {} {has_upgrade}", request.uri())).unwrap();
            if request.uri().path() == "/refused" {
                respond.send_response(status(403), true).unwrap();
                return;
            }
            let mut stream = respond.send_response(status(200), false).unwrap();
            let end = loop {
                match request.body_mut().data().await {
                    Some(Ok(data)) => {
                        let _ = request.body_mut().flow_control().release_capacity(data.len());
                        send(&mut stream, data, false).await.unwrap();
                    }
                    Some(Err(error)) => break format!("{:?}", error.reason()),
                    None => break "end".to_owned(),
                }
            };
            let _ = stream.send_data(Bytes::new(), true);
            sender.send(end).unwrap();
        }
    });
    (rig, seen)
}

fn upgrade(url: &str) -> Request {
    let mut request = Request::get(url).unwrap();
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", "echo");
    request
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_an_extended_connect_and_its_stream_is_taken_over() {
    let (rig, mut seen) = tunnelling(true);
    let mut response = rig.client.send(upgrade("http://h.test/chat?a=b")).await.unwrap();
    assert_eq!((response.status, response.content_length), (StatusCode::OK, None));
    assert_eq!(seen.recv().await.unwrap(), "Some(\"echo\") http://h.test/chat?a=b false");
    let mut tunnel = response.upgrade().unwrap();
    assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Unsupported, "it is taken once");
    assert_eq!(response.body.chunk().await.unwrap_err().kind(), ErrorKind::Hijacked);
    // More than the windows and buffers on the way hold, both ways.
    let said: Vec<u8> = (0..600_000_u32).map(|at| at as u8).collect();
    let (mut read, mut write) = tokio::io::split(&mut tunnel);
    let mut heard = Vec::new();
    let writing = async {
        write.write_all(&said).await.unwrap();
        // Others use the connection meanwhile.
        assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
        write.shutdown().await.unwrap();
    };
    tokio::join!(writing, async { read.read_to_end(&mut heard).await.unwrap() });
    assert!(heard == said);
    assert_eq!(seen.recv().await.unwrap(), "end");
    assert!(tunnel.write_all(b"more").await.is_err(), "behind the end");
    assert_eq!(rig.counts(), (0, 1, 0, 0), "the tunnel holds its place");
    drop(tunnel);
    assert_eq!((rig.dialed(), rig.counts()), (1, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_dropped_resets_its_stream_and_the_connection_lives() {
    let (rig, mut seen) = tunnelling(true);
    let mut response = rig.client.send(upgrade(URL)).await.unwrap();
    seen.recv().await.unwrap();
    let mut tunnel = response.upgrade().unwrap();
    tunnel.write_all(b"said").await.unwrap();
    let mut heard = [0; 4];
    tunnel.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"said");
    drop(tunnel);
    assert_eq!(seen.recv().await.unwrap(), format!("{:?}", Some(Reason::CANCEL)));
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(rig.dialed(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_refused_is_a_response() {
    let (rig, mut seen) = tunnelling(true);
    let mut response = rig.client.send(upgrade("http://h.test/refused")).await.unwrap();
    seen.recv().await.unwrap();
    assert_eq!((response.status, response.text().await.unwrap().as_str()), (StatusCode::FORBIDDEN, ""));
    assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!((rig.dialed(), rig.counts()), (1, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn without_the_servers_setting_no_upgrade_is_sent() {
    let (rig, mut seen) = tunnelling(false);
    // Before its settings came, and after.
    for _ in 0..2 {
        let error = rig.client.send(upgrade(URL)).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unsupported, Some(nethttp::error::Sent::No)), "{error}");
    }
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert!(seen.try_recv().is_err());
    assert_eq!((rig.dialed(), rig.counts()), (1, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_a_connect_can_be_taken_over() {
    let (rig, mut seen) = tunnelling(false);
    let mut request = Request::new(Method::CONNECT, "http://h.test:81".parse().unwrap(), Body::empty());
    request.host = "h.test:81".to_owned();
    let mut response = rig.client.send(request).await.unwrap();
    assert_eq!(seen.recv().await.unwrap(), "None h.test:81 false");
    let mut tunnel = response.upgrade().unwrap();
    tunnel.write_all(b"through").await.unwrap();
    tunnel.shutdown().await.unwrap();
    let mut heard = String::new();
    tunnel.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "through");
}
