//! The client's side: whom it trusts, what it shows, and the handshake.

mod config;
mod connector;
mod roots;

pub use config::TlsConfig;
pub use roots::TlsRoots;

pub(crate) use connector::{AlpnOffer, TlsConnector};

#[cfg(test)]
#[cfg(all(feature = "server", feature = "tls-aws-lc"))]
mod tests;
