//! The proxy as a handler, and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::{exchange, own_answer};
use super::outgoing::{ForwardingFields, HostChoice, OutgoingRequest, PeerTrust};
use super::record::ProxyRecord;
use super::settings::{ProxySettings, UpstreamChoice};
use super::upstream::{ChooseUpstream, Upstream};
use crate::client::{IntoUrl, RoundTripper};
use crate::error::{Error, Result};
use crate::message::{Request, Response};
use crate::net::networks;
use crate::server::{Handler, ResponseWriter};

/// A handler that has other servers answer: Go's `httputil.ReverseProxy`.
///
/// A request goes to its upstream with all of its fields but those of the connection, in their order and spelling,
/// and its content as it comes; the response comes back in the same way. Nothing is held whole in memory in either
/// direction. HTTP/1.1 and HTTP/2 are spoken on each side independently of the other.
///
/// - **Fields.** Those of the connection (RFC 9110 §7.6.1) go, in both directions and in 1xx responses, with those that
///   `Connection` names; it cannot name fields that are for the server, as credentials are. `Host` is the
///   upstream's ([`preserve_host`](Self::preserve_host)). `Forwarded` and `X-Forwarded-For`, `-Host` and `-Proto` are
///   written; what the peer says in them, in other `X-Forwarded-` fields and in `X-Real-IP`, is dropped unless the
///   peer is [trusted](Self::trusted).
/// - **Targets.** Path and query stay as they are, byte for byte, but for pairs of the query that two parsers read
///   differently (Go's rule for semicolons and broken escapes). `OPTIONS *` goes on where
///   [`Server::disable_general_options_handler`](crate::Server::disable_general_options_handler) lets it come this far.
/// - **Streams.** What the upstream has sent leaves as soon as there is nothing more of it
///   ([`flush_interval`](Self::flush_interval)). A response may begin while the request is still being sent.
///   1xx responses are passed on, `100 Continue` only when the upstream says it or has not said anything for
///   a second. Trailers pass in both directions.
/// - **Upgrades** (WebSocket, and any other protocol but HTTP/2) become a tunnel once the upstream has agreed to what the
///   client has offered: 101 over HTTP/1.1, and over HTTP/2 a 2xx to an extended CONNECT (RFC 8441). Each side
///   speaks its own version. Clients may ask over HTTP/2 where
///   [`enable_connect_protocol`](crate::server::Http2Settings::enable_connect_protocol) lets them; an upstream is asked over
///   HTTP/2 by a transport that speaks nothing else. What proves a WebSocket over HTTP/1.1 and is not there over HTTP/2, the
///   proxy adds.
/// - **Failures.** An upstream that cannot be reached, ends before its answer, or sends what is none is answered for
///   with 502; one that is too slow, with 504. The text says nothing of the inside. A response that has begun and cannot
///   be completed is cut, so that the client sees it. A request goes to another upstream only where it was not
///   sent, or is idempotent and the upstream was lost; one that may have been acted on, as a POST, never.
/// - **The client.** When it leaves, the exchange with the upstream ends at once.
///
/// ```no_run
/// use nethttp::ServeMux;
/// use nethttp::reverse_proxy::ReverseProxy;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mux = ServeMux::new();
/// mux.handle("/api/", ReverseProxy::to("http://10.0.0.1:8000")?);
/// mux.handle("/", nethttp::file_server("public"));
/// nethttp::listen_and_serve("127.0.0.1:8080", mux).await
/// # }
/// ```
///
/// # Cancel safety
/// Dropped, the handler ends the exchange with the upstream.
#[derive(Clone)]
pub struct ReverseProxy(ProxySettings);

impl ReverseProxy {
    /// A proxy for one upstream; see [`Upstream::new`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no URL of `http` or `https`.
    pub fn to(url: impl IntoUrl) -> Result<ReverseProxy> {
        Ok(ReverseProxy(ProxySettings::new(UpstreamChoice::One(Upstream::new(url)?))))
    }

    /// A proxy for the upstreams that this chooses.
    pub fn new(upstreams: impl ChooseUpstream) -> ReverseProxy {
        ReverseProxy(ProxySettings::new(UpstreamChoice::Policy(Arc::new(upstreams))))
    }

    /// Sends requests through this transport, in place of one as [`proxy_transport`](super::proxy_transport) makes it.
    /// Make it with that function too: another one adds fields to requests, and takes codings off responses.
    #[must_use]
    pub fn transport(mut self, transport: impl RoundTripper) -> ReverseProxy {
        self.0.transport = Arc::new(transport);
        self
    }

    /// Changes each request before it is sent (Go's `Rewrite`): called for each upstream that it is sent to, with the
    /// request as it would go out and the one that was received.
    ///
    /// An error ends the request with the error's status, 500 where it has none.
    ///
    /// ```
    /// use nethttp::reverse_proxy::ReverseProxy;
    ///
    /// let proxy = ReverseProxy::to("http://10.0.0.1:8000")?.rewrite(|out, r| {
    ///     out.header.set("X-Tenant", r.hostname().split('.').next().unwrap_or_default());
    ///     if r.path().starts_with("/reports/") {
    ///         out.set_url("http://10.0.0.2:8000/v2")?;
    ///     }
    ///     Ok(())
    /// });
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    #[must_use]
    pub fn rewrite(
        mut self,
        rewrite: impl Fn(&mut OutgoingRequest<'_>, &Request) -> Result<()> + Send + Sync + 'static,
    ) -> ReverseProxy {
        self.0.rewrite = Some(Arc::new(rewrite));
        self
    }

    /// Changes each final response before any of it is sent (Go's `ModifyResponse`), 101 included: status, fields, and
    /// the body, which may be replaced. The fields of the connection are gone already. The second value is the request as
    /// it was received, without its content.
    ///
    /// An error ends the exchange with the upstream and is answered with the error's status, 500 where it has none.
    #[must_use]
    pub fn modify_response(
        mut self,
        modify: impl Fn(&mut Response, &Request) -> Result<()> + Send + Sync + 'static,
    ) -> ReverseProxy {
        self.0.modify_response = Some(Arc::new(modify));
        self
    }

    /// Answers failures (Go's `ErrorHandler`), as long as nothing of a response was sent. With `None` the error is
    /// returned to what is around this handler, as without this function: the server reports it and answers its
    /// [`status`](Error::status) in plain words.
    ///
    /// ```
    /// use nethttp::reverse_proxy::ReverseProxy;
    /// use nethttp::{Response, StatusCode};
    ///
    /// let proxy = ReverseProxy::to("http://10.0.0.1:8000")?.on_error(|r, error| {
    ///     eprintln!("{} {}: {error}", r.method, r.path());
    ///     let status = error.status().unwrap_or(StatusCode::BAD_GATEWAY);
    ///     Some(Response::new("We are back in a minute.\n").with_status(status).with_header("Retry-After", "60"))
    /// });
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    #[must_use]
    pub fn on_error(
        mut self,
        on_error: impl Fn(&Request, &Error) -> Option<Response> + Send + Sync + 'static,
    ) -> ReverseProxy {
        self.0.on_error = Some(Arc::new(on_error));
        self
    }

    /// Is told of each exchange when it is over: which upstream, how long each step took, how many bytes went each way.
    /// It runs on the task of the request, and must not block. It is called where the handler is dropped as well, with
    /// [`ProxyEnd::Dropped`](super::ProxyEnd::Dropped); not where another function of the proxy panics.
    #[must_use]
    pub fn on_exchange(mut self, on_exchange: impl Fn(&Request, &ProxyRecord) + Send + Sync + 'static) -> ReverseProxy {
        self.0.on_exchange = Some(Arc::new(on_exchange));
        self
    }

    /// Sends the client's `Host` on, in place of the upstream's.
    #[must_use]
    pub fn preserve_host(mut self) -> ReverseProxy {
        self.0.host = HostChoice::Clients;
        self
    }

    /// Writes none of the forwarding fields. Those of peers that are not trusted are dropped all the same.
    #[must_use]
    pub fn without_forwarding(mut self) -> ReverseProxy {
        self.0.forwarding = ForwardingFields::None;
        self
    }

    /// Believes peers with these addresses, or in these networks (`10.0.0.0/8`, `::1`), in what they say of the client:
    /// `Forwarded` and `X-Forwarded-For` are extended in place of being written anew, and all other forwarding fields
    /// stay as they are. Name proxies here that write or remove all of them.
    ///
    /// # Panics
    /// Where a text names no network.
    #[must_use]
    #[track_caller]
    pub fn trusted<Text: AsRef<str>>(mut self, peers: impl IntoIterator<Item = Text>) -> ReverseProxy {
        self.0.trusted = networks(peers);
        self
    }

    /// Believes peers that have no IP address as well: those of Unix sockets.
    #[must_use]
    pub fn trusted_unix_sockets(mut self) -> ReverseProxy {
        self.0.unix_sockets = PeerTrust::Trusted;
        self
    }

    /// For how long a part of a response may be held back while more of it is awaited (Go's `FlushInterval`).
    /// Default and 0: not at all, what is there leaves as soon as nothing more is. In Go that is `-1`, which
    /// sends after each write; here bytes that are there together leave together. Content of unknown length, event
    /// streams and gRPC are never held back.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> ReverseProxy {
        self.0.flush_interval = interval;
        self
    }

    /// How long it may take to connect to an upstream, its name and TLS apart. Default: the transport's, 30 s. 0: no
    /// limit. Beyond it the answer is 504, or another upstream is tried.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> ReverseProxy {
        self.0.timeouts.connect = Some(limit);
        self
    }

    /// How long the head of a response may take from the moment on that the request was sent, however long that
    /// took. Default: the transport's, 60 s. 0: no limit. Beyond it the answer is 504.
    #[must_use]
    pub fn response_header_timeout(mut self, limit: Duration) -> ReverseProxy {
        self.0.timeouts.response_header = Some(limit);
        self
    }

    /// How long an upstream may take nothing of a request, or send nothing of a response that has begun. Default: the
    /// transport's, no limit, as streams may be silent. 0: no limit. Beyond it the answer is 504, or the response is
    /// cut. Tunnels have a limit of their own.
    #[must_use]
    pub fn stall_timeout(mut self, limit: Duration) -> ReverseProxy {
        self.0.timeouts.stall = Some(limit);
        self
    }

    /// To how many other upstreams a request may go when one has failed. Default: 2. 0: to none.
    #[must_use]
    pub fn max_retries(mut self, count: usize) -> ReverseProxy {
        self.0.max_retries = count;
        self
    }

    /// How long both directions of a tunnel may be silent. Default and 0: no limit. Where one direction has ended, the
    /// other may be silent for a minute at most.
    #[must_use]
    pub fn tunnel_idle_timeout(mut self, limit: Duration) -> ReverseProxy {
        self.0.tunnel.idle = Some(limit).filter(|limit| !limit.is_zero());
        self
    }

    /// For how long a tunnel goes on when the server begins to shut down. Default: 1 s. 0: it ends at once.
    #[must_use]
    pub fn tunnel_grace(mut self, grace: Duration) -> ReverseProxy {
        self.0.tunnel.grace = grace;
        self
    }
}

impl Handler for ReverseProxy {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        match own_answer(r) {
            Some(response) => w.send(response).await,
            None => exchange(&self.0, w, r).await,
        }
    }
}

impl fmt::Debug for ReverseProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReverseProxy")
    }
}
