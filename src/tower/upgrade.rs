//! Upgrades by services that ask hyper for the connection, as axum's `WebSocketUpgrade` does (feature
//! `hyper-upgrade`).
//!
//! What such a service takes out of its request is hyper's `OnUpgrade`, and hyper alone can make one, for a connection
//! of its own. So it gets a connection of its own: a pipe in memory, at whose other end hyper serves one request that
//! asks for an upgrade.
//!
//! ```text
//!  client ◀── connection, taken over ──▶ this handler ◀── pipe ──▶ hyper's connection ──▶ OnUpgrade ──▶ service
//! ```
//!
//! 1. [`offer`] writes that request into the pipe, polls hyper's connection until it has read it, and puts its
//!    `OnUpgrade` into the extensions of the service's request. Nothing of the client's request goes through hyper.
//! 2. If the service responds with 101, [`accept`](OfferedUpgrade::accept) has hyper do so too, by which hyper hands
//!    the pipe to the service, takes our connection over, and copies in both directions. Otherwise the pipe is
//!    dropped, and whoever waits for the upgrade learns that there will be none.
//!
//! Over HTTP/2 a client asks with an extended CONNECT (RFC 8441), which the server gives to handlers as the GET with
//! `Upgrade` that asks for the same. A service gets it as a request of HTTP/1.1, with the `Sec-WebSocket-Key` that
//! there was none of: so it is found by a route for GET, and each service that can upgrade knows what to do. In the
//! form of RFC 8441 it would be for those alone that look for hyper's `Protocol`, which needs the h2 crate.
//!
//! There is no task: hyper's connection is polled until the pipe is handed over, and the copying is what the handler
//! does from then on. It ends when the service drops its end, when a client's error or the server's end drops the
//! handler, or when both sides have said that they are done.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http::{StatusCode, Version};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::oneshot;

use crate::error::Result;
use crate::message::{Body, Response, list_has};
use crate::server::{Hijacked, ResponseWriter};

/// How much lies in the pipe in each direction.
const PIPE_BYTES: usize = 16 * 1024;

/// All that hyper sees of the request. That it is an upgrade is what matters; to which protocol, the service says.
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: pipe\r\nConnection: upgrade\r\nUpgrade: pipe\r\n\r\n";

/// What stands for the key that HTTP/2 has none of (RFC 8441 §5): 16 bytes in base64. The answer to it is sent to
/// nobody.
const WEBSOCKET_KEY: http::HeaderValue = http::HeaderValue::from_static("bmV0aHR0cCBrZXkgb2YgMQ==");

/// A pipe that a service may take for its connection.
pub(super) struct OfferedUpgrade {
    pipe: DuplexStream,
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    accept: oneshot::Sender<()>,
    /// Then there is no key of the client's, and nothing is said to one.
    is_http2: bool,
}

/// Offers an upgrade to a service whose request asks for one.
pub(super) async fn offer(request: &mut http::Request<Body>) -> Option<OfferedUpgrade> {
    if !asks_for_upgrade(request) {
        return None;
    }
    let (mut pipe, other_end) = tokio::io::duplex(PIPE_BYTES);
    let (offered, offer) = oneshot::channel();
    let (accept, accepted) = oneshot::channel();
    let mut connection: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(serve_pipe(other_end, offered, accepted));
    // The head is shorter than the pipe is long, so this waits for nobody.
    pipe.write_all(HEAD).await.ok()?;
    let on_upgrade = {
        let mut offer = pin!(offer);
        poll_fn(|cx| match connection.as_mut().poll(cx) {
            // It has ended before it had read the request: there is no reason to, and nothing to be offered.
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => offer.as_mut().poll(cx).map(std::result::Result::ok),
        })
        .await?
    };
    request.extensions_mut().insert::<OnUpgrade>(on_upgrade);
    let is_http2 = request.version() == Version::HTTP_2;
    if is_http2 {
        become_http1(request);
    }
    Some(OfferedUpgrade { pipe, connection, accept, is_http2 })
}

/// RFC 9110 §7.8: where `Connection` names it too, and not by HTTP/1.0. Over HTTP/2 the server alone writes these
/// fields (RFC 9113 §8.2.2).
fn asks_for_upgrade(request: &http::Request<Body>) -> bool {
    let mut connection = request.headers().get_all("connection").iter();
    matches!(request.version(), Version::HTTP_11 | Version::HTTP_2)
        && request.headers().contains_key("upgrade")
        && connection.any(|value| list_has(value.as_bytes(), "upgrade"))
}

/// What a client of HTTP/1.1 would have sent.
fn become_http1(request: &mut http::Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    if headers.get("upgrade").is_some_and(|value| list_has(value.as_bytes(), "websocket")) {
        headers.entry("sec-websocket-key").or_insert(WEBSOCKET_KEY);
    }
}

/// Has hyper serve one request on its end of the pipe, and respond with 101 when that is accepted.
async fn serve_pipe(other_end: DuplexStream, offered: oneshot::Sender<OnUpgrade>, accepted: oneshot::Receiver<()>) {
    let channels = Mutex::new(Some((offered, accepted)));
    let service = service_fn(move |mut request| {
        let channels = channels.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some((offered, accepted)) = channels else { return Err(refused()) };
            let _ = offered.send(hyper::upgrade::on(&mut request));
            accepted.await.map_err(|_| refused())?;
            let mut response = http::Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            for name in ["connection", "upgrade"] {
                response.headers_mut().insert(name, http::HeaderValue::from_static("upgrade"));
            }
            Ok(response)
        }
    });
    // An error is seen at the pipe, whose end goes with the connection.
    let _ = http1::Builder::new().serve_connection(PipeIo(other_end), service).with_upgrades().await;
}

fn refused() -> io::Error {
    io::Error::other("there is no upgrade")
}

impl OfferedUpgrade {
    /// Takes the connection over, and brings it to the service, until one of both is done with it.
    ///
    /// # Errors
    /// Those of [`ResponseWriter::upgrade`].
    pub(super) async fn accept(self, w: &mut ResponseWriter, response: Response) -> Result<()> {
        let OfferedUpgrade { mut pipe, connection, accept, .. } = self;
        for (name, value) in response.header.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Connection")) {
            w.header().add(name, value);
        }
        if self.is_http2 {
            w.header().del("Sec-WebSocket-Accept");
        }
        let mut client = w.upgrade().await?;
        if accept.send(()).is_ok() {
            connection.await;
            skip_head(&mut pipe).await?;
            copy_both(&mut client, pipe).await;
        }
        Ok(())
    }
}

/// Reads hyper's 101 and no byte more: what follows is the service's.
async fn skip_head(pipe: &mut DuplexStream) -> io::Result<()> {
    let mut last = [0; 4];
    while last != *b"\r\n\r\n" {
        last.rotate_left(1);
        last[3] = pipe.read_u8().await?;
    }
    Ok(())
}

/// Copies in both directions. The end of the client's side is passed on, and the service may still write; the end of
/// the service's side is the end of all, as hyper closes a connection that its service has dropped.
async fn copy_both(client: &mut Hijacked, pipe: DuplexStream) {
    let (mut client_reader, mut client_writer) = tokio::io::split(client);
    let (mut service_reader, mut service_writer) = tokio::io::split(pipe);
    let mut to_service = pin!(async {
        let _ = tokio::io::copy(&mut client_reader, &mut service_writer).await;
        let _ = service_writer.shutdown().await;
        pending::<()>().await;
    });
    let mut to_client = pin!(async {
        let _ = tokio::io::copy(&mut service_reader, &mut client_writer).await;
        let _ = client_writer.shutdown().await;
    });
    poll_fn(|cx| {
        let _ = to_service.as_mut().poll(cx);
        to_client.as_mut().poll(cx)
    })
    .await;
}

/// The pipe with hyper's traits.
struct PipeIo(DuplexStream);

impl rt::Read for PipeIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // By way of memory of our own: into hyper's one could only write with `unsafe`.
        let mut memory = [0; 4096];
        let room = memory.len().min(cursor.remaining());
        let mut read = ReadBuf::new(memory.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut read))?;
        cursor.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for PipeIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
