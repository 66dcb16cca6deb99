//! The client: `Client` (policy: cookies, redirects, one deadline for all) over `Transport`
//! (mechanism: connections, their pool, one exchange).
//!
//! ```text
//! Client ─► Transport ─► Plan: key, proxy, form of the target, length of the content
//!   ▲           │
//!   │           ├─► pool: an idle connection, or `connect` in a task of its own
//!   │           │         (dial, proxy, TLS), whichever comes first
//!   │           └─► http1::Exchange: request written, head read, polled together
//!   │                 (or http2: the same on one of a connection's streams)
//!   │                     │
//!   └─ redirect? ◄─ Response ─► its body owns the exchange ─► end ─► back into the pool
//! ```

mod attempt;
// The module of the type that it is named after.
#[allow(clippy::module_inception)]
mod client;
mod clock;
mod connect;
mod connection;
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(not(feature = "http2"))]
#[path = "http2_absent.rs"]
mod http2;
mod jar;
mod key;
mod plan;
mod pool;
mod progress;
mod proxy;
mod redirect;
mod remedies;
mod response;
mod round_trip;
mod secure;
mod short;
mod stats;
mod timed;
#[cfg(feature = "tls-no-provider")]
#[path = "tls.rs"]
mod tls;
#[cfg(not(feature = "tls-no-provider"))]
#[path = "tls_absent.rs"]
mod tls;
mod trace;
mod transport;
mod url;
mod watch;

pub use client::{Client, RedirectChoice, RedirectHook, default_client};
pub use connect::ConnectHook;
pub use http1::Upgraded;
pub use jar::CookieJar;
#[cfg(feature = "cookies")]
pub use jar::{Jar, SessionCookies, StoredCookie};
pub use proxy::{Proxy, ProxyScheme, ProxyUrl};
pub use round_trip::{RoundTripFuture, RoundTripper};
pub use short::{get, head, post, post_form};
pub use stats::HostStats;
pub use trace::{ClientTrace, GotConn};
pub use transport::{
    ClientProtocols, DEFAULT_MAX_RESPONSE_HEADER_BYTES, DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT, Transport,
};
pub use url::IntoUrl;
#[cfg(fuzzing)]
pub(crate) use url::{host_field, join};
