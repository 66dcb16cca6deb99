//! The server: its settings, serving, and shutdown.

use std::fmt;
use std::future::Future;
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Extensions;
use tokio::time::sleep;

use super::accept;
use super::error_info::ErrorInfo;
use super::event::{ConnInfo, ConnState, ServerEvent};
use super::first_of::{FirstOf, first_of};
use super::handler::{BoxHandler, Handler};
use super::record::RequestRecord;
use super::registry::Command;
use super::response::ResponseWriter;
use super::settings::{CallSettings, Http2Settings, Settings};
use super::state::State;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::HeadLimits;
use crate::message::{Addr, Protocols, Request, Response};
#[cfg(unix)]
use crate::net::bind_unix;
use crate::net::{Listener, TlsAccept, bind_tcp};

/// An HTTP server (Go's `Server`).
///
/// Made with [`Server::new`], changed through its fields, started with one of the `serve`
/// methods. The settings count as they are when serving begins. Clones share listeners,
/// connections and shutdown: keep one to end the server.
///
/// The timeouts that are on by default are safe for streams: they limit the time of a head as a whole,
/// but of a body only how long it may make no progress. [`Duration::ZERO`] switches a timeout off.
///
/// ```no_run
/// use std::time::Duration;
/// use nethttp::{Request, ResponseWriter, Server, ServeMux};
///
/// # async fn run() -> nethttp::Result<()> {
/// let mux = ServeMux::new();
/// mux.handle("/", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await);
///
/// let mut server = Server::new(mux);
/// server.addr = "127.0.0.1:8000".into();
/// server.idle_timeout = Duration::from_secs(30);
///
/// // Until SIGTERM or Ctrl-C, and then until those who are served have their responses.
/// println!("{:?}", server.serve_until_signal().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Server {
    /// Where [`listen_and_serve`](Self::listen_and_serve) listens: `host:port`. No host is all
    /// interfaces, an empty address port 80 on all of them. `unix:/run/site.sock` is a Unix socket: its
    /// file is made, in place of one that a server left behind, and removed when listening ends. Default:
    /// empty.
    pub addr: String,
    /// How long reading a whole request may take, content included, from its first byte. Limits streams
    /// too; off by default.
    pub read_timeout: Duration,
    /// How long a head may take to be complete: from accept, or from the head's first byte on a
    /// connection that is kept. Slowly arriving bytes do not extend it. Zero: as `read_timeout`.
    /// Default: 10 s. A peer that is too slow is closed without a response.
    pub read_header_timeout: Duration,
    /// How long a response may take to be written, from the end of its request's head. Limits streams
    /// too; off by default. A handler that still runs then is not waited for: the peer gets a 503 where
    /// nothing was sent yet, else its connection closes (on HTTP/2 its stream is reset), and the request's
    /// context is cancelled.
    pub write_timeout: Duration,
    /// How long a connection is kept while no request comes. Zero: as `read_timeout`. Default:
    /// 120 s.
    pub idle_timeout: Duration,
    /// How long a peer may send nothing of a body that is being read, or take nothing of a
    /// response that is being written. Default: 30 s. The read or write fails with
    /// [`ErrorKind::TimedOut`].
    pub stall_timeout: Duration,
    /// The longest head, request line included. Default and zero: 1 MiB. A longer one is answered
    /// 431. With any setting, a target of more than 65,534 bytes is refused with 414: a
    /// [`Uri`](http::Uri) holds no more.
    pub max_header_bytes: usize,
    /// The most field values of a head, and of a trailer section: one for each line, and one for
    /// each name in `Trailer`. Default and zero: 500. More are refused with 431.
    pub max_header_value_count: usize,
    /// The most connections at a time. When a new one comes in and there is no room, the one that
    /// has been idle longest is closed, else one that has sent nothing for a second; when there is
    /// none, the new one waits, and further ones in the system's backlog. Zero, the default: no limit.
    pub max_connections: usize,
    /// Content that a handler leaves unread is read and thrown away up to this many bytes, so
    /// that the connection can be kept. With more of it, the connection closes. Default: 256 KiB.
    pub drain_bytes: u64,
    /// How long that may take. Default: 1 s.
    pub drain_timeout: Duration,
    /// How long the server still reads from a peer that has not finished sending when its connection
    /// is closed, so that the response reaches it: a close on unread bytes would reset the connection.
    /// Default: 500 ms.
    pub linger_timeout: Duration,
    /// How long requests under way may take once a signal has asked the program to end
    /// ([`serve_until_signal`](Self::serve_until_signal), [`until_signal`](Self::until_signal)); what is left then is
    /// cut. [`shutdown`](Self::shutdown) is given its own. Default: 25 s, which is less than the 30 s after which
    /// Kubernetes kills, and more than the 10 s of Docker. Zero: they are cut at once.
    pub shutdown_grace: Duration,
    /// How long the server serves as before, new connections too, once a signal has asked the program to end, while
    /// [`Readiness`](crate::server::Readiness) responds with 503 already: for load balancers that go on sending until
    /// their next probe, and Kubernetes, which takes a second or two to tell all of its nodes. The grace comes after
    /// it. A second signal ends the delay and cuts. Default: zero.
    pub shutdown_delay: Duration,
    /// Which protocols are served; all by default. A peer that speaks another one gets a 505.
    pub protocols: Protocols,
    /// The limits of HTTP/2 connections.
    pub http2: Http2Settings,
    /// Whether `OPTIONS *` goes to the handler. Default: the server responds to it itself with 200.
    pub disable_general_options_handler: bool,
    /// Whether clients that speak HTTP in the clear where TLS is served have their requests served. Those have no
    /// [`tls`](crate::Request::tls): it is for a handler that leads them to https, such as
    /// [`HttpsRedirect`](crate::middleware::HttpsRedirect). Default: they are answered 400, as in Go.
    pub allow_http_on_tls_port: bool,
    /// Called for events that no response shows: panics, failures, refusals. Default: `tracing`, or
    /// standard error where the program has set no dispatcher; see [`ServerEvent`]. Runs on the task where
    /// the event happens: keep it short.
    pub on_event: Option<Arc<dyn Fn(&ServerEvent) + Send + Sync>>,
    /// Called at the end of each request: for access logs and measurements. For one response there is
    /// [`ResponseWriter::on_end`](crate::ResponseWriter::on_end), whose functions are called before this.
    pub on_request: Option<Arc<dyn Fn(&RequestRecord) + Send + Sync>>,
    /// Called for every error response before it is written, and may give another in its place: errors and
    /// panics of handlers, [`error`](crate::error()) and [`ResponseWriter::error`](crate::ResponseWriter::error),
    /// the mux's 404 and 405, those of the file server and of `timeout_handler`, and what the server sends
    /// by itself (400, 408, 413, 414, 417, 431, 500, 503, 505). `None` keeps the response as it is;
    /// [`problem_details`](crate::server::problem_details) is a hook that is ready-made.
    ///
    /// The response's content has to be in memory, and its status 200 or above; otherwise it is not used. The
    /// server alone writes `Content-Length`, `Transfer-Encoding` and `Connection`. A panic in the hook is
    /// reported, and the plain response sent. Runs on the task of the request: keep it short.
    ///
    /// Responses that a handler has written itself are not errors, whatever their status. Nor is one asked
    /// about of which a part was sent.
    pub on_error: Option<Arc<dyn Fn(&ErrorInfo<'_>) -> Option<Response> + Send + Sync>>,
    /// Called at each change of a connection's state (Go's `ConnState`).
    pub conn_state: Option<Arc<dyn Fn(&ConnInfo, ConnState) + Send + Sync>>,
    /// Makes the values of all requests' contexts, once for each listener, from its address
    /// (Go's `BaseContext`).
    pub base_context: Option<Arc<dyn Fn(&Addr) -> Extensions + Send + Sync>>,
    /// Changes the values for the requests of one connection (Go's `ConnContext`).
    pub conn_context: Option<Arc<dyn Fn(Extensions, &ConnInfo) -> Extensions + Send + Sync>>,
    handler: BoxHandler,
    state: Arc<State>,
}

/// The longest head that is read unless a server says otherwise: 1 MiB.
pub const DEFAULT_MAX_HEADER_BYTES: usize = 1 << 20;
/// The most field values of a head unless a server says otherwise.
pub const DEFAULT_MAX_HEADER_VALUE_COUNT: usize = 500;

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Connections that closed by themselves, after the response to their last request.
    pub drained: usize,
    /// Connections that were cut when the grace was over.
    pub cut: usize,
    /// Connections that handlers have hijacked and that are still open. The server does not
    /// touch them.
    pub hijacked: usize,
}

impl Server {
    /// A server with the default settings around a handler; `None` is the process-wide mux.
    pub fn new(handler: impl Handler) -> Server {
        Server {
            addr: String::new(),
            read_timeout: Duration::ZERO,
            read_header_timeout: Duration::from_secs(10),
            write_timeout: Duration::ZERO,
            idle_timeout: Duration::from_secs(120),
            stall_timeout: Duration::from_secs(30),
            max_header_bytes: DEFAULT_MAX_HEADER_BYTES,
            max_header_value_count: DEFAULT_MAX_HEADER_VALUE_COUNT,
            max_connections: 0,
            drain_bytes: 256 << 10,
            drain_timeout: Duration::from_secs(1),
            linger_timeout: Duration::from_millis(500),
            shutdown_grace: Duration::from_secs(25),
            shutdown_delay: Duration::ZERO,
            protocols: Protocols::default(),
            http2: Http2Settings::default(),
            disable_general_options_handler: false,
            allow_http_on_tls_port: false,
            on_event: None,
            on_request: None,
            on_error: None,
            conn_state: None,
            base_context: None,
            conn_context: None,
            handler: handler.boxed(),
            state: Arc::new(State::new()),
        }
    }

    /// Listens on [`addr`](Self::addr) and serves until the server is shut down.
    ///
    /// # Errors
    /// Always returns one: [`ErrorKind::ServerClosed`] after [`shutdown`](Self::shutdown) or
    /// [`close`](Self::close), at once if that was called before; else the failure of listening or
    /// accepting.
    pub async fn listen_and_serve(&self) -> Result<()> {
        self.listen_and_serve_secured(&self.addr, None).await
    }

    pub(super) async fn listen_and_serve_secured(&self, addr: &str, secure: Option<Arc<dyn TlsAccept>>) -> Result<()> {
        if self.state.is_draining() {
            return Err(accept::server_closed());
        }
        #[cfg(unix)]
        if let Some(path) = addr.strip_prefix("unix:") {
            let listener = bind_unix(Path::new(path)).map_err(|error| cannot_listen(addr, error))?;
            return self.serve_secured(listener, secure).await;
        }
        let listener = bind_tcp(addr).await.map_err(|error| cannot_listen(addr, error))?;
        self.serve_secured(listener, secure).await
    }

    /// Serves the connections of a listener until the server is shut down. May be called several
    /// times, also at once, with a listener each.
    ///
    /// Each connection runs in a task of its own on the present runtime. Dropping the future closes the
    /// listener and does not touch the connections.
    ///
    /// # Errors
    /// As [`listen_and_serve`](Self::listen_and_serve). After a temporary failure to accept (out of
    /// file descriptors) the server tries again: after 5 ms at first, doubling up to 1 s.
    pub async fn serve(&self, listener: impl Listener) -> Result<()> {
        self.serve_secured(listener, None).await
    }

    /// The same with a handshake on each connection before anything else is read from it.
    pub(super) async fn serve_secured(
        &self,
        listener: impl Listener,
        secure: Option<Arc<dyn TlsAccept>>,
    ) -> Result<()> {
        if self.state.is_draining() {
            return Err(accept::server_closed());
        }
        let settings = Settings { secure, ..self.settings(&listener.local_addr()) };
        accept::run(listener, Arc::new(settings)).await
    }

    /// Ends the server gracefully: listeners close, idle connections and those that have sent nothing
    /// close at once, requests under way are answered, and so is the first request of a peer that has
    /// begun its handshake; connections that are left after `grace` are
    /// cut. Handlers can wait for it with [`Context::draining`](crate::Context::draining).
    ///
    /// If the future is dropped, the server goes on draining, and no connection is cut.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.shutdown_until(sleep(grace)).await
    }

    /// The same with a grace that is over when `cut` is done.
    pub(super) async fn shutdown_until(&self, cut: impl Future) -> ShutdownReport {
        let registry = &self.state.registry;
        self.state.begin_draining();
        for hook in self.state.take_shutdown_hooks() {
            // Ends when the hook returns; the shutdown does not wait for it (Go's rule).
            tokio::spawn(async move { hook() });
        }
        let before = registry.len();
        let taken_over_before = registry.taken_over.load(Ordering::SeqCst);
        registry.command_all(Command::Finish);
        let cut = match first_of(pin!(registry.wait_below(1)), pin!(cut)).await {
            FirstOf::Left(()) => 0,
            FirstOf::Right(_) => {
                let cut = registry.len();
                registry.command_all(Command::Stop);
                registry.wait_below(1).await;
                cut
            }
        };
        let taken_over = registry.taken_over.load(Ordering::SeqCst).wrapping_sub(taken_over_before);
        let hijacked = registry.hijacked.load(Ordering::SeqCst);
        ShutdownReport { drained: before.saturating_sub(cut).saturating_sub(taken_over), cut, hijacked }
    }

    /// Ends the server now: listeners close, and all connections that no handler has hijacked are cut.
    /// May be called again.
    pub fn close(&self) {
        self.state.begin_draining();
        self.state.registry.command_all(Command::Stop);
    }

    /// Adds a function that [`shutdown`](Self::shutdown) starts, without waiting for it: to tell
    /// hijacked connections, for example.
    pub fn register_on_shutdown(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.state.add_shutdown_hook(Arc::new(hook));
    }

    /// Switches keep-alives off or on again. Switched off, each response closes its connection, and
    /// connections that are idle now close at once.
    pub fn set_keep_alives_enabled(&self, enabled: bool) {
        self.state.set_keep_alives(enabled);
        if !enabled {
            self.state.registry.wake_idle();
        }
    }

    /// How many connections are open, hijacked ones not counted.
    pub fn connections(&self) -> usize {
        self.state.registry.len()
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Reports an event of the server itself, as those of its connections are.
    #[cfg(all(feature = "socket-activation", unix))]
    pub(super) fn report(&self, event: &ServerEvent) {
        self.call_settings().report(event);
    }

    /// The same server with this around its handler.
    pub(crate) fn map_handler(mut self, change: impl FnOnce(BoxHandler) -> BoxHandler) -> Server {
        self.handler = change(self.handler);
        self
    }

    /// The settings for a handler that is called without a connection: how its failures are reported and
    /// answered. Whoever sends its response has the record of the request.
    pub(crate) fn call_settings(&self) -> Settings {
        // With a state of its own: the server's keeps what has these settings.
        let state = Arc::new(State::new());
        Settings { on_request: None, handler: unused.boxed(), state, ..self.settings_with(Extensions::new()) }
    }

    fn settings(&self, local_addr: &Addr) -> Settings {
        let mut values = self.base_context.as_ref().map_or_else(Extensions::new, |base| base(local_addr));
        values.insert(self.clone());
        values.insert(CallSettings(Arc::new(self.call_settings())));
        self.settings_with(values)
    }

    fn settings_with(&self, values: Extensions) -> Settings {
        Settings {
            handler: self.handler.clone(),
            head_limits: HeadLimits {
                max_bytes: or_default(self.max_header_bytes, DEFAULT_MAX_HEADER_BYTES),
                max_values: or_default(self.max_header_value_count, DEFAULT_MAX_HEADER_VALUE_COUNT),
            },
            head_timeout: limit(self.read_header_timeout).or(limit(self.read_timeout)),
            read_timeout: limit(self.read_timeout),
            write_timeout: limit(self.write_timeout),
            idle_timeout: limit(self.idle_timeout).or(limit(self.read_timeout)),
            stall_timeout: limit(self.stall_timeout),
            drain_bytes: self.drain_bytes,
            drain_timeout: self.drain_timeout,
            linger_timeout: self.linger_timeout,
            max_connections: self.max_connections,
            protocols: self.protocols,
            http2: self.http2.resolved(),
            answers_general_options: !self.disable_general_options_handler,
            serves_plain_http: self.allow_http_on_tls_port,
            on_event: self.on_event.clone(),
            conn_state: self.conn_state.clone(),
            on_request: self.on_request.clone(),
            on_error: self.on_error.clone(),
            conn_context: self.conn_context.clone(),
            values: Arc::new(values),
            state: self.state.clone(),
            secure: None,
        }
    }
}

async fn unused(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

pub(super) fn cannot_listen(addr: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot listen on {addr:?}")).with_source(error)
}

fn limit(duration: Duration) -> Option<Duration> {
    // 100 years: longer than any connection lives, and short enough that adding it to an `Instant`
    // cannot overflow.
    const MAX_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    (!duration.is_zero()).then(|| duration.min(MAX_TIMEOUT))
}

fn or_default(setting: usize, default: usize) -> usize {
    if setting == 0 { default } else { setting }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Listens on an address and serves a handler with the default settings (Go's
/// `ListenAndServe`). `None` serves the process-wide mux.
///
/// # Errors
/// Always ends in one; see [`Server::listen_and_serve`].
pub async fn listen_and_serve(addr: impl Into<String>, handler: impl Handler) -> Result<()> {
    let mut server = Server::new(handler);
    server.addr = addr.into();
    server.listen_and_serve().await
}

/// Serves a handler on a listener with the default settings (Go's `Serve`).
///
/// # Errors
/// Always ends in one; see [`Server::serve`].
pub async fn serve(listener: impl Listener, handler: impl Handler) -> Result<()> {
    Server::new(handler).serve(listener).await
}
