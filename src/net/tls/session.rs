//! A TLS session as a stream, whose errors are turned into this crate's, and the parameters it has
//! negotiated.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{Peer, session_failed};
use crate::message::{TlsInfo, TlsVersion};
use crate::net::Stream;

pub(super) struct TlsSession<S> {
    stream: S,
    peer: Peer,
}

impl<S: Stream> TlsSession<S> {
    /// The session with this peer.
    pub(super) fn boxed(stream: S, peer: Peer) -> Box<dyn Stream> {
        Box::new(TlsSession { stream, peer })
    }

    fn said<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        done.map_err(|error| session_failed(self.peer, error))
    }
}

impl<S: Stream> AsyncRead for TlsSession<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
        self.said(done)
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
        self.said(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.said(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.said(done)
    }
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
