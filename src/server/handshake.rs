//! The start of a connection: the TLS handshake, and the detection of the protocol from the first bytes.
//!
//! The handshake counts against the deadline of the first head, from accept on: a peer that stalls here is as
//! silent as one that never sends a head, and evictions treat it so. A shutdown closes only those that have
//! sent nothing: who has begun a handshake is about to send a request, and is served within the grace.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::close_reason::CloseReason;
use super::http2::{self, Preface};
use super::registry::Entry;
use crate::error::Error;
use crate::message::{Protocols, TlsInfo};
use crate::net::{Io, NoSession, Secured, TlsAccept, Unsecured};

/// How a handshake ended. The stream is returned where it still exists, also after a failure, so that
/// the alert or a response can be sent on it.
pub(crate) enum Handshake {
    Done(Io, Arc<TlsInfo>),
    /// The client spoke HTTP in the clear.
    PlainHttp(Io),
    Failed(Io, Error),
    /// The deadline has passed, or the registry's command is to close.
    Ended(CloseReason),
}

pub(crate) async fn handshake(
    tls_accept: &dyn TlsAccept,
    io: Io,
    entry: &Entry,
    deadline: Option<Instant>,
) -> Handshake {
    let (stream, _) = io.into_parts();
    let heard = AtomicBool::new(false);
    match within_limits(entry, deadline, &heard, tls_accept.secure(stream, &heard)).await {
        Ok(Ok(Secured { stream, info })) => Handshake::Done(Io::boxed(stream), info),
        Ok(Err(Unsecured { stream, reason: NoSession::PlainHttp })) => Handshake::PlainHttp(Io::boxed(stream)),
        Ok(Err(Unsecured { stream, reason: NoSession::Failed(error) })) => Handshake::Failed(Io::boxed(stream), error),
        Err(reason) => Handshake::Ended(reason),
    }
}

/// The output of a future, unless the deadline passes or a command to close comes first. The future is
/// polled first, so that an output that is ready always counts.
async fn within_limits<T>(
    entry: &Entry,
    deadline: Option<Instant>,
    heard: &AtomicBool,
    future: impl Future<Output = T>,
) -> Result<T, CloseReason> {
    let mut future = pin!(future);
    let mut timer = pin!(deadline.map(sleep_until));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        let reason = entry.command().close_reason();
        let has_begun = heard.load(Ordering::Relaxed);
        if let Some(reason) = reason.filter(|&reason| !(has_begun && reason == CloseReason::ShuttingDown)) {
            return Poll::Ready(Err(reason));
        }
        match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(CloseReason::HeadTimeout)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}

/// The protocol of the first bytes of a connection.
pub(crate) enum Detected {
    /// It may still be one or the other.
    Undecided,
    Http1,
    Http2,
    Neither,
}

/// RFC 9113 §3.2 and §3.3: over TLS ALPN has decided it; without TLS the preface of HTTP/2 does.
pub(crate) fn detect_protocol(protocols: Protocols, tls: Option<&TlsInfo>, input: &[u8]) -> Detected {
    let Protocols { http1, unencrypted_http2, .. } = protocols;
    let agreed = tls.map(|tls| tls.alpn.as_deref() == Some(b"h2"));
    if agreed == Some(true) {
        // RFC 9113 §3.4: what is no preface is a connection error there, and no request of HTTP/1.
        return Detected::Http2;
    }
    match (agreed.unwrap_or(unencrypted_http2), http2::preface(input)) {
        (true, Preface::Whole) => Detected::Http2,
        (true, Preface::Partial) => Detected::Undecided,
        _ if http1 => Detected::Http1,
        _ => Detected::Neither,
    }
}
