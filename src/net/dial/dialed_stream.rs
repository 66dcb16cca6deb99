//! What a dialer yields: a byte stream of any kind, and between whom it is.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::message::Addr;
use crate::net::io::Stream;
use crate::net::{delegate_read, delegate_write};

/// A connection that was dialled: a byte stream and its two ends.
///
/// It is a stream itself, so that a dialer can lay one of its own over what another made.
pub struct DialedStream {
    stream: Box<dyn Stream>,
    local: Addr,
    remote: Addr,
}

impl DialedStream {
    /// A connection over any byte stream. Its ends have no address until
    /// [`with_addrs`](DialedStream::with_addrs) gives them one.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> DialedStream {
        DialedStream { stream: Box::new(stream), local: Addr::unknown(), remote: Addr::unknown() }
    }

    /// The same with these ends: ours, and the peer's.
    #[must_use]
    pub fn with_addrs(self, local: Addr, remote: Addr) -> DialedStream {
        DialedStream { local, remote, ..self }
    }

    /// Our end.
    pub fn local_addr(&self) -> &Addr {
        &self.local
    }

    /// The peer's end.
    pub fn remote_addr(&self) -> &Addr {
        &self.remote
    }

    /// The stream, our end, the peer's end.
    pub(crate) fn into_parts(self) -> (Box<dyn Stream>, Addr, Addr) {
        (self.stream, self.local, self.remote)
    }
}

impl From<TcpStream> for DialedStream {
    fn from(stream: TcpStream) -> DialedStream {
        let addr = |addr: io::Result<std::net::SocketAddr>| addr.map_or_else(|_| Addr::unknown(), Addr::Tcp);
        let (local, remote) = (addr(stream.local_addr()), addr(stream.peer_addr()));
        DialedStream::new(stream).with_addrs(local, remote)
    }
}

delegate_read!(DialedStream, stream);
delegate_write!(DialedStream, stream);

impl fmt::Debug for DialedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} -> {})", self.local, self.remote)
    }
}
