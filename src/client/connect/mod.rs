//! How a connection is made: to the server or its proxy, through the proxy, with TLS over it.
//!
//! A dial runs in a task of its own and can outlive the request that began it: that request may get
//! another connection first, or be dropped, and the next request of the key can use this one. A failure
//! is reported only to the request that began the dial.

mod connection;
mod key;
#[cfg(feature = "tls-no-provider")]
mod tls;
#[cfg(not(feature = "tls-no-provider"))]
#[path = "tls_absent.rs"]
mod tls;

pub(super) use connection::{HttpConnection, KeyNotifier, PoolConnPermit, PoolDialPermit};
pub(super) use key::{Key, Offer, Scheme, SecureTransport, authority_of};
pub(super) use tls::default_secure;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, timeout};

use self::key::with_port;
use super::http1::Http1Conn;
use super::http2;
use super::observe::{ClientTrace, ConnectionInfo, DialObserver, Tracer};
use super::proxy::{self, ProxyScheme, ProxyUrl};
use super::settings::TransportSettings;
use super::url::{dialled_host, without_zone};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Addr, Header, Response, TlsInfo};
use crate::net::{self, Dial, DialTarget, Io, Stream};

/// Called with a proxy's response to CONNECT.
pub type ConnectHook = Arc<dyn Fn(&Response) -> Result<()> + Send + Sync>;

/// Makes connections by a transport's settings.
pub(crate) struct Connector {
    pub(crate) dialer: Arc<dyn Dial>,
    pub(crate) secure: Arc<dyn SecureTransport>,
    pub(crate) connect_header: Header,
    pub(crate) on_connect_response: Option<ConnectHook>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) settings: TransportSettings,
}

/// What a request requires of the connection that is made for it.
pub(crate) struct ConnectRequest {
    pub(crate) key: Key,
    pub(crate) tracer: Tracer,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) tls_handshake_timeout: Option<Duration>,
}

/// A connection that is being made: its stream so far, and its two ends.
struct HalfOpen {
    stream: Box<dyn Stream>,
    local_addr: Addr,
    remote_addr: Addr,
    tls: Option<Arc<TlsInfo>>,
}

impl Connector {
    /// Dials in a task. The task ends by its time limits, or when idle connections are closed and no
    /// caller waits for this one.
    pub(crate) fn start(self: &Arc<Connector>, request: ConnectRequest, permit: PoolDialPermit) {
        let connector = self.clone();
        tokio::spawn(async move {
            let outcome = {
                let mut connecting = pin!(connector.connect(&request, permit.notifier()));
                let mut abandoned = pin!(permit.abandoned());
                poll_fn(|cx| match connecting.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => abandoned.as_mut().poll(cx).map(|()| None),
                })
                .await
            };
            match outcome {
                Some(Ok(connection)) => permit.established(connection),
                Some(Err(error)) => permit.failed(error),
                None => {}
            }
        });
    }

    /// `connect_timeout` covers everything but TLS, and starts again after the handshake: a slow
    /// handshake must not look like a server that cannot be reached.
    async fn connect(&self, request: &ConnectRequest, notifier: KeyNotifier) -> Result<HttpConnection> {
        let observer = DialObserver::new(request.tracer.clone());
        let key = &request.key;
        let opening = self.open(request, &observer);
        let mut half_open = within(request.connect_timeout, "connect_timeout", &observer, opening).await?;
        if let (Scheme::Https, Some(authority)) = (key.scheme, &key.authority) {
            let zoneless = without_zone(authority.host());
            let host = zoneless.as_deref().unwrap_or(authority.host());
            half_open = self.handshake(request, &observer, half_open, host, key.offer).await?;
        }
        let completing = self.complete(half_open, &observer, key.offer, notifier);
        within(request.connect_timeout, "connect_timeout", &observer, completing).await
    }

    /// A stream to the server, directly or through the proxy, before any TLS to the server.
    async fn open(&self, request: &ConnectRequest, observer: &DialObserver) -> Result<HalfOpen> {
        let key = &request.key;
        let Some(proxy) = &key.proxy else {
            let authority = key.authority.as_ref().ok_or_else(no_target)?;
            let port = authority.port_u16().unwrap_or(key.scheme.port());
            return self.dial(&dialled_host(authority.host()), port, observer).await;
        };
        let mut half_open = self.dial(proxy.host(), proxy.port(), observer).await?;
        if proxy.scheme() == ProxyScheme::Https {
            half_open = self.handshake(request, observer, half_open, proxy.host(), Offer::Http1).await?;
            // Responses tell of the session with the server; this one is with the proxy.
            half_open.tls = None;
        }
        observer.enter(Phase::Proxy);
        half_open.stream = self.tunnel(proxy, half_open.stream, key).await?;
        Ok(half_open)
    }

    async fn dial(&self, host: &str, port: u16, observer: &DialObserver) -> Result<HalfOpen> {
        let connection = net::dial(&*self.dialer, &DialTarget::new(host, port).with_watch(observer)).await?;
        observer.note_connected();
        let (stream, local_addr, remote_addr) = connection.into_parts();
        Ok(HalfOpen { stream, local_addr, remote_addr, tls: None })
    }

    /// TLS over the stream. It has a time limit of its own: see [`Connector::connect`].
    async fn handshake(
        &self,
        request: &ConnectRequest,
        observer: &DialObserver,
        half_open: HalfOpen,
        host: &str,
        offer: Offer,
    ) -> Result<HalfOpen> {
        observer.enter(Phase::Tls);
        request.tracer.tell(ClientTrace::tls_handshake_start);
        let securing = self.secure.secure(half_open.stream, host, offer);
        let secured = within(request.tls_handshake_timeout, "tls_handshake_timeout", observer, securing).await;
        if request.tracer.is_on() {
            let told = secured.as_ref().map(|(_, info)| info.clone()).map_err(Error::again);
            request.tracer.tell(|trace| trace.tls_handshake_done(&told));
        }
        let (stream, info) = secured?;
        observer.note_secured();
        Ok(HalfOpen { stream, tls: Some(info), ..half_open })
    }

    /// Opens a tunnel through the proxy to the target.
    async fn tunnel(&self, proxy: &ProxyUrl, stream: Box<dyn Stream>, key: &Key) -> Result<Box<dyn Stream>> {
        let Some(authority) = &key.authority else { return Ok(stream) };
        let mut stream = stream;
        if !proxy.scheme().is_http() {
            let port = authority.port_u16().unwrap_or(key.scheme.port());
            proxy::socks::connect(&mut stream, authority.host(), port, proxy.credentials()).await?;
            return Ok(stream);
        }
        let credentials = proxy.authorization();
        let connect = proxy::Connect {
            authority: &with_port(authority, key.scheme),
            header: &self.connect_header,
            authorization: credentials.as_deref(),
            user_agent: &self.settings.user_agent,
        };
        let mut io = Io::boxed(stream);
        let hook = |response: &Response| self.on_connect_response.as_ref().map_or(Ok(()), |hook| hook(response));
        proxy::tunnel(&mut io, &connect, &self.settings.head_limits, hook).await?;
        match io.into_parts() {
            (stream, ahead) if ahead.is_empty() => Ok(stream),
            // Nothing was sent to the target yet, so these bytes are not its answer.
            _ => Err(Error::new(ErrorKind::Proxy, "the proxy sent more than its answer").during(Phase::Proxy)),
        }
    }

    /// Begins with the protocol that TLS has negotiated, or that was set.
    async fn complete(
        &self,
        half_open: HalfOpen,
        observer: &DialObserver,
        offer: Offer,
        notifier: KeyNotifier,
    ) -> Result<HttpConnection> {
        let HalfOpen { stream, local_addr, remote_addr, tls } = half_open;
        let negotiated = tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"));
        let info = Arc::new(ConnectionInfo { local_addr, remote_addr, tls, timings: observer.timings() });
        let expires = self.lifetime.map(|lifetime| Instant::now() + with_jitter(lifetime));
        if negotiated || (offer == Offer::Http2 && info.tls.is_none()) {
            let http2 = http2::connect(stream, info, expires, &self.settings, notifier)?;
            return Ok(HttpConnection::Http2(http2));
        }
        if offer == Offer::Http2 {
            let error = Error::new(ErrorKind::Tls, "the server does not speak HTTP/2, and nothing else was asked for");
            return Err(error.during(Phase::Tls));
        }
        Ok(HttpConnection::Http1(Box::new(Http1Conn::new(Io::boxed(stream), info, expires))))
    }
}

fn no_target() -> Error {
    Error::new(ErrorKind::Invalid, "there is nowhere to connect to")
}

/// Limits the time of a future; the error names the phase that took too long.
async fn within<T>(
    limit: Option<Duration>,
    name: &'static str,
    observer: &DialObserver,
    doing: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else { return doing.await };
    match timeout(limit, doing).await {
        Ok(done) => done,
        Err(_) => Err(Error::over_limit(observer.phase(), name, limit)),
    }
}

/// Up to a tenth less, so that connections made together do not end together. The microseconds of
/// the clock are random enough for that.
fn with_jitter(lifetime: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    lifetime.saturating_sub(lifetime / 10 * (nanos / 1_000 % 1_000) / 1_000)
}
