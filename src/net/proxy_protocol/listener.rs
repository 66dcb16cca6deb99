//! Connections whose first bytes say who their client is.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::head::{ProxiedPeer, ProxyHeader, parse};
use crate::message::Addr;
use crate::net::ip_network::{IpNetwork, networks};
use crate::net::listener::Listener;

/// Takes connections that begin with a header of the PROXY protocol, version 1 or 2: those of HAProxy, of the load
/// balancers of clouds, of nginx's `stream` module. The client's address in it is then that of the connection
/// ([`Request::remote_addr`](crate::Request::remote_addr)).
///
/// **Who can reach the listener can say that it is anybody**: name the balancers with [`trust`](Self::trust), or let
/// nobody else reach it. A connection of somebody who is not trusted is taken as it is, and a header on it is no
/// HTTP. One of a trusted peer that does not begin with a header, or not within 5 s, is closed.
///
/// A header by which the peer speaks for itself (`LOCAL`, `UNKNOWN`: health checks) leaves the connection its own
/// address. What version 2 has behind the addresses is skipped; a header of more than 4 KiB is refused. Headers are
/// read at the same time, those of 1,024 connections at most, so a peer that sends none holds up nobody.
///
/// ```no_run
/// use nethttp::net::ProxyProtocolListener;
/// use nethttp::{ServeMux, Server};
///
/// # async fn example() -> nethttp::Result<()> {
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:8000").await?;
/// Server::new(ServeMux::new()).serve(ProxyProtocolListener::new(listener).trust(["10.0.0.0/8"])).await
/// # }
/// ```
#[derive(Debug)]
pub struct ProxyProtocolListener<L: Listener> {
    listener: L,
    trusted: Option<Vec<IpNetwork>>,
    /// Each reads the header of a connection. They end with the listener, or at their time limit.
    pending: JoinSet<io::Result<(ProxiedStream<L::Stream>, Addr)>>,
}

const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_PENDING_COUNT: usize = 1_024;
/// A header of version 1, or one of version 2 with little behind its addresses.
const FIRST_READ_BYTES: usize = 256;

impl<L: Listener> ProxyProtocolListener<L> {
    /// Every peer is trusted, and has to send a header.
    pub fn new(listener: L) -> ProxyProtocolListener<L> {
        ProxyProtocolListener { listener, trusted: None, pending: JoinSet::new() }
    }

    /// Only peers with these addresses, or in these networks (`10.0.0.0/8`, `::1`), are trusted.
    ///
    /// # Panics
    /// Where a text names no network.
    #[must_use]
    #[track_caller]
    pub fn trust<Text: AsRef<str>>(self, peers: impl IntoIterator<Item = Text>) -> ProxyProtocolListener<L> {
        ProxyProtocolListener { trusted: Some(networks(peers)), ..self }
    }

    /// Whether the peer sends a header. One without an IP address (on a Unix socket) is trusted where all are.
    fn is_trusted(&self, peer: &Addr) -> bool {
        let Some(trusted) = &self.trusted else { return true };
        peer.ip().is_some_and(|ip| trusted.iter().any(|network| network.contains(ip)))
    }
}

/// What a listener has waited for.
enum AcceptStep<S> {
    Accepted(S, Addr),
    /// The header of a connection was read.
    Read((ProxiedStream<S>, Addr)),
    /// A connection has none, and is closed. Nobody is told: whoever scans ports would fill the log.
    Refused,
}

impl<L: Listener> ProxyProtocolListener<L> {
    /// A header that was read comes first, so that those who wait longest are served.
    async fn next_step(&mut self, has_room: bool) -> io::Result<AcceptStep<L::Stream>> {
        let ProxyProtocolListener { listener, pending, .. } = self;
        let mut accepting = pin!(listener.accept());
        poll_fn(|cx| {
            if let Poll::Ready(Some(read)) = pending.poll_join_next(cx) {
                let connection = read.ok().and_then(io::Result::ok);
                return Poll::Ready(Ok(connection.map_or(AcceptStep::Refused, AcceptStep::Read)));
            }
            if !has_room {
                return Poll::Pending;
            }
            accepting.as_mut().poll(cx).map_ok(|(stream, peer)| AcceptStep::Accepted(stream, peer))
        })
        .await
    }
}

impl<L: Listener> Listener for ProxyProtocolListener<L> {
    type Stream = ProxiedStream<L::Stream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, Addr)> {
        loop {
            let has_room = self.pending.len() < MAX_PENDING_COUNT;
            match self.next_step(has_room).await? {
                AcceptStep::Accepted(stream, peer) if self.is_trusted(&peer) => {
                    // Ends with the listener, or at its time limit.
                    self.pending.spawn(read_header(stream, peer));
                }
                AcceptStep::Accepted(stream, peer) => {
                    return Ok((ProxiedStream { stream, ahead: BytesMut::new() }, peer));
                }
                AcceptStep::Read(connection) => return Ok(connection),
                AcceptStep::Refused => {}
            }
        }
    }

    fn local_addr(&self) -> Addr {
        self.listener.local_addr()
    }

    fn prepare(&self) {
        self.listener.prepare();
    }
}

async fn read_header<S: AsyncRead + Unpin>(stream: S, peer: Addr) -> io::Result<(ProxiedStream<S>, Addr)> {
    match timeout(HEADER_TIMEOUT, header_of(stream, peer)).await {
        Ok(read) => read,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn header_of<S: AsyncRead + Unpin>(mut stream: S, peer: Addr) -> io::Result<(ProxiedStream<S>, Addr)> {
    let mut ahead = BytesMut::with_capacity(FIRST_READ_BYTES);
    loop {
        match parse(&ahead) {
            ProxyHeader::Complete { bytes, peer: said } => {
                ahead.advance(bytes);
                let peer = match said {
                    ProxiedPeer::Client { from, .. } => Addr::of_socket(from),
                    ProxiedPeer::Sender => peer,
                };
                return Ok((ProxiedStream { stream, ahead }, peer));
            }
            ProxyHeader::Refused(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            ProxyHeader::Incomplete => {}
        }
        if stream.read_buf(&mut ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A connection of a [`ProxyProtocolListener`]: what came behind the header is read first.
#[derive(Debug)]
pub struct ProxiedStream<S> {
    stream: S,
    ahead: BytesMut,
}

impl<S: AsyncRead + Unpin> AsyncRead for ProxiedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..len).unwrap_or_default());
        self.ahead.advance(len);
        if self.ahead.is_empty() {
            // The buffer is of no use any more, and the connection may be idle for long.
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProxiedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
