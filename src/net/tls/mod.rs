//! TLS on both sides, by rustls: the only place that names it.
//!
//! ```text
//!  server:  TlsServerConfig ─▶ acceptor ─┐                     ┌─▶ a Stream of plain bytes
//!                                        ├─▶ handshake on a ───┤
//!  client:  TlsConfig ──────▶ connector ─┘   peeked stream     └─▶ TlsInfo, or an error
//! ```
//!
//! The provider of cryptography is always passed to rustls. The process-wide default provider is
//! neither used nor changed, so that crates with different choices do not conflict.

mod certificate;
#[cfg(feature = "client")]
mod client;
mod error;
mod peek;
mod provider;
#[cfg(feature = "server")]
mod server;
mod session;

pub use certificate::Certificate;
#[cfg(feature = "client")]
pub use client::{TlsConfig, TlsRoots};
#[cfg(feature = "server")]
pub use server::{ClientAuth, TlsServerConfig};

#[cfg(feature = "client")]
pub(crate) use client::{AlpnOffer, TlsConnector};
