//! Sends requests: [`Client`] over [`Transport`], proxies, redirects, and what is known of a response.
//!
//! A [`Client`] is policy: redirects, cookies, one limit on how long all of it takes. A [`Transport`] is
//! mechanism: connections and their pool, and every other limit. Make one of each and keep them.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use nethttp::client::{Client, Proxy, Transport};
//!
//! # async fn example() -> nethttp::Result<()> {
//! let mut transport = Transport::new();
//! transport.proxy = Proxy::from_environment();
//! transport.max_conns_per_host = 10;
//!
//! let mut client = Client::with_transport(transport);
//! client.timeout = Duration::from_secs(30);
//! let text = client.get("https://example.com/").await?.text().await?;
//! # Ok(())
//! # }
//! ```
//!
//! How connections are made is in [`net`](crate::net), with TLS in [`tls`](crate::tls); cookies are in
//! [`cookie`](crate::cookie), and [`trace`](crate::trace) follows a request step by step.
//!
//! The guide has a page on it: `docs/guide/client.md`.

// The client: `Client` (policy: cookies, redirects, one deadline for all) over `Transport`
// (mechanism: connections, their pool, one exchange).
//
// Client ─► Transport ─► Plan: key, proxy, form of the target, length of the content
//   ▲           │
//   │           ├─► pool: an idle connection, or `connect` in a task of its own
//   │           │         (dial, proxy, TLS), whichever comes first
//   │           └─► http1::round_trip: request written, head read, polled together
//   │                 (or http2: the same on one of a connection's streams)
//   │                     │
//   └─ redirect? ◄─ Response ─► its body owns the exchange ─► end ─► back into the pool

mod cancellation;
// The module of the type that it is named after.
#[allow(clippy::module_inception)]
mod client;
mod connect;
mod exchange;
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(not(feature = "http2"))]
#[path = "http2_absent.rs"]
mod http2;
mod http2_settings;
pub(crate) mod jar;
pub(crate) mod observe;
mod pool;
mod proxy;
mod redirect;
mod round_trip;
mod settings;
mod shortcuts;
mod transport;
mod upgraded;
mod url;

pub use crate::message::{Redirected, Timeouts, Timings};
pub use client::{Client, RedirectChoice, RedirectHook, default_client};
pub use connect::ConnectHook;
pub use http2_settings::Http2TransportSettings;
pub use proxy::{Proxy, ProxyScheme, ProxyUrl};
pub use round_trip::{RoundTripFuture, RoundTripper};
pub use settings::ClientProtocols;
pub use shortcuts::{get, head, post, post_form};
pub use transport::{DEFAULT_MAX_RESPONSE_HEADER_BYTES, DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT, HostStats, Transport};
pub use upgraded::Upgraded;
pub use url::IntoUrl;

#[cfg(feature = "server")]
pub(crate) use exchange::Relayed;

#[cfg(fuzzing)]
pub(crate) use url::host_field;
pub(crate) use url::join;
