//! How a connection begins: the handshake, where there is one.
//!
//! All of it counts against the deadline of the first head, from accept on. A peer that stalls here
//! is as silent as one that never sends a head: shutdowns and new connections find it so.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::close_reason::CloseReason;
use super::event::ServerEvent;
use super::http1::connection::{Connection, NoHead};
use super::registry::Entry;
use crate::error::{Error, Phase, Refusal, Result};
use crate::net::{Io, NoSession, Secured, TlsAccept, Unsecured};

/// Secures the connection where it is to be.
pub(crate) async fn open(connection: &mut Connection) -> Result<(), NoHead> {
    if let Some(secure) = connection.settings.secure.clone() {
        // Boxed: what a handshake needs is of no use to the connection afterwards.
        Box::pin(handshake(connection, &*secure)).await?;
    }
    Ok(())
}

/// Puts a secured stream in the place of the connection's. One that could not be secured is put
/// back as it was, so that the peer can read why.
async fn handshake(connection: &mut Connection, secure: &dyn TlsAccept) -> Result<(), NoHead> {
    let Some(io) = connection.conn_io.lock().take_io() else { return Err(NoHead::Silent(CloseReason::Hijacked)) };
    let (stream, _) = io.into_parts();
    let until = connection.settings.head_timeout.map(|limit| connection.accepted + limit);
    let ended = within_limits(&connection.registration.entry, until, secure.secure(stream)).await;
    let (stream, ended) = match ended {
        Ok(Ok(Secured { stream, info })) => {
            connection.tls = Some(info);
            (stream, Ok(()))
        }
        Ok(Err(Unsecured { stream, reason: NoSession::PlainHttp })) => {
            (stream, Err(NoHead::Refused(Refusal::bad("client sent an HTTP request to an HTTPS server"))))
        }
        Ok(Err(Unsecured { stream, reason: NoSession::Failed(error) })) => {
            report(connection, error);
            (stream, Err(NoHead::Silent(CloseReason::HandshakeFailed)))
        }
        Err(reason) => {
            if reason == CloseReason::HeadTimeout {
                report(connection, Error::timed_out(Phase::Tls));
            }
            return Err(NoHead::Silent(reason));
        }
    };
    connection.conn_io.lock().put_io(Io::boxed(stream));
    ended
}

/// The outcome of a handshake, unless its time is over or the connection has to go. An outcome that
/// is there counts, however late it is seen.
async fn within_limits<T>(
    entry: &Entry,
    until: Option<Instant>,
    securing: impl Future<Output = T>,
) -> Result<T, CloseReason> {
    let mut securing = pin!(securing);
    let mut late = pin!(until.map(sleep_until));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = securing.as_mut().poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        if let Some(reason) = entry.command().close_reason() {
            return Poll::Ready(Err(reason));
        }
        match late.as_mut().as_pin_mut().map(|late| late.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(CloseReason::HeadTimeout)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}

fn report(connection: &Connection, error: Error) {
    let remote_addr = connection.registration.info.remote_addr.clone();
    connection.settings.report(&ServerEvent::HandshakeFailed { remote_addr, error });
}
