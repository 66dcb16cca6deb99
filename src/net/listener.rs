//! Listeners: where a server's connections come from.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::message::Addr;

/// A source of connections: a TCP or a Unix listener, or anything of the user's own that yields
/// byte streams.
///
/// ```no_run
/// # use nethttp::net::{Addr, Listener};
/// /// Takes connections from a channel.
/// struct Handed(tokio::sync::mpsc::Receiver<tokio::io::DuplexStream>);
///
/// impl Listener for Handed {
///     type Stream = tokio::io::DuplexStream;
///
///     async fn accept(&mut self) -> std::io::Result<(Self::Stream, Addr)> {
///         let stream = self.0.recv().await.ok_or(std::io::ErrorKind::BrokenPipe)?;
///         Ok((stream, Addr::Named("channel".into())))
///     }
///
///     fn local_addr(&self) -> Addr {
///         Addr::Named("here".into())
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// The streams that it yields.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Waits for the next connection. Must be cancel safe.
    ///
    /// # Errors
    /// After a temporary one (out of file descriptors, a peer that left before it was accepted) the
    /// server waits a little and tries again; any other ends serving.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, Addr)>> + Send;

    /// Where it listens.
    fn local_addr(&self) -> Addr;

    /// Called once, before the first [`accept`](Self::accept): for options that connections inherit
    /// from their listener. The default does nothing.
    fn prepare(&self) {}
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Addr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        if !INHERITED {
            set_options(&SockRef::from(&stream));
        }
        Ok((stream, Addr::of_socket(peer)))
    }

    fn prepare(&self) {
        set_options(&SockRef::from(self));
    }

    fn local_addr(&self) -> Addr {
        TcpListener::local_addr(self).map_or_else(|_| Addr::unknown(), Addr::Tcp)
    }
}

/// Whether connections inherit the options of their listener. That saves four system calls for each.
const INHERITED: bool = cfg!(target_os = "linux");

/// Responses are written whole, so Nagle's algorithm would only delay them; keep-alive probes find
/// peers that have vanished (Go's 15 s). If an option cannot be set, the connection is still good.
fn set_options(socket: &SockRef<'_>) {
    let _ = socket.set_tcp_nodelay(true);
    let probes = TcpKeepalive::new().with_time(KEEP_ALIVE_PERIOD).with_interval(KEEP_ALIVE_PERIOD);
    let _ = socket.set_tcp_keepalive(&probes);
}

const KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(15);

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Stream, Addr)> {
        let (stream, peer) = tokio::net::UnixListener::accept(self).await?;
        Ok((stream, Addr::Unix(peer.as_pathname().map(Arc::from))))
    }

    fn local_addr(&self) -> Addr {
        let addr = tokio::net::UnixListener::local_addr(self).ok();
        Addr::Unix(addr.and_then(|addr| addr.as_pathname().map(Arc::from)))
    }
}

/// Listens where the address says; Go's rules: no host is all interfaces (IPv6 and, where the
/// machine has none, IPv4), no address at all is port 80.
pub(crate) async fn bind_tcp(addr: &str) -> io::Result<TcpListener> {
    match on_all_interfaces(addr)? {
        Some(port) => {
            let everywhere = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), (Ipv4Addr::UNSPECIFIED, port).into()];
            TcpListener::bind(&everywhere[..]).await
        }
        None => TcpListener::bind(addr).await,
    }
}

/// Listens on a free port that only this machine reaches: of IPv4, and of IPv6 where there is no IPv4.
pub(crate) fn bind_loopback() -> io::Result<TcpListener> {
    let on_either = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (Ipv6Addr::LOCALHOST, 0).into()];
    let listener = std::net::TcpListener::bind(&on_either[..])?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The port, when the address names no host.
fn on_all_interfaces(addr: &str) -> io::Result<Option<u16>> {
    if addr.is_empty() {
        return Ok(Some(80));
    }
    let Some(port) = addr.strip_prefix(':') else { return Ok(None) };
    let port =
        port.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the port is no number to 65535"))?;
    Ok(Some(port))
}

/// Listens beside others on the same address: the system spreads connections over them.
pub(crate) fn bind_reuse_port(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG_COUNT)?;
    Ok(socket.into())
}

const BACKLOG_COUNT: i32 = 1024;

/// A listener of the standard library's on the present runtime.
pub(crate) fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Whether a failure to accept is temporary: the peer left, or a resource has run out.
pub(crate) fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, OutOfMemory, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | OutOfMemory | TimedOut | WouldBlock)
        || is_out_of_descriptors(error)
}

#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::PROTO))
}

#[cfg(not(unix))]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    const WSAEMFILE: i32 = 10024;
    const WSAENOBUFS: i32 = 10055;
    matches!(error.raw_os_error(), Some(WSAEMFILE | WSAENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_host_or_all() {
        assert_eq!(on_all_interfaces("").unwrap(), Some(80));
        assert_eq!(on_all_interfaces(":8000").unwrap(), Some(8000));
        assert_eq!(on_all_interfaces("127.0.0.1:0").unwrap(), None);
        assert!(on_all_interfaces(":99999").is_err());
    }

    #[tokio::test]
    async fn a_connection_does_not_delay_and_finds_out_that_its_peer_is_gone() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Listener::prepare(&listener);
        let _peer = TcpStream::connect(addr).await.unwrap();
        let (stream, _) = Listener::accept(&mut listener).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&stream).tcp_keepalive_time().unwrap(), KEEP_ALIVE_PERIOD);
    }

    #[tokio::test]
    async fn a_peer_over_ipv4_has_its_own_address_on_a_listener_for_both_families() {
        // A machine without IPv6 has nothing to show here.
        let Ok(mut listener) = TcpListener::bind("[::]:0").await else { return };
        let port = TcpListener::local_addr(&listener).unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let ip: std::net::IpAddr = host.parse().unwrap();
            let Ok(client) = TcpStream::connect((ip, port)).await else { continue };
            let (stream, peer) = Listener::accept(&mut listener).await.unwrap();
            assert_eq!(peer, Addr::Tcp(client.local_addr().unwrap()));
            assert_eq!(crate::net::Io::new(stream).local_addr(), Some(Addr::Tcp((ip, port).into())));
        }
        assert!(Listener::local_addr(&listener).is_wildcard());
    }

    #[cfg(unix)]
    #[test]
    fn running_out_of_descriptors_passes_and_a_closed_socket_does_not() {
        assert!(is_temporary(&rustix::io::Errno::MFILE.into()));
        assert!(is_temporary(&rustix::io::Errno::NFILE.into()));
        assert!(is_temporary(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_temporary(&rustix::io::Errno::BADF.into()));
        assert!(!is_temporary(&io::ErrorKind::BrokenPipe.into()));
    }
}
