//! The usual dialer: a name, its addresses, a race between them.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpSocket;

use super::race::{Failures, order, race};
use super::resolve::{Resolve, SystemResolver};
use super::watch::{watched_connect, watched_lookup};
use super::{Dial, DialTarget, DialedStream, connect_error};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::Addr;

/// RFC 8305 §8.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Go's.
const KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(15);

/// Dials TCP (Go's `net.Dialer`).
///
/// A name's addresses race (RFC 8305): IPv6 and IPv4 take turns, beginning with whichever the
/// resolver put first; each has 250 ms before the next is tried beside it, or less when it fails;
/// the first connection wins and the other attempts are dropped. IP addresses are dialled without a
/// lookup, those with a zone (`fe80::1%eth0`) by way of the resolver, which knows the zones.
///
/// There is no time limit here: the transport's `connect_timeout` is over the whole dial.
///
/// Errors name each address and what it failed with, in one line. Their kind is
/// [`Resolve`](ErrorKind::Resolve) where no address was found, and [`Io`](ErrorKind::Io) where none
/// could be reached.
#[derive(Clone)]
pub struct TcpDialer {
    resolver: Arc<dyn Resolve>,
    attempt_delay: Option<Duration>,
    keep_alive: Option<Duration>,
    no_delay: bool,
    local_address: Option<IpAddr>,
    address_check: Option<Arc<dyn Fn(SocketAddr) -> io::Result<()> + Send + Sync>>,
}

impl TcpDialer {
    /// A dialer with the defaults: the system's resolver, 250 ms between attempts, keep-alive
    /// probes after 15 s, no delay of small writes, any local address.
    pub fn new() -> TcpDialer {
        TcpDialer {
            resolver: Arc::new(SystemResolver::new()),
            attempt_delay: Some(ATTEMPT_DELAY),
            keep_alive: Some(KEEP_ALIVE_PERIOD),
            no_delay: true,
            local_address: None,
            address_check: None,
        }
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: impl Resolve) -> TcpDialer {
        TcpDialer { resolver: Arc::new(resolver), ..self }
    }

    /// The same with another pause between the attempts of a race, 250 ms by default. With 0 there
    /// is no race: the next address is tried when the one before has failed.
    #[must_use]
    pub fn with_attempt_delay(self, delay: Duration) -> TcpDialer {
        TcpDialer { attempt_delay: Some(delay).filter(|delay| !delay.is_zero()), ..self }
    }

    /// The same with another time after which, and interval in which, the system probes a silent
    /// peer: 15 s by default. With 0 it does not.
    #[must_use]
    pub fn with_keep_alive(self, period: Duration) -> TcpDialer {
        TcpDialer { keep_alive: Some(period).filter(|period| !period.is_zero()), ..self }
    }

    /// The same with small writes sent at once (`true`, the default) or gathered (Nagle).
    #[must_use]
    pub fn with_no_delay(self, no_delay: bool) -> TcpDialer {
        TcpDialer { no_delay, ..self }
    }

    /// The same with connections that come from this address. Peers of the other family are not
    /// dialled.
    #[must_use]
    pub fn with_local_address(self, address: IpAddr) -> TcpDialer {
        TcpDialer { local_address: Some(address), ..self }
    }

    /// The same with a check of each address before it is connected to, after all names are resolved:
    /// where a service fetches what its users name, this is the place to refuse addresses of the inside
    /// (Go's `Dialer.Control`). An address that is refused counts as one that failed. With a proxy it
    /// is the proxy's address that is checked.
    ///
    /// ```
    /// use std::io;
    /// use nethttp::net::TcpDialer;
    ///
    /// let dialer = TcpDialer::new().with_address_check(|addr| match addr.ip().is_loopback() {
    ///     true => Err(io::Error::new(io::ErrorKind::PermissionDenied, "not allowed")),
    ///     false => Ok(()),
    /// });
    /// ```
    #[must_use]
    pub fn with_address_check(self, check: impl Fn(SocketAddr) -> io::Result<()> + Send + Sync + 'static) -> TcpDialer {
        TcpDialer { address_check: Some(Arc::new(check)), ..self }
    }

    async fn addresses(&self, target: &DialTarget<'_>) -> Result<Vec<SocketAddr>> {
        let mut addrs = match target.host().parse() {
            Ok(ip) => vec![SocketAddr::new(ip, target.port())],
            Err(_) => self.look_up(target).await?,
        };
        if let Some(local) = self.local_address {
            addrs.retain(|addr| addr.is_ipv6() == local.is_ipv6());
        }
        if addrs.is_empty() {
            let family = self.local_address.map_or("", |local| if local.is_ipv6() { " for IPv6" } else { " for IPv4" });
            return Err(resolve_error(format!("{} has no address{family}", target.host())));
        }
        Ok(addrs)
    }

    async fn look_up(&self, target: &DialTarget<'_>) -> Result<Vec<SocketAddr>> {
        let host = target.host();
        if host.is_empty() {
            return Err(resolve_error("there is no host to connect to".into()));
        }
        let lookup = self.resolver.resolve(host, target.port());
        let resolved = watched_lookup(target.watch(), host, lookup).await;
        let resolved = resolved.map_err(|error| resolve_error(format!("{host} has no address")).with_source(error))?;
        Ok(resolved.addrs)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<DialedStream> {
        if let Some(check) = &self.address_check {
            check(addr)?;
        }
        for _ in 0..MAX_SELF_CONNECT_COUNT {
            let stream = self.socket(addr)?.connect(addr).await?;
            let local = stream.local_addr()?;
            if local != addr {
                return Ok(DialedStream::new(stream).with_addrs(Addr::Tcp(local), Addr::Tcp(addr)));
            }
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn socket(&self, addr: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if addr.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // If one of these options cannot be set, the connection is still good.
        let _ = socket.set_nodelay(self.no_delay);
        if let Some(period) = self.keep_alive {
            let probes = TcpKeepalive::new().with_time(period).with_interval(period);
            let _ = SockRef::from(&socket).set_tcp_keepalive(&probes);
        }
        if let Some(local) = self.local_address {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        Ok(socket)
    }
}

/// Where nothing listens on a port of this machine, the system may choose the same port for this end
/// and connect the socket to itself. Then the dial is repeated, with another local port, and in the end
/// fails as it should: connection refused (Go's rule).
const MAX_SELF_CONNECT_COUNT: usize = 3;

impl Default for TcpDialer {
    fn default() -> TcpDialer {
        TcpDialer::new()
    }
}

impl Dial for TcpDialer {
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        Box::pin(async move {
            let addrs = order(&self.addresses(target).await?);
            let attempt =
                |addr| async move { watched_connect(target.watch(), &Addr::Tcp(addr), self.connect(addr)).await };
            let winner = race(&addrs, self.attempt_delay, attempt).await;
            winner.map_err(|failures| unreachable(target, failures))
        })
    }
}

impl fmt::Debug for TcpDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpDialer")
            .field("attempt_delay", &self.attempt_delay)
            .field("keep_alive", &self.keep_alive)
            .field("no_delay", &self.no_delay)
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

fn resolve_error(message: String) -> Error {
    Error::new(ErrorKind::Resolve, message).during(Phase::Resolve)
}

/// One error for all attempts, with the kind that the system gave the first. The last is its source,
/// whose text ends the message.
fn unreachable(target: &DialTarget<'_>, mut failures: Failures) -> io::Error {
    let kind = failures.first().map_or(io::ErrorKind::Other, |(_, error)| error.kind());
    let last = failures.pop();
    let mut message = format!("{target} cannot be reached");
    for (at, (addr, error)) in failures.iter().enumerate() {
        message += &format!("{} {addr}: {error}", if at == 0 { ":" } else { ";" });
    }
    let Some((addr, error)) = last else { return io::Error::new(kind, connect_error(message)) };
    // A target that is an address was named already.
    if addr.to_string() != target.to_string() {
        message += &format!("{} {addr}", if failures.is_empty() { ":" } else { ";" });
    }
    io::Error::new(kind, connect_error(message).with_source(error))
}

/// On Linux, where the loopback device has more addresses than one.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;
    use crate::net::dial::{DialWatch, FixedResolver, Resolved, dial};

    /// What was told, a line for each call.
    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn lines(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn tell(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    impl DialWatch for Told {
        fn dns_start(&self, host: &str) {
            self.tell(format!("dns_start {host}"));
        }

        fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
            self.tell(format!(
                "dns_done {host} {:?}",
                result.map(|resolved| resolved.addrs.len()).map_err(io::Error::kind)
            ));
        }

        fn connect_start(&self, addr: &Addr) {
            self.tell(format!("connect_start {}", addr.ip().unwrap()));
        }

        fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
            self.tell(format!("connect_done {} {:?}", addr.ip().unwrap(), result.map_err(io::Error::kind)));
        }
    }

    /// A listener of this machine, its address, and one with the same port where nobody listens: other
    /// tests listen on 127.0.0.1 alone.
    async fn places() -> (TcpListener, SocketAddr, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        (listener, open, SocketAddr::from(([127, 0, 0, 2], open.port())))
    }

    fn dialer(host: &str, addrs: &[SocketAddr]) -> TcpDialer {
        TcpDialer::new().with_resolver(FixedResolver::only().with_addrs(host, 80, addrs.iter().copied()))
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_its_addresses_tried_and_each_step_is_observed() {
        let (listener, open, closed) = places().await;
        let told = Told::default();
        let dialer = dialer("a.test", &[closed, open]);
        let connection = dial(&dialer, &DialTarget::new("a.test", 80).with_watch(&told)).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!((connection.local_addr(), connection.remote_addr()), (&Addr::Tcp(peer), &Addr::Tcp(open)));
        let expected = [
            "dns_start a.test",
            "dns_done a.test Ok(2)",
            "connect_start 127.0.0.2",
            "connect_done 127.0.0.2 Err(ConnectionRefused)",
            "connect_start 127.0.0.1",
            "connect_done 127.0.0.1 Ok(())",
        ];
        assert_eq!(told.lines(), expected);
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        let (_listener, open, _) = places().await;
        let told = Told::default();
        let dialer = TcpDialer::new().with_resolver(FixedResolver::only());
        dial(&dialer, &DialTarget::new("127.0.0.1", open.port()).with_watch(&told)).await.unwrap();
        assert_eq!(told.lines(), ["connect_start 127.0.0.1", "connect_done 127.0.0.1 Ok(())"]);
    }

    #[tokio::test]
    async fn a_total_failure_names_each_address_and_its_error_in_one_line() {
        let (_listener, open, closed) = places().await;
        let other = SocketAddr::from(([127, 0, 0, 3], open.port()));
        let refusing = dialer("a.test", &[closed, other]);
        let target = DialTarget::new("a.test", 80);
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let error = dial(&refusing, &target).await.unwrap_err();
        let expected =
            format!("a.test:80 cannot be reached: {closed}: {refused}; {other}: {refused} (while connecting)");
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Connect)));
        assert_eq!(refusing.dial(&target).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

        let one = dial(&TcpDialer::new(), &DialTarget::new("127.0.0.2", open.port())).await.unwrap_err();
        assert_eq!(one.to_string(), format!("{closed} cannot be reached: {refused} (while connecting)"));
    }

    #[tokio::test]
    async fn without_an_address_the_name_is_to_blame() {
        let told = Told::default();
        for (dialer, host, line) in [
            (dialer("a.test", &[]), "a.test", "a.test has no address (while resolving the name)"),
            (
                dialer("a.test", &[]),
                "b.test",
                "b.test has no address: it is not in the table (while resolving the name)",
            ),
            (dialer("", &[]), "", "there is no host to connect to (while resolving the name)"),
            (
                TcpDialer::new().with_local_address("::1".parse().unwrap()),
                "127.0.0.1",
                "127.0.0.1 has no address for IPv6 (while resolving the name)",
            ),
        ] {
            let error = dial(&dialer, &DialTarget::new(host, 80).with_watch(&told)).await.unwrap_err();
            assert_eq!(error.to_string(), line);
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Resolve, Some(Phase::Resolve)));
        }
        let expected =
            ["dns_start a.test", "dns_done a.test Ok(0)", "dns_start b.test", "dns_done b.test Err(NotFound)"];
        assert_eq!(told.lines(), expected);
    }

    #[tokio::test]
    async fn an_address_that_the_check_refuses_is_not_connected_to() {
        let (listener, open, _) = places().await;
        let check = |addr: SocketAddr| match addr.ip().is_loopback() {
            true => Err(io::Error::new(io::ErrorKind::PermissionDenied, "of the inside")),
            false => Ok(()),
        };
        let error = dial(&dialer("a.test", &[open]).with_address_check(check), &DialTarget::new("a.test", 80)).await;
        let line = format!("a.test:80 cannot be reached: {open}: of the inside (while connecting)");
        assert_eq!(error.unwrap_err().to_string(), line);
        let nobody_came =
            std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_pending())).await;
        assert!(nobody_came);
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_local_address_with_its_options_set() {
        let (_listener, open, _) = places().await;
        let dialer = TcpDialer::new().with_local_address("127.0.0.4".parse().unwrap());
        let connection = dial(&dialer, &DialTarget::new("127.0.0.1", open.port())).await.unwrap();
        assert_eq!(connection.local_addr().ip(), Some("127.0.0.4".parse().unwrap()));

        let socket = dialer.socket(open).unwrap();
        assert!(socket.nodelay().unwrap() && socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&socket).tcp_keepalive_time().unwrap(), KEEP_ALIVE_PERIOD);
        let plain = TcpDialer::new().with_keep_alive(Duration::ZERO).with_no_delay(false).socket(open).unwrap();
        assert!(!plain.nodelay().unwrap() && !plain.keepalive().unwrap());
    }

    #[tokio::test]
    async fn a_dial_that_is_given_up_says_so_for_what_it_had_begun() {
        /// Never answers.
        struct Silent;

        impl Resolve for Silent {
            fn resolve<'a>(
                &'a self,
                _: &'a str,
                _: u16,
            ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
                Box::pin(std::future::pending())
            }
        }

        let (told, dialer) = (Told::default(), TcpDialer::new().with_resolver(Silent));
        let target = DialTarget::new("a.test", 80).with_watch(&told);
        let mut dialling = dialer.dial(&target);
        let is_waiting =
            std::future::poll_fn(|cx| std::task::Poll::Ready(dialling.as_mut().poll(cx).is_pending())).await;
        assert!(is_waiting);
        drop(dialling);
        assert_eq!(told.lines(), ["dns_start a.test", "dns_done a.test Err(Interrupted)"]);
    }
}
