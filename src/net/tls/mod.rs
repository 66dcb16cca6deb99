//! TLS on both sides, by rustls: the only place that names it.
//!
//! ```text
//!  server:  TlsServerConfig ─▶ acceptor ─┐                     ┌─▶ a Stream of plain bytes
//!                                        ├─▶ handshake on a ───┤
//!  client:  TlsConfig ──────▶ connector ─┘   peeked stream     └─▶ TlsInfo, or an error
//! ```
//!
//! The provider of cryptography is always handed to rustls. What a program has installed for the
//! process is neither asked for nor changed: two crates that choose differently do not meet here.

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
