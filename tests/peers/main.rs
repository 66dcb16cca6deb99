//! Programs that others wrote, as clients and as servers. A test whose program is not on the machine says so
//! and passes.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;
#[cfg(all(feature = "client", feature = "http2", feature = "tls"))]
#[path = "../support/foreign_tls.rs"]
mod foreign_tls;
#[cfg(all(feature = "client", feature = "http2", feature = "tls"))]
#[path = "../support/http2_peer.rs"]
mod http2_peer;
#[path = "../support/programs.rs"]
mod programs;
#[cfg(all(feature = "server", feature = "client", feature = "http2"))]
#[path = "../support/routes.rs"]
mod routes;

#[cfg(all(feature = "client", feature = "gzip", unix))]
mod client;
#[cfg(all(feature = "client", feature = "http2", feature = "tls"))]
mod client_http2;
#[cfg(all(feature = "server", feature = "client", feature = "http2", unix))]
mod front;
#[cfg(all(feature = "server", feature = "client", feature = "http2", feature = "tls", unix))]
mod http2;
#[cfg(all(feature = "server", feature = "client", feature = "http2"))]
mod python;
#[cfg(all(feature = "server", feature = "tls"))]
mod tls;
