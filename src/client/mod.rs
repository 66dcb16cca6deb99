//! The client: `Client` (policy: cookies, redirects, one deadline for all) over `Transport`
//! (mechanism: connections, their pool, one exchange).
//!
//! ```text
//! Client ─► Transport ─► Plan: key, proxy, form of the target, length of the content
//!   ▲           │
//!   │           ├─► pool: an idle connection, or `connect` in a task of its own
//!   │           │         (dial, proxy, TLS), whichever comes first
//!   │           └─► http1::round_trip: request written, head read, polled together
//!   │                 (or http2: the same on one of a connection's streams)
//!   │                     │
//!   └─ redirect? ◄─ Response ─► its body owns the exchange ─► end ─► back into the pool
//! ```

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
mod jar;
mod observe;
mod pool;
mod proxy;
mod redirect;
mod round_trip;
mod settings;
mod shortcuts;
mod transport;
mod url;

pub use client::{Client, RedirectChoice, RedirectHook, default_client};
pub use connect::ConnectHook;
pub use http1::Upgraded;
pub use jar::CookieJar;
#[cfg(feature = "cookies")]
pub use jar::{Jar, SessionCookies, StoredCookie};
pub use observe::{ClientTrace, GotConn};
pub use proxy::{Proxy, ProxyScheme, ProxyUrl};
pub use round_trip::{RoundTripFuture, RoundTripper};
pub use settings::ClientProtocols;
pub use shortcuts::{get, head, post, post_form};
pub use transport::{DEFAULT_MAX_RESPONSE_HEADER_BYTES, DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT, HostStats, Transport};
pub use url::IntoUrl;
#[cfg(fuzzing)]
pub(crate) use url::{host_field, join};
