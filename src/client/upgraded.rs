//! What becomes of a connection, or of one of its streams, that speaks another protocol now.

use std::fmt;
use std::sync::Arc;

use super::connect::PoolConnPermit;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Addr, Response};
use crate::net::{Stream, delegate_read, delegate_write};

/// A connection that was taken over from a response: raw bytes both ways.
///
/// What came with the response's head is read first. A shutdown says that nothing more comes and
/// leaves the other direction open. Dropped, it closes the connection. It counts against
/// [`max_conns_per_host`](crate::Transport::max_conns_per_host) until then.
///
/// Over HTTP/2 it is one stream of its connection, which others go on using: a shutdown ends this
/// side of the stream, and waits until what was written has left; dropped before, the stream is reset,
/// and what was not sent is lost.
pub struct Upgraded {
    stream: Box<dyn Stream>,
    remote_addr: Addr,
    /// Where the stream does not hold it itself; freed when this is dropped.
    _permit: Option<PoolConnPermit>,
}

impl Response {
    /// Takes the connection over (RFC 9110 §7.8), after a 101 to a request with `Upgrade` and
    /// after a 2xx to CONNECT. What of it was read as the body is gone; the body reads as an
    /// error afterwards.
    ///
    /// A transport that speaks HTTP/2 alone ([`ClientProtocols::Http2`](crate::client::ClientProtocols::Http2))
    /// sends a request with `Upgrade` as an extended CONNECT (RFC 8441), where the server's settings say
    /// that it takes one; otherwise the request fails with [`ErrorKind::Unsupported`], unsent. The
    /// server agrees with a 2xx there, and one stream is taken over. Other transports send such a
    /// request over HTTP/1.1.
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
        let switched = switched.and_then(|switched| switched.downcast::<SwitchedTo>().ok());
        let upgraded = switched.and_then(|switched| switched.0.take_over());
        upgraded.ok_or_else(|| Error::new(ErrorKind::Unsupported, "the connection cannot be taken over"))
    }
}

/// What has switched to another protocol, while both the response's body and `upgrade` can take it.
pub(super) trait TakeOver: Send + Sync + 'static {
    /// `None` where it was taken before, or is over.
    fn take_over(&self) -> Option<Upgraded>;
}

/// As a response holds it.
pub(super) struct SwitchedTo(pub(super) Arc<dyn TakeOver>);

impl Upgraded {
    pub(super) fn new(stream: impl Stream, remote_addr: Addr, permit: Option<PoolConnPermit>) -> Upgraded {
        Upgraded { stream: Box::new(stream), remote_addr, _permit: permit }
    }
}

delegate_read!(Upgraded, stream);
delegate_write!(Upgraded, stream);

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("remote_addr", &self.remote_addr).finish_non_exhaustive()
    }
}
