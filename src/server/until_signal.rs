//! Serving until the system asks the program to end, as every program of a service does.
//!
//! One future does all of it, so that nothing goes on when it is dropped: it polls what serves, waits for a
//! signal, and says to a service manager how it goes. Then it polls the shutdown beside what serves, since the
//! accept loops close their listeners only when they are polled.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;

use super::first_of::{FirstOf, first_of};
use super::handler::Handler;
use super::server::{Server, ShutdownReport};
use super::service_manager::ServiceManager;
use crate::error::{ErrorKind, Result};

impl Server {
    /// Listens on [`addr`](Self::addr) and serves until the program is asked to end, then shuts down gracefully: all
    /// that the `main` of a service needs. [`until_signal`](Self::until_signal) says by what it is asked and what is
    /// done then, and does the same over TLS and for several listeners.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use nethttp::{Request, ResponseWriter, Result, Server};
    ///
    /// async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    ///     w.write("hello\n").await
    /// }
    ///
    /// # async fn main_of() -> Result<()> {
    /// let mut server = Server::new(hello);
    /// server.addr = "127.0.0.1:8000".into();
    /// server.shutdown_grace = Duration::from_secs(10);
    /// println!("{:?}", server.serve_until_signal().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`listen_and_serve`](Self::listen_and_serve), of which a shutdown is none.
    pub async fn serve_until_signal(&self) -> Result<ShutdownReport> {
        self.until_signal(self.listen_and_serve()).await
    }

    /// Awaits `serving`, which is one of this server's methods that serve or several of them together, until the
    /// program is asked to end, then shuts the server down gracefully.
    ///
    /// SIGTERM (service managers, `kill`, containers) and SIGINT (Ctrl-C) ask for it; on Windows Ctrl-C. Then
    /// listeners close, after [`shutdown_delay`](Self::shutdown_delay) if there is one, and requests under way are
    /// answered, within [`shutdown_grace`](Self::shutdown_grace) at most. A second signal cuts what is left and returns at once. Where the server is shut down otherwise
    /// ([`shutdown`](Self::shutdown), [`close`](Self::close)), this waits for its connections, too.
    ///
    /// A service manager that asks for it (systemd's `Type=notify`) is told when the server accepts connections and
    /// when it begins to end, and at intervals that it is alive: see
    /// [`ServiceManager`].
    ///
    /// From the first call on, these signals end the program by themselves no more, also when the future is
    /// done or dropped: the system has no way back that leaves other users of the signals alone. So let the program
    /// end after this. If the future is dropped, listeners close and connections go on. Several servers of one process
    /// are asked all at once. Called within a runtime whose I/O is enabled.
    ///
    /// ```no_run
    /// use nethttp::tls::TlsServerConfig;
    /// use nethttp::{Result, ServeMux, Server};
    ///
    /// # async fn main_of() -> Result<()> {
    /// let server = Server::new(ServeMux::new());
    /// let tls = TlsServerConfig::from_pem_files("site.pem", "site.key")?;
    /// let plain = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
    /// let secure = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
    /// let both = async { tokio::try_join!(server.serve(plain), server.serve_tls(secure, &tls)) };
    /// let report = server.until_signal(both).await?;
    /// println!("{} drained, {} cut", report.drained, report.cut);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of `serving`, except [`ErrorKind::ServerClosed`]: a port that is taken
    /// ends the program. [`ErrorKind::Io`] where the signals cannot be had.
    ///
    /// # Panics
    /// Outside of a runtime of tokio's.
    pub async fn until_signal<T>(&self, serving: impl Future<Output = Result<T>>) -> Result<ShutdownReport> {
        let manager = ServiceManager::from_env();
        let told = manager.as_ref();
        let beside = async {
            self.state().accepting.wait(0).await;
            // Where the manager cannot be told, serving goes on: it decides itself what to do then.
            let _ = told.map(ServiceManager::ready);
            keep_alive(told).await;
        };
        serve_until(self, serving, beside, told).await
    }
}

/// Listens on an address and serves a handler with the default settings until the program is asked to end, then shuts
/// down gracefully: [`listen_and_serve`](crate::listen_and_serve) for a program that signals end. `None` serves the
/// process-wide mux.
///
/// ```no_run
/// # use nethttp::{Request, ResponseWriter, Result, serve_until_signal};
/// # async fn main_of() -> Result<()> {
/// let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await;
/// let report = serve_until_signal("127.0.0.1:8000", hello).await?;
/// println!("{} requests were cut", report.cut);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Server::serve_until_signal`].
pub async fn serve_until_signal(addr: impl Into<String>, handler: impl Handler) -> Result<ShutdownReport> {
    let mut server = Server::new(handler);
    server.addr = addr.into();
    server.serve_until_signal().await
}

/// A shutdown closes connections that have sent nothing. Those that were accepted in the last moment get this time to
/// begin, or their first request would be lost (in Go they have 5 s).
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(2);

/// Awaits `serving` until a signal asks for the end or `beside` is done, and then shuts the server down. `beside` is
/// dropped before that. Where it is done, another process has the place of this one, and the manager has been told.
pub(super) async fn serve_until<T>(
    server: &Server,
    serving: impl Future<Output = Result<T>>,
    beside: impl Future<Output = ()>,
    manager: Option<&ServiceManager>,
) -> Result<ShutdownReport> {
    let mut signals = StopSignals::new()?;
    let mut serving = pin!(serving);
    let ended = {
        let asked = pin!(signals.next());
        let beside = pin!(beside);
        first_of(serving.as_mut(), pin!(first_of(asked, beside))).await
    };
    if !matches!(ended, FirstOf::Right(FirstOf::Right(()))) {
        // Where this fails nobody is left to be told.
        let _ = manager.map(ServiceManager::stopping);
    }
    match ended {
        FirstOf::Left(Err(error)) if error.kind() != ErrorKind::ServerClosed => Err(error),
        FirstOf::Left(_) => Ok(shut_down(server, &mut signals, Duration::ZERO).await),
        // What serves is polled no more, so nothing more is accepted: new connections are the successor's.
        FirstOf::Right(FirstOf::Right(())) => Ok(shut_down(server, &mut signals, FIRST_BYTES_TIMEOUT).await),
        FirstOf::Right(FirstOf::Left(())) => {
            let goes_on = async {
                // It ends with `ServerClosed`, as was asked for.
                let _ = serving.await;
                pending::<Infallible>().await
            };
            match first_of(pin!(shut_down(server, &mut signals, server.shutdown_delay)), pin!(goes_on)).await {
                FirstOf::Left(report) => Ok(report),
                FirstOf::Right(never) => match never {},
            }
        }
    }
}

/// Shuts down within the grace, after a time in which the server serves as before. A signal ends both.
async fn shut_down(server: &Server, signals: &mut StopSignals, delay: Duration) -> ShutdownReport {
    server.state().leaving.announce(0);
    // Without a delay a signal that is there already is left for the grace, which it ends.
    let is_urgent =
        !delay.is_zero() && matches!(first_of(pin!(sleep(delay)), pin!(signals.next())).await, FirstOf::Right(()));
    let grace = if is_urgent { Duration::ZERO } else { server.shutdown_grace };
    server.shutdown_until(async { first_of(pin!(sleep(grace)), pin!(signals.next())).await }).await
}

/// Tells a service manager at intervals that this process is alive. Never ends.
pub(super) async fn keep_alive(manager: Option<&ServiceManager>) {
    let Some((manager, interval)) = manager.and_then(|one| Some((one, one.watchdog_interval()?))) else {
        return pending().await;
    };
    loop {
        sleep(interval).await;
        let _ = manager.alive();
    }
}

/// The signals that ask a program to end.
pub(super) struct StopSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl StopSignals {
    #[cfg(unix)]
    pub(super) fn new() -> io::Result<StopSignals> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    pub(super) fn new() -> io::Result<StopSignals> {
        Ok(StopSignals { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    #[cfg(not(any(unix, windows)))]
    pub(super) fn new() -> io::Result<StopSignals> {
        Ok(StopSignals {})
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) {
        poll_fn(|cx| self.poll_next(cx)).await;
    }

    #[cfg(unix)]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let interrupt = self.interrupt.poll_recv(cx);
        let terminate = self.terminate.poll_recv(cx);
        if interrupt.is_ready() || terminate.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    #[cfg(windows)]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.interrupt.poll_recv(cx).map(|_| ())
    }

    #[cfg(not(any(unix, windows)))]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
