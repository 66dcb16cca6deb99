//! A TLS session as a stream, whose errors are turned into this crate's, and the parameters it has
//! negotiated.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{Peer, session_failed};
use crate::message::{TlsInfo, TlsVersion};
use crate::net::Stream;

pub(super) struct TlsSession<S> {
    stream: S,
    peer: Peer,
    /// What was read while the reason was looked for that a write has failed.
    ahead: BytesMut,
}

/// How much is read ahead at most when a write has failed.
const MAX_AHEAD_BYTES: usize = 64 * 1024;

impl<S: Stream> TlsSession<S> {
    /// The session with this peer.
    pub(super) fn boxed(stream: S, peer: Peer) -> Box<dyn Stream> {
        Box::new(TlsSession { stream, peer, ahead: BytesMut::new() })
    }

    /// What a write ends with. A peer that ends the session says why in an alert, and closes; what is written
    /// meanwhile fails with the reset of the connection, and the alert is there to be read.
    fn said_of_write<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = done else { return done };
        let error = if is_of_tls(&error) { error } else { self.find_alert(cx).unwrap_or(error) };
        Poll::Ready(Err(session_failed(self.peer, error)))
    }

    fn find_alert(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        let mut room = [0; 4096];
        while self.ahead.len() < MAX_AHEAD_BYTES {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => self.ahead.extend_from_slice(buf.filled()),
                Poll::Ready(Err(error)) => return Some(error).filter(is_of_tls),
                Poll::Ready(Ok(())) | Poll::Pending => return None,
            }
        }
        None
    }

    fn said<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        done.map_err(|error| session_failed(self.peer, error))
    }
}

impl<S: Stream> AsyncRead for TlsSession<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.said(done)
    }
}

impl<S: Stream> AsyncWrite for TlsSession<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut done = Pin::new(&mut self.stream).poll_write(cx, buf);
        if done.is_pending() {
            // A write that returns `Pending` may have made room in the session's buffer without using
            // it. A later write that only fills that room would look like progress of the peer to a
            // stall limit.
            done = Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        self.said_of_write(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if done.is_pending() {
            // As above.
            done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        self.said_of_write(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.said_of_write(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.said(done)
    }
}

/// Whether this is an error of the session, and not of the connection beneath it.
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// The parameters that a session has negotiated, after its handshake.
pub(super) fn info(session: &CommonState, server_name: Option<&str>) -> TlsInfo {
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    TlsInfo {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        },
        cipher_suite: suite.map_or("unknown", registered_name),
        alpn: session.alpn_protocol().map(Bytes::copy_from_slice),
        server_name: server_name.map(Box::from),
        peer_certificates: session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| Bytes::copy_from_slice(certificate))
            .collect(),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

/// rustls says `TLS13_AES_128_GCM_SHA256`, the registry `TLS_AES_128_GCM_SHA256` (RFC 8446 §B.4).
fn registered_name(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        "TLS13_AES_128_CCM_SHA256" => "TLS_AES_128_CCM_SHA256",
        "TLS13_AES_128_CCM_8_SHA256" => "TLS_AES_128_CCM_8_SHA256",
        name => name,
    }
}
