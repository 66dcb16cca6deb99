//! A reverse proxy: a handler that has other servers answer.
//!
//! [`ReverseProxy::to`] makes one for a URL, [`ReverseProxy::new`] one for what chooses among several
//! ([`ChooseUpstream`]). It is a [`Handler`](crate::Handler) like any other: it goes into a mux, and behind middleware.
//!
//! ```
//! use nethttp::ServeMux;
//! use nethttp::reverse_proxy::ReverseProxy;
//!
//! let mux = ServeMux::new();
//! mux.handle("/", ReverseProxy::to("http://127.0.0.1:8000")?);
//! # Ok::<(), nethttp::Error>(())
//! ```
//!
//! The guide has a page on it: `docs/guide/reverse-proxy.md`.

// Pure decisions first, then what waits:
//
//   fields, forwarded, target, retry    which fields go on, what is said of the client, where to, whether again
//   outgoing                            the request for an upstream, as a rewrite function sees it
//   upstream                            the seam to what chooses an upstream, and is told what became of it
//   content, interim                    the request's content and 1xx responses on their way
//   response, tunnel                    how a response, or both directions of another protocol, are copied
//   exchange                            one exchange, put together of these
//   settings, proxy, record             the handler, its settings, and what it tells

mod content;
mod exchange;
mod fields;
mod forwarded;
mod interim;
mod outgoing;
mod proxy;
mod record;
mod response;
mod retry;
mod settings;
mod switch;
mod target;
mod tunnel;
mod upstream;
mod upstreams;

pub use outgoing::OutgoingRequest;
pub use proxy::ReverseProxy;
pub use record::{ProxyEnd, ProxyRecord};
pub use settings::proxy_transport;
pub use upstream::{ChooseFuture, ChooseUpstream, ChosenUpstream, Upstream, UpstreamFailure, UpstreamPermit};
pub use upstreams::{
    HashKey, HealthCheck, LatencyStats, LoadBalancing, UpstreamHealth, UpstreamServer, UpstreamStats, Upstreams,
};
