//! The mechanism under a client: it gets a connection from the pool, runs one exchange on it, and retries.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cancellation::until_cancelled;
use super::connect::{ConnectHook, Connector, HttpConnection, Key, SecureTransport, default_secure};
use super::exchange::{Attempt, Freshness, Plan, RetryPolicy};
use super::http1;
use super::http2;
use super::http2_settings::Http2TransportSettings;
use super::observe::{Progress, Tracer};
use super::pool::{self, Acquired, Pool, PoolStats, PooledConn, Timestamp, WhenFull};
use super::proxy::Proxy;
use super::round_trip::{RoundTripFuture, RoundTripper};
use super::settings::{ClientProtocols, TimeLimits, TransportSettings, time_limit};
use crate::error::{Phase, Result, Sent};
use crate::h1::{HeadLimits, Outgoing, OwnField};
use crate::message::{Header, Request, Response, coding};
use crate::net::{Dial, TcpDialer};
#[cfg(feature = "tls-no-provider")]
use crate::net::{TlsConfig, TlsConnector};

/// Makes connections to servers, and keeps them for further requests (Go's `Transport`).
///
/// One transport serves any number of requests at a time and should live as long as the program: it keeps
/// the connections. It is made with [`Transport::new`] and changed through its fields before it is used:
/// the settings count as they are at the first request. A clone has the settings and connections of its
/// own.
///
/// Every time limit can be set for one request alone: [`Request::timeouts`].
/// [`Duration::ZERO`] is no limit.
///
/// ```no_run
/// use std::sync::Arc;
/// use std::time::Duration;
/// use nethttp::{Client, Transport};
///
/// let mut transport = Transport::new();
/// transport.max_conns_per_host = 10;
/// transport.response_header_timeout = Duration::from_secs(10);
/// let mut client = Client::new();
/// client.transport = Arc::new(transport);
/// ```
#[non_exhaustive]
pub struct Transport {
    /// Which proxy a request goes through. Default: what the environment says
    /// ([`Proxy::from_environment`]).
    pub proxy: Proxy,
    /// How a connection is made to a host and port. Default: [`TcpDialer`], which resolves names
    /// with the system and races the addresses.
    pub dial: Arc<dyn Dial>,
    /// The most idle connections over all hosts; the one that was idle longest goes first.
    /// Default: 100. 0: no limit.
    pub max_idle_conns: usize,
    /// The most idle connections to one host. Default: 32 (Go: 2). 0: none is kept.
    pub max_idle_conns_per_host: usize,
    /// The most connections to one host: being made, in use and idle. Requests beyond wait, in
    /// order. Default and 0: no limit.
    pub max_conns_per_host: usize,
    /// How long a connection is kept while no request comes. Default: 90 s.
    pub idle_conn_timeout: Duration,
    /// How old a connection may become; then it takes no further request. Up to a tenth less, so
    /// that those made together do not end together. Default: no limit.
    pub max_conn_lifetime: Duration,
    /// How long resolving, connecting and the proxy's part may take together. Default: 30 s.
    pub connect_timeout: Duration,
    /// How long a TLS handshake may take. Default: 10 s.
    pub tls_handshake_timeout: Duration,
    /// How long the response's head may take once the request is written. Default: 60 s (Go:
    /// none).
    pub response_header_timeout: Duration,
    /// How long a body waits for `100 Continue` where the request has `Expect: 100-continue`.
    /// Then it is sent anyway. Default: 1 s. 0: it does not wait. A request that is refused with 417 is
    /// sent once more without `Expect`, if its body can be had again.
    pub expect_continue_timeout: Duration,
    /// How long the server may take nothing of the request, or send nothing of a body that is
    /// being read. Default: no limit, as streams may be silent.
    pub stall_timeout: Duration,
    /// What happens when a server takes no more requests on its HTTP/2 connection at a time: with
    /// `true` the next ones wait for one to end, in order; else another connection is made, as far as
    /// [`max_conns_per_host`](Self::max_conns_per_host) allows (Go's
    /// `StrictMaxConcurrentRequests`). Default: false.
    pub strict_max_concurrent_streams: bool,
    /// Sends `Connection: close` with every request. Default: false.
    pub disable_keep_alives: bool,
    /// Requests no compression. With `false`, a request without `Accept-Encoding` and `Range` gets an
    /// `Accept-Encoding` of what this build decodes, and its response's body is decoded;
    /// `Content-Encoding` and `Content-Length` are then gone from the response. Up to five codings are
    /// taken off, one after the other; content with more of them, or with one that was not requested, is
    /// left as it is. Default: false.
    pub disable_compression: bool,
    /// The longest head of a response, interim ones before it included. Default and 0: 1 MiB
    /// (Go: 10 MiB).
    pub max_response_header_bytes: usize,
    /// The most field values of a response's head, and of a trailer section. Default and 0: 500.
    pub max_response_header_value_count: usize,
    /// The `User-Agent` of requests that name none; one that is set empty is not sent at all.
    pub user_agent: String,
    /// Which protocols are spoken. Default: HTTP/1.1, and HTTP/2 where TLS negotiates it.
    ///
    /// Over HTTP/2, a server may be 4 MiB ahead of the reader of each body and 64 MiB ahead of all
    /// readers of a connection, unless [`http2`](Self::http2) says otherwise: bodies that are held and not
    /// read hold up to so much, and may stop the others of their connection. Drop those that are not wanted.
    pub protocols: ClientProtocols,
    /// Windows, tables, frames and PINGs of HTTP/2 connections.
    pub http2: Http2TransportSettings,
    /// Further fields for the CONNECT requests to proxies.
    pub proxy_connect_header: Header,
    /// Sees a proxy's answer to CONNECT before it is judged; an error ends the request
    /// (Go's `OnProxyConnectResponse`).
    pub on_proxy_connect_response: Option<ConnectHook>,
    pub(crate) secure: Arc<dyn SecureTransport>,
    state: OnceLock<TransportState>,
}

/// The connector and the pool, made from the settings at the first request.
struct TransportState {
    pool: Pool<Key, HttpConnection>,
    connector: Arc<Connector>,
}

/// The longest response head unless a transport says otherwise: 1 MiB.
pub const DEFAULT_MAX_RESPONSE_HEADER_BYTES: usize = 1 << 20;
/// The most field values of a response's head unless a transport says otherwise.
pub const DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT: usize = 500;
/// The default `User-Agent`.
const DEFAULT_USER_AGENT: &str = concat!("nethttp/", env!("CARGO_PKG_VERSION"));

/// The connections to one host, and the requests that wait for one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port: `https://example.com:443`. Plain HTTP through a proxy has one entry
    /// for the proxy.
    pub host: String,
    /// Connections that wait for a request.
    pub idle: usize,
    /// Connections that serve one, or several.
    pub in_use: usize,
    /// Connections that are being made.
    pub dialing: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

impl HostStats {
    pub(crate) fn of(key: &Key, stats: PoolStats) -> HostStats {
        let PoolStats { idle, in_use, dialing, waiting } = stats;
        HostStats { host: key.to_string(), idle, in_use, dialing, waiting }
    }
}

impl Default for Transport {
    fn default() -> Transport {
        Transport::new()
    }
}

impl Transport {
    /// A transport with the default settings.
    pub fn new() -> Transport {
        Transport {
            proxy: Proxy::from_environment(),
            dial: Arc::new(TcpDialer::new()),
            max_idle_conns: 100,
            max_idle_conns_per_host: 32,
            max_conns_per_host: 0,
            idle_conn_timeout: Duration::from_secs(90),
            max_conn_lifetime: Duration::ZERO,
            connect_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            response_header_timeout: Duration::from_secs(60),
            expect_continue_timeout: Duration::from_secs(1),
            stall_timeout: Duration::ZERO,
            strict_max_concurrent_streams: false,
            disable_keep_alives: false,
            disable_compression: false,
            max_response_header_bytes: 0,
            max_response_header_value_count: 0,
            user_agent: DEFAULT_USER_AGENT.to_owned(),
            protocols: ClientProtocols::Auto,
            http2: Http2TransportSettings::default(),
            proxy_connect_header: Header::new(),
            on_proxy_connect_response: None,
            secure: default_secure(),
            state: OnceLock::new(),
        }
    }

    /// How many connections there are to each host, and how many requests wait for one. Hosts
    /// without either are left out.
    pub fn pool_stats(&self) -> Vec<HostStats> {
        let Some(state) = self.state.get() else { return Vec::new() };
        state.pool.stats().into_iter().map(|(key, stats)| HostStats::of(&key, stats)).collect()
    }

    fn state(&self) -> &TransportState {
        self.state.get_or_init(|| {
            let connector = Connector {
                dialer: self.dial.clone(),
                secure: self.secure.clone(),
                connect_header: self.proxy_connect_header.clone(),
                on_connect_response: self.on_proxy_connect_response.clone(),
                lifetime: time_limit(self.max_conn_lifetime),
                settings: self.settings(),
            };
            let limits = pool::Limits {
                max_idle: self.max_idle_conns,
                max_idle_per_key: self.max_idle_conns_per_host,
                max_per_key: self.max_conns_per_host,
                idle_timeout: time_limit(self.idle_conn_timeout),
                when_full: if self.strict_max_concurrent_streams { WhenFull::Waits } else { WhenFull::Dials },
            };
            TransportState { pool: Pool::new(limits), connector: Arc::new(connector) }
        })
    }

    fn settings(&self) -> TransportSettings {
        let non_zero = |setting: usize, default: usize| if setting == 0 { default } else { setting };
        TransportSettings {
            proxy: self.proxy.clone(),
            protocols: self.protocols,
            http2: self.http2.resolved(),
            time_limits: TimeLimits {
                connect: time_limit(self.connect_timeout),
                tls_handshake: time_limit(self.tls_handshake_timeout),
                response_header: time_limit(self.response_header_timeout),
                expect_continue: time_limit(self.expect_continue_timeout),
                stall: time_limit(self.stall_timeout),
            },
            head_limits: HeadLimits {
                max_bytes: non_zero(self.max_response_header_bytes, DEFAULT_MAX_RESPONSE_HEADER_BYTES),
                max_values: non_zero(self.max_response_header_value_count, DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT),
            },
            keep_alive: !self.disable_keep_alives,
            compression: !self.disable_compression,
            user_agent: OwnField::new("User-Agent", &self.user_agent),
            codings: OwnField::new("Accept-Encoding", coding::accept_encoding()),
        }
    }

    /// The head of this request as it goes out over HTTP/1.1, and how its content is framed behind it.
    pub(crate) fn head_as_sent(&self, request: &Request) -> Result<(Vec<u8>, Outgoing)> {
        let settings = self.settings();
        let plan = Plan::new(&settings, request)?;
        let mut head = Vec::new();
        plan.encode_head(request, &settings, &mut head);
        Ok((head, plan.outgoing))
    }

    async fn exchange(&self, request: &mut Request) -> Result<Response> {
        let tracer = Tracer::of(request);
        let start = Timestamp::now();
        let mut retry = RetryPolicy::default();
        let mut plan = match Plan::new(&self.state().connector.settings, request) {
            Ok(plan) => plan,
            Err(error) => return Err(error.with_sent(Sent::No)),
        };
        let mut body = request.body.take_replayable();
        loop {
            let (connection, got_connection) = match self.idle_connection(&plan, retry.freshness, &tracer, start) {
                Some(idle) => (idle, Duration::ZERO),
                // Boxed, so that the future stays small for requests that need not wait.
                None => match Box::pin(self.await_connection(&plan, &tracer, start)).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        // Nothing was read of it: it can be sent elsewhere.
                        request.body = body;
                        return Err(error);
                    }
                },
            };
            let settings = &self.state().connector.settings;
            let attempt = Attempt { request, plan: &plan, body, settings, tracer: &tracer, start, got_connection };
            let failed = {
                // Filled in place: a response is large, and each move of it costs.
                let mut response = Response::new(());
                let (connection, permit) = connection.into_inner();
                // Both take what they need of the attempt when they are called, so that the future does not
                // keep it while it waits.
                let sent = match connection {
                    HttpConnection::Http1(conn) => http1::round_trip(conn, permit, attempt, &mut response).await,
                    HttpConnection::Http2(conn) => {
                        Box::pin(http2::round_trip(conn, permit, attempt, &mut response)).await
                    }
                };
                let Err(failed) = sent else {
                    decode(&mut response, &plan);
                    return Ok(response);
                };
                failed
            };
            body = retry.body_for_another(request, failed, &mut plan)?;
            if let Some(pause) = retry.retry_delay() {
                Box::pin(tokio::time::sleep(pause)).await;
            }
        }
    }

    /// An idle connection, if there is one and the request may have one.
    fn idle_connection(
        &self,
        plan: &Plan,
        freshness: Freshness,
        tracer: &Tracer,
        start: Timestamp,
    ) -> Option<PooledConn<Key, HttpConnection>> {
        let pool = &self.state().pool;
        tracer.tell(|trace| trace.get_conn(&plan.key.host_port()));
        tracer.enter(Phase::Pool);
        if freshness == Freshness::New {
            pool.close_idle_of(&plan.key);
            return None;
        }
        let (conn, idle_for) = pool.try_idle(&plan.key, start)?;
        trace_connection(tracer, &conn, Some(idle_for));
        Some(conn)
    }

    /// A connection that is freed or one that is dialled, whichever comes first, and how long after the
    /// start it came.
    async fn await_connection(
        &self,
        plan: &Plan,
        tracer: &Tracer,
        start: Timestamp,
    ) -> Result<(PooledConn<Key, HttpConnection>, Duration)> {
        let TransportState { pool, connector } = self.state();
        let mut acquire = pool.acquire(plan.key.clone());
        loop {
            match acquire.next().await {
                Acquired::Connection { conn, idle_for } => {
                    let took = start.steady.elapsed();
                    trace_connection(tracer, &conn, idle_for);
                    return Ok((conn, took));
                }
                Acquired::Failed(error) => return Err(error.with_sent(Sent::No)),
                Acquired::Dial(permit) => {
                    tracer.enter(Phase::Connect);
                    connector.start(plan.connect_request(tracer), permit);
                }
            }
        }
    }
}

#[cfg(feature = "tls-no-provider")]
impl Transport {
    /// How TLS is done: whom to trust, what to show. Default: [`TlsConfig::new`]. Must be called
    /// before the first request.
    ///
    /// ```
    /// use nethttp::tls::{TlsConfig, TlsVersion};
    /// use nethttp::Transport;
    ///
    /// let mut transport = Transport::new();
    /// transport.set_tls(TlsConfig::new().min_version(TlsVersion::Tls13));
    /// ```
    pub fn set_tls(&mut self, config: TlsConfig) {
        self.secure = Arc::new(TlsConnector::new(config));
    }
}

fn trace_connection(tracer: &Tracer, conn: &PooledConn<Key, HttpConnection>, idle_for: Option<Duration>) {
    tracer.enter(Phase::Write);
    tracer.tell(|trace| trace.got_conn(&conn.described(idle_for)));
}

/// Decodes the content of the response, if the transport asked for its codings.
fn decode(response: &mut Response, plan: &Plan) {
    let Some(asked) = plan.accept_encoding else { return };
    let body = std::mem::take(&mut response.body);
    match coding::without_codings(body, &response.header, asked.as_bytes()) {
        Ok(decoded) => {
            response.body = decoded;
            response.header.del("Content-Encoding");
            response.header.del("Content-Length");
            response.content_length = None;
        }
        Err(as_it_is) => response.body = as_it_is,
    }
}

impl RoundTripper for Transport {
    fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a> {
        if !request.context().may_end() {
            return Box::pin(self.exchange(request));
        }
        let context = request.context().clone();
        let progress = Progress::of(request).unwrap_or_else(|| Progress::attach(request));
        Box::pin(until_cancelled(context, progress, self.exchange(request)))
    }

    fn close_idle_connections(&self) {
        if let Some(state) = self.state.get() {
            state.pool.close_idle();
        }
    }
}

impl Clone for Transport {
    /// The same settings, and connections of its own.
    fn clone(&self) -> Transport {
        Transport {
            proxy: self.proxy.clone(),
            dial: self.dial.clone(),
            proxy_connect_header: self.proxy_connect_header.clone(),
            on_proxy_connect_response: self.on_proxy_connect_response.clone(),
            secure: self.secure.clone(),
            user_agent: self.user_agent.clone(),
            state: OnceLock::new(),
            ..*self
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("proxy", &self.proxy)
            .field("max_conns_per_host", &self.max_conns_per_host)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each request has such a future made for it. From 1 KiB on, an allocator looks further for memory
    /// and moves more of it about: a tenth of a small request.
    #[test]
    fn the_future_of_a_round_trip_is_smaller_than_a_kibibyte() {
        let mut request = Request::get("http://a.test/").expect("a URL");
        let size = size_of_val(&Transport::new().exchange(&mut request));
        assert!(size < 1024, "{size} bytes");
    }
}
