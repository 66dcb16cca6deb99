//! On Linux, where the loopback device has more addresses than one.
#![cfg(target_os = "linux")]

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
async fn a_name_is_looked_up_and_its_addresses_tried_and_all_of_it_told() {
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
async fn a_total_failure_tells_each_address_and_its_error_in_one_line() {
    let (_listener, open, closed) = places().await;
    let other = SocketAddr::from(([127, 0, 0, 3], open.port()));
    let refusing = dialer("a.test", &[closed, other]);
    let target = DialTarget::new("a.test", 80);
    let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
    let error = dial(&refusing, &target).await.unwrap_err();
    let expected = format!("a.test:80 cannot be reached: {closed}: {refused}; {other}: {refused} (while connecting)");
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
        (dialer("a.test", &[]), "b.test", "b.test has no address: it is not in the table (while resolving the name)"),
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
    let expected = ["dns_start a.test", "dns_done a.test Ok(0)", "dns_start b.test", "dns_done b.test Err(NotFound)"];
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
    let nobody_came = std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_pending())).await;
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
    assert_eq!(SockRef::from(&socket).tcp_keepalive_time().unwrap(), KEEP_ALIVE);
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
    let is_waiting = std::future::poll_fn(|cx| std::task::Poll::Ready(dialling.as_mut().poll(cx).is_pending())).await;
    assert!(is_waiting);
    drop(dialling);
    assert_eq!(told.lines(), ["dns_start a.test", "dns_done a.test Err(Interrupted)"]);
}
