//! A server for a test, with a client that reaches it.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::ClientSlot;
use super::listener::{Dialer, listener};
use super::setup::{ListenPlace, Security, ServerSetup, SpokenProtocol};
use super::tls::TlsSetup;
use crate::error::Result;
use crate::message::{Addr, Request};
use crate::net::{Listener, bind_loopback};
use crate::server::{self, BoxHandler, Handler, ResponseWriter, ShutdownReport};

/// How long [`Server::close`] waits for requests under way (Go's 5 s).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that runs for a test (Go's `httptest.Server`).
///
/// [`new`](Server::new) listens on a free port of this machine, [`in_memory`](Server::in_memory) in memory: there
/// no packet leaves the process, and time may be paused. Both speak HTTP/1.1 and HTTP/2, as a client asks for it;
/// [`builder`](Server::builder) adds TLS and settings. [`client`](Server::client) has a client that reaches the
/// server and trusts it.
///
/// Made inside of a tokio runtime, in which it serves. Dropping it ends it at once;
/// [`close`](Server::close) waits for what is under way, and returns what did not end.
///
/// ```
/// use std::time::Duration;
/// use nethttp::{Request, ResponseWriter, testing};
///
/// // In a test: `#[tokio::test(start_paused = true)]`.
/// #[tokio::main(flavor = "current_thread", start_paused = true)]
/// async fn main() -> nethttp::Result<()> {
///     let server = testing::Server::in_memory(async |w: &mut ResponseWriter, _: &mut Request| {
///         tokio::time::sleep(Duration::from_secs(3600)).await; // passes at once
///         w.write("hello").await
///     });
///     # #[cfg(feature = "client")]
///     # {
///     let text = server.client().get(server.url()).await?.text().await?;
///     assert_eq!(text, "hello");
///     # }
///     assert!(server.close().await.running.is_empty());
///     Ok(())
/// }
/// ```
pub struct Server {
    url: String,
    addr: Addr,
    server: server::Server,
    setup: ServerSetup,
    dialer: Option<Dialer>,
    client: ClientSlot,
    serving: JoinHandle<Result<()>>,
    running: Arc<RunningRequests>,
}

/// How a test's server ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// The connections that ended by themselves, were cut, and were taken over.
    pub connections: ShutdownReport,
    /// The requests whose handlers still ran after 5 s and were cut, as method and target: `GET /events`.
    pub running: Vec<String>,
}

impl Server {
    /// A server on a free port of 127.0.0.1, without TLS (Go's `httptest.NewServer`).
    ///
    /// # Panics
    /// Outside of a tokio runtime, and when no port can be opened.
    #[track_caller]
    pub fn new(handler: impl Handler) -> Server {
        Server::builder(handler).start()
    }

    /// A server in memory, without TLS. Its client dials it whatever host a URL names, uses no proxy of the
    /// environment, and waits for a response as long as it takes.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn in_memory(handler: impl Handler) -> Server {
        Server::builder(handler).in_memory().start()
    }

    /// A server that is not started yet (Go's `httptest.NewUnstartedServer`).
    pub fn builder(handler: impl Handler) -> ServerBuilder {
        Server::of(server::Server::new(handler))
    }

    /// A program's own server with all of its settings, not started yet. Its `addr` is not listened on: where it
    /// serves is chosen by the builder.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nethttp::{ServeMux, Server, server, testing};
    ///
    /// fn service() -> Server {
    ///     let mut server = Server::new(ServeMux::new());
    ///     server.on_error = Some(Arc::new(server::problem_details));
    ///     server
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nethttp::Result<()> {
    /// let started = testing::Server::of(service()).in_memory().start();
    /// # #[cfg(feature = "client")]
    /// # {
    /// let response = started.client().get(started.url()).await?;
    /// assert_eq!(response.header.get("Content-Type"), Some("application/problem+json"));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(server: server::Server) -> ServerBuilder {
        let running: Arc<RunningRequests> = Arc::default();
        let server = server.map_handler(|handler| Watched { handler, running: running.clone() }.boxed());
        let setup =
            ServerSetup { place: ListenPlace::Port, security: Security::Clear, protocol: SpokenProtocol::Agreed };
        ServerBuilder { server, running, setup, secured: None }
    }

    /// Its URL, without a slash at the end: `http://127.0.0.1:40123`. In memory it is that of `example.com`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The server itself: to see its connections, or to shut it down in a way of its own.
    pub fn server(&self) -> &server::Server {
        &self.server
    }

    /// Opens connections to a server in memory, for tests that speak bytes. `None` for one on a port.
    pub fn dialer(&self) -> Option<&Dialer> {
        self.dialer.as_ref()
    }

    /// A client that reaches this server, trusts its certificate, and uses no proxy of the environment (Go's
    /// `Server.Client`). Each call returns the same one: clones share their connections. Redirects are followed,
    /// and cookies are not kept.
    #[cfg(feature = "client")]
    pub fn client(&self) -> crate::client::Client {
        self.client.get(self.setup, self.dialer.as_ref())
    }

    /// The certificate of servers over TLS in PEM (Go's `Server.Certificate`), for other clients to trust.
    #[cfg(feature = "tls-no-provider")]
    pub fn certificate_pem() -> &'static str {
        super::tls::CERTIFICATE
    }

    /// Ends the server (Go's `Close`): the listener and idle connections close at once, and requests under way
    /// have 5 s. What runs longer is cut, and is in the report.
    ///
    /// Dropped before it is done, the server ends at once.
    pub async fn close(self) -> CloseReport {
        self.client.close_idle_connections();
        let watching = self.running.clone();
        // Looked at just before what is left is cut: after that no handler runs any more.
        let mut running = Vec::new();
        let mut shutdown = pin!(self.server.shutdown(CLOSE_TIMEOUT + Duration::from_millis(1)));
        let connections = match timeout(CLOSE_TIMEOUT, shutdown.as_mut()).await {
            Ok(report) => report,
            Err(_) => {
                running = watching.descriptions();
                shutdown.await
            }
        };
        CloseReport { connections, running }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        self.server.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Chooses how a test's server serves. Made by [`Server::builder`].
///
/// ```
/// use std::time::Duration;
/// use nethttp::{Request, ResponseWriter, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let hello = async |w: &mut ResponseWriter, r: &mut Request| w.write(format!("{:?}", r.proto)).await;
/// let server = testing::Server::builder(hello)
///     .in_memory()
///     .http2()
///     .configure(|server| server.idle_timeout = Duration::from_secs(5))
///     .start();
/// # }
/// ```
pub struct ServerBuilder {
    server: server::Server,
    running: Arc<RunningRequests>,
    setup: ServerSetup,
    secured: Option<TlsSetup>,
}

impl ServerBuilder {
    /// Listens in memory instead of on a port.
    #[must_use]
    pub fn in_memory(mut self) -> ServerBuilder {
        self.setup.place = ListenPlace::Memory;
        self
    }

    /// Serves over TLS, with a certificate that the server's client trusts (Go's `StartTLS`): for `example.com`
    /// and its subdomains, `localhost`, `127.0.0.1` and `::1`. HTTP/2 is offered.
    ///
    /// # Panics
    /// With the feature `tls-no-provider` alone, when the process has no default provider.
    #[cfg(feature = "tls-no-provider")]
    #[must_use]
    #[track_caller]
    pub fn tls(mut self) -> ServerBuilder {
        self.setup.security = Security::Tls;
        self.secured = Some(TlsSetup::new());
        self
    }

    /// Lets its client speak HTTP/1.1, also over TLS. The server speaks what it is asked for.
    #[must_use]
    pub fn http1(mut self) -> ServerBuilder {
        self.setup.protocol = SpokenProtocol::Http1;
        self
    }

    /// Lets its client speak HTTP/2: over TLS where both agree on it, and in the clear by prior knowledge.
    #[must_use]
    pub fn http2(mut self) -> ServerBuilder {
        self.setup.protocol = SpokenProtocol::Http2;
        self
    }

    /// Changes the settings: timeouts, limits, hooks.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut server::Server)) -> ServerBuilder {
        change(&mut self.server);
        self
    }

    /// Starts to serve, in a task of the present runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime, and when no port can be opened.
    #[track_caller]
    pub fn start(self) -> Server {
        let scheme = if self.setup.security == Security::Tls { "https" } else { "http" };
        match self.setup.place {
            ListenPlace::Memory => {
                let (listener, dialer) = listener();
                self.serve(listener, format!("{scheme}://example.com"), Some(dialer))
            }
            ListenPlace::Port => {
                let listener = bind_loopback().unwrap_or_else(|error| panic!("no port for a test's server: {error}"));
                let url = format!("{scheme}://{}", Listener::local_addr(&listener));
                self.serve(listener, url, None)
            }
        }
    }

    fn serve(self, listener: impl Listener, url: String, dialer: Option<Dialer>) -> Server {
        let ServerBuilder { server, running, setup, secured } = self;
        let addr = listener.local_addr();
        let accepting = server.clone();
        // Ends with the server: it is closed or dropped.
        let serving = tokio::spawn(async move {
            match secured {
                Some(secured) => secured.serve(&accepting, listener).await,
                None => accepting.serve(listener).await,
            }
        });
        Server { url, addr, server, setup, dialer, client: ClientSlot::default(), serving, running }
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("setup", &self.setup).finish_non_exhaustive()
    }
}

/// The requests whose handlers run now, by the order in which they began.
#[derive(Default)]
struct RunningRequests(Mutex<(u64, BTreeMap<u64, String>)>);

impl RunningRequests {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn descriptions(&self) -> Vec<String> {
        self.lock().1.values().cloned().collect()
    }
}

/// A handler whose requests are known while they run.
struct Watched {
    handler: BoxHandler,
    running: Arc<RunningRequests>,
}

impl Handler for Watched {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let _running = RunningRequest::new(&self.running, r);
        self.handler.serve_http(w, r).await
    }
}

/// One of them; forgotten when its handler returns, panics or is dropped.
struct RunningRequest<'a> {
    running: &'a RunningRequests,
    number: u64,
}

impl RunningRequest<'_> {
    fn new<'a>(running: &'a RunningRequests, request: &Request) -> RunningRequest<'a> {
        let mut all = running.lock();
        all.0 += 1;
        let number = all.0;
        all.1.insert(number, format!("{} {}", request.method, request.request_uri));
        RunningRequest { running, number }
    }
}

impl Drop for RunningRequest<'_> {
    fn drop(&mut self) {
        self.running.lock().1.remove(&self.number);
    }
}
