//! Servers of HTTP/2 in memory, and a client that dials them.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; what fails here fails its test")]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, server};
use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{DialedStream, dial_fn};
use nethttp::{Client, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) type Arrived = http::Request<RecvStream>;

pub(crate) const URL: &str = "http://h.test/";

/// A client, its transport, and how often it dialed.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) transport: Arc<Transport>,
    pub(crate) dialed: Arc<AtomicUsize>,
}

impl Rig {
    pub(crate) fn dialed(&self) -> usize {
        self.dialed.load(Ordering::Relaxed)
    }

    /// Idle, in use, being made, and who waits.
    pub(crate) fn counts(&self) -> (usize, usize, usize, usize) {
        let stats = self.transport.pool_stats();
        stats.first().map_or((0, 0, 0, 0), |host| (host.idle, host.in_use, host.dialing, host.waiting))
    }
}

/// A client by prior knowledge whose connections are served by this, each with its number from 1.
pub(crate) fn rig<F, Fut>(change: impl FnOnce(&mut Transport), serve: F) -> Rig
where
    F: Fn(usize, DuplexStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let dialed = Arc::new(AtomicUsize::new(0));
    let count = dialed.clone();
    let dialer = dial_fn(move |_, _| {
        let (ours, theirs) = duplex(64 * 1024);
        tokio::spawn(serve(count.fetch_add(1, Ordering::Relaxed) + 1, theirs));
        async { io::Result::Ok(DialedStream::new(ours)) }
    });
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = ClientProtocols::Http2;
    transport.dial = Arc::new(dialer);
    change(&mut transport);
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    Rig { client, transport, dialed }
}

/// Serves each stream with this, in a task of its own.
pub(crate) async fn serve<F, Fut>(builder: server::Builder, stream: DuplexStream, handle: F)
where
    F: Fn(Arrived, SendResponse<Bytes>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(handle(request, respond));
    }
}

/// A client of servers that serve each stream with this.
pub(crate) fn handled<F, Fut>(builder: server::Builder, handle: F) -> Rig
where
    F: Fn(Arrived, SendResponse<Bytes>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    rig(|_| {}, move |_, stream| serve(builder.clone(), stream, handle.clone()))
}

pub(crate) fn status(status: u16) -> http::Response<()> {
    http::Response::builder().status(status).body(()).unwrap()
}

/// Answers 200 with this text.
pub(crate) fn answer(mut respond: SendResponse<Bytes>, text: impl Into<Bytes>) {
    let mut stream = respond.send_response(status(200), false).unwrap();
    stream.send_data(text.into(), true).unwrap();
}

/// Sends content as the peer has room for it.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut content: Bytes, is_last: bool) -> Result<(), h2::Error> {
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.unwrap_or(Err(h2::Reason::CANCEL.into()))?;
        let piece = content.split_to(room.min(content.len()));
        stream.send_data(piece, is_last && content.is_empty())?;
    }
    Ok(())
}

/// Reads content to its end, and gives room for all of it.
pub(crate) async fn read(content: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = content.data().await {
        let data = data?;
        let _ = content.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// A frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;

/// GOAWAY without an error, of which the last stream is this.
pub(crate) fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// Takes all and says nothing.
pub(crate) async fn swallow(stream: &mut DuplexStream) {
    let mut buf = [0; 4096];
    while matches!(stream.read(&mut buf).await, Ok(1..)) {}
}

/// A server's preface, and then nothing but silence.
pub(crate) async fn silent(mut stream: DuplexStream) {
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    swallow(&mut stream).await;
}

/// Two ends of a path of which each way takes so long, and that holds any number of bytes.
pub(crate) fn path(delay: Duration) -> (DuplexStream, DuplexStream) {
    let (near, near_end) = duplex(256 * 1024);
    let (far, far_end) = duplex(256 * 1024);
    let (near_read, near_write) = tokio::io::split(near_end);
    let (far_read, far_write) = tokio::io::split(far_end);
    tokio::spawn(carry(near_read, far_write, delay));
    tokio::spawn(carry(far_read, near_write, delay));
    (near, far)
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin + Send + 'static,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    delay: Duration,
) {
    let (sender, mut underway) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((at, bytes)) = underway.recv().await {
            tokio::time::sleep_until(at).await;
            let bytes: Vec<u8> = bytes;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buf = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buf).await {
        let at = tokio::time::Instant::now() + delay;
        if sender.send((at, buf[..len].to_vec())).is_err() {
            return;
        }
    }
}
