//! Outgoing connections: names become addresses, and addresses connections.
//!
//! A [`Dial`] turns a host and a port into a byte stream. The usual one, [`TcpDialer`], asks a
//! [`Resolve`] for addresses and lets them race (RFC 8305). There are no time limits here except those
//! of the race: a caller gives up by dropping the future, which ends everything that the dial has
//! begun.

mod race;
mod resolve;
mod tcp;
#[cfg(unix)]
mod unix;
mod watch;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

pub use resolve::{FixedResolver, Resolve, Resolved, SystemResolver};
pub use tcp::TcpDialer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
pub use unix::UnixDialer;
pub use watch::DialWatch;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::Addr;
use crate::net::stream::{Stream, delegate_read, delegate_write};

/// Makes byte streams to a host and a port (Go's `Transport.DialContext`).
///
/// With a proxy, the target is the proxy. A stream comes without TLS: that is laid over it
/// afterwards.
///
/// ```
/// use std::future::Future;
/// use std::io;
/// use std::pin::Pin;
/// use nethttp::net::{Dial, DialTarget, DialedStream, TcpDialer};
///
/// /// Counts, and lets another dial.
/// struct Counted(TcpDialer, std::sync::atomic::AtomicU64);
///
/// impl Dial for Counted {
///     fn dial<'a>(
///         &'a self,
///         target: &'a DialTarget<'a>,
///     ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
///         self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.0.dial(target)
///     }
/// }
/// ```
///
/// Where there is no state to keep, a function is enough: see [`dial_fn`].
pub trait Dial: Send + Sync + 'static {
    /// Dials. The future is dropped when its time is over or the connection is no longer needed; that
    /// must end everything that it has begun.
    ///
    /// # Errors
    /// Any; an [`Error`](crate::Error) that is wrapped in the `io::Error` is unwrapped.
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>>;
}

impl<D: Dial + ?Sized> Dial for Arc<D> {
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        (**self).dial(target)
    }
}

impl<D: Dial + ?Sized> Dial for Box<D> {
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        (**self).dial(target)
    }
}

/// A dialer from an asynchronous function of host and port.
///
/// ```
/// use nethttp::net::{DialedStream, dial_fn};
///
/// let (stream, _peer) = tokio::io::duplex(1024);
/// let stream = std::sync::Mutex::new(Some(stream));
/// let dialer = dial_fn(move |_host, _port| {
///     let stream = stream.lock().unwrap().take();
///     async { stream.map(DialedStream::new).ok_or(std::io::ErrorKind::ConnectionRefused.into()) }
/// });
/// ```
pub fn dial_fn<F, Fut>(dial: F) -> impl Dial
where
    F: Fn(String, u16) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<DialedStream>> + Send + 'static,
{
    DialFn(dial)
}

struct DialFn<F>(F);

impl<F, Fut> Dial for DialFn<F>
where
    F: Fn(String, u16) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<DialedStream>> + Send + 'static,
{
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        Box::pin((self.0)(target.host().to_owned(), target.port()))
    }
}

/// The target of a dial, and the observer of the dial.
///
/// Displayed as `host:port`, an IPv6 address in brackets.
#[derive(Clone, Copy)]
pub struct DialTarget<'a> {
    host: &'a str,
    port: u16,
    watch: Option<&'a dyn DialWatch>,
}

impl<'a> DialTarget<'a> {
    /// A name or an IP address, and a port. An IPv6 address may stand in brackets.
    pub fn new(host: &'a str, port: u16) -> DialTarget<'a> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        DialTarget { host: bare.unwrap_or(host), port, watch: None }
    }

    /// The same with an observer.
    #[must_use]
    pub fn with_watch(self, watch: &'a dyn DialWatch) -> DialTarget<'a> {
        DialTarget { watch: Some(watch), ..self }
    }

    /// The name or the IP address, without brackets. A name comes in the form that DNS has (IDNA).
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The observer of the dial. A dialer may report its steps to it, and need not.
    pub fn watch(&self) -> Option<&'a dyn DialWatch> {
        self.watch
    }
}

impl fmt::Display for DialTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for DialTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DialTarget({self})")
    }
}

/// A connection that was dialled: a byte stream and its two ends.
///
/// It is a stream itself, so that a dialer can wrap the stream of another.
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
        let addr = |addr: io::Result<std::net::SocketAddr>| addr.map_or_else(|_| Addr::unknown(), Addr::of_socket);
        let (local, remote) = (addr(stream.local_addr()), addr(stream.peer_addr()));
        DialedStream::new(stream).with_addrs(local, remote)
    }
}

delegate_read!(DialedStream, stream);
delegate_write!(DialedStream, stream);

impl fmt::Debug for DialedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DialedStream({} -> {})", self.local, self.remote)
    }
}

/// Dials, and turns a failure into an error of this crate, which names the target and the phase: a
/// user's own dialer does not know them.
pub(crate) async fn dial(dialer: &dyn Dial, target: &DialTarget<'_>) -> Result<DialedStream> {
    dialer.dial(target).await.map_err(|error| match error.downcast::<Error>() {
        Ok(ours) if ours.phase().is_some() => ours,
        Ok(ours) => ours.during(Phase::Connect),
        Err(error) => connect_error(format!("{target} cannot be reached")).with_source(error),
    })
}

fn connect_error(message: String) -> Error {
    Error::new(ErrorKind::Io, message).during(Phase::Connect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_displayed_as_host_and_port_with_brackets_where_they_belong() {
        for (host, shown) in
            [("a.test", "a.test:80"), ("[::1]", "[::1]:80"), ("::1", "[::1]:80"), ("1.2.3.4", "1.2.3.4:80")]
        {
            assert_eq!(DialTarget::new(host, 80).to_string(), shown);
        }
        assert_eq!(DialTarget::new("[::1]", 80).host(), "::1");
    }

    #[tokio::test]
    async fn a_dialer_of_the_users_own_fails_with_target_and_phase_in_the_line() {
        let refusing = dial_fn(|_, _| async { Err(io::Error::new(io::ErrorKind::ConnectionRefused, "no")) });
        let error = dial(&refusing, &DialTarget::new("a.test", 80)).await.unwrap_err();
        assert_eq!(error.to_string(), "a.test:80 cannot be reached: no (while connecting)");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Connect)));
    }

    #[test]
    fn a_dial_may_move_to_another_task() {
        fn is_send<T: Send>(_: T) {}
        is_send(dial(&TcpDialer::new(), &DialTarget::new("a.test", 80)));
    }

    #[tokio::test]
    async fn an_error_of_ours_goes_through_a_dialer_unchanged() {
        let failing = dial_fn(|_, _| async { Err(Error::new(ErrorKind::Resolve, "x").during(Phase::Resolve).into()) });
        let error = dial(&Arc::new(failing), &DialTarget::new("a.test", 80)).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Resolve, Some(Phase::Resolve)));
    }

    #[tokio::test]
    async fn a_function_gets_the_host_without_brackets_and_the_port() {
        let dialer = dial_fn(|host, port| async move {
            assert_eq!((&*host, port), ("::1", 8080));
            Ok(DialedStream::new(tokio::io::empty()))
        });
        let dialer: Box<dyn Dial> = Box::new(dialer);
        dial(&dialer, &DialTarget::new("[::1]", 8080)).await.unwrap();
    }
}
