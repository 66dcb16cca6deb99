//! The observer of a dial. Each step that is reported as begun is also reported as over, even when the dial
//! is dropped.

use std::io;

use super::resolve::Resolved;
use crate::message::Addr;

/// What happens while a connection is made, for traces and timings (Go's `httptrace`).
///
/// Each `start` is followed by one `done`, also when the dial is given up. All methods do nothing
/// unless they are written. They are called in the middle of the dial and should be quick.
pub trait DialWatch: Send + Sync {
    /// A name is about to be looked up. Not called for IP addresses.
    fn dns_start(&self, host: &str) {
        let _ = host;
    }

    /// The name has addresses, or the lookup failed.
    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        let _ = (host, result);
    }

    /// A connection to this address is begun. Several may be under way at once.
    fn connect_start(&self, addr: &Addr) {
        let _ = addr;
    }

    /// There is a connection to this address, or none came about. An attempt that is given up
    /// because another was faster fails with [`Interrupted`](io::ErrorKind::Interrupted).
    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        let _ = (addr, result);
    }
}

/// Waits for a connection to this address and reports to the observer.
pub(super) async fn watched_connect<T>(
    watch: Option<&dyn DialWatch>,
    addr: &Addr,
    connecting: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(watch) = watch else { return connecting.await };
    watch.connect_start(addr);
    let given_up = OnDrop(Some(|| watch.connect_done(addr, Err(&io::ErrorKind::Interrupted.into()))));
    let result = connecting.await;
    given_up.disarm();
    watch.connect_done(addr, result.as_ref().map(drop));
    result
}

/// Waits for addresses and reports to the observer.
pub(super) async fn watched_lookup(
    watch: Option<&dyn DialWatch>,
    host: &str,
    lookup: impl Future<Output = io::Result<Resolved>>,
) -> io::Result<Resolved> {
    let Some(watch) = watch else { return lookup.await };
    watch.dns_start(host);
    let given_up = OnDrop(Some(|| watch.dns_done(host, Err(&io::ErrorKind::Interrupted.into()))));
    let result = lookup.await;
    given_up.disarm();
    watch.dns_done(host, result.as_ref());
    result
}

/// Does something when it is dropped, unless it was disarmed before.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}
