//! TLS on both sides: certificates, who is trusted, and what a connection agreed on.
//!
//! A server takes its [`Certificate`]s from a [`TlsServerConfig`], which can renew them while it serves
//! and ask clients for theirs ([`ClientAuth`]). A client's [`TlsConfig`] says which roots it trusts and
//! which certificate it shows. [`TlsInfo`] tells of the connection of a request or a response.
//!
//! ```no_run
//! use nethttp::{Request, ResponseWriter, listen_and_serve_tls};
//!
//! # async fn example() -> nethttp::Result<()> {
//! let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello over TLS\n").await;
//! listen_and_serve_tls("127.0.0.1:8443", "site.pem", "site.key", hello).await
//! # }
//! ```
//!
//! The guide has a page on it: `docs/guide/tls.md`.

pub use crate::message::{TlsInfo, TlsVersion};
#[cfg(feature = "tls-no-provider")]
pub use crate::net::tls::Certificate;
#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub use crate::net::tls::{ClientAuth, TlsServerConfig};
#[cfg(all(feature = "tls-no-provider", feature = "client"))]
pub use crate::net::tls::{TlsConfig, TlsRoots};
#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub use crate::server::tls::{listen_and_serve_tls, serve_tls};
