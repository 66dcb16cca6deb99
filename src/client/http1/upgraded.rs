//! A connection that speaks another protocol now: after a 101, or a 2xx to CONNECT.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::super::connect::PoolConnPermit;
use super::connection::Http1Conn;
use super::exchange::Exchange;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Addr, Frame, Response, Source};
use crate::net::{Rewind, delegate_read, delegate_write};

/// A connection that was taken over from a response: raw bytes both ways.
///
/// What came with the response's head is read first. A shutdown says that nothing more comes and
/// leaves the other direction open. Dropped, it closes the connection. It counts against
/// [`max_conns_per_host`](crate::Transport::max_conns_per_host) until then.
pub struct Upgraded {
    stream: Rewind,
    remote_addr: Addr,
    #[expect(dead_code, reason = "freed when this is dropped")]
    permit: PoolConnPermit,
}

impl Response {
    /// Takes the connection over (RFC 9110 §7.8), after a 101 to a request with `Upgrade` and
    /// after a 2xx to CONNECT. What of it was read as the body is gone; the body reads as an
    /// error afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the connection still speaks HTTP, and when it was taken
    /// before.
    ///
    /// ```no_run
    /// use nethttp::{Client, Request, StatusCode};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # async fn example(client: Client) -> nethttp::Result<()> {
    /// let mut request = Request::get("http://127.0.0.1:8000/echo")?;
    /// request.header.set("Connection", "Upgrade");
    /// request.header.set("Upgrade", "echo");
    /// let mut response = client.send(request).await?;
    /// assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    /// response.upgrade()?.write_all(b"hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upgrade(&mut self) -> Result<Upgraded> {
        let switched = self.info.as_ref().and_then(|info| info.switched.clone());
        let switched = switched.and_then(|switched| switched.downcast::<Switched>().ok());
        let Some((http1, permit)) = switched.and_then(|switched| switched.lock().take()) else {
            return Err(Error::new(ErrorKind::Unsupported, "the connection cannot be taken over"));
        };
        let Http1Conn { io, info, .. } = *http1;
        Ok(Upgraded { stream: io.into_rewind(), remote_addr: info.remote_addr.clone(), permit })
    }
}

/// The connection while both the response's body and `upgrade` can take it.
pub(super) struct Switched(Mutex<Option<(Box<Http1Conn>, PoolConnPermit)>>);

impl Switched {
    pub(super) fn new(exchange: Box<Exchange>) -> Arc<Switched> {
        Arc::new(Switched(Mutex::new(Some(exchange.into_parts()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Box<Http1Conn>, PoolConnPermit)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes as the body of the response, until the connection ends.
pub(super) struct SwitchedBody(pub(super) Arc<Switched>);

/// The size of one read.
const MAX_READ_BYTES: usize = 64 * 1024;

impl Source for SwitchedBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut taken = self.0.lock();
        let Some((http1, _)) = &mut *taken else {
            let error = Error::new(ErrorKind::Hijacked, "the connection of this body was taken over");
            return Poll::Ready(Some(Err(error)));
        };
        let io = &mut http1.io;
        if !io.input.is_empty() {
            let here = io.input.split().freeze();
            return Poll::Ready(Some(Ok(Frame::Data(here))));
        }
        let chunk: Bytes =
            ready!(io.poll_read(cx, MAX_READ_BYTES)).map_err(|error| Error::from(error).during(Phase::Body))?;
        Poll::Ready((!chunk.is_empty()).then_some(Ok(Frame::Data(chunk))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

delegate_read!(Upgraded, stream);
delegate_write!(Upgraded, stream);

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("remote_addr", &self.remote_addr).finish_non_exhaustive()
    }
}
