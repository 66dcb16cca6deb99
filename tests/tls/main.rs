//! TLS on both sides, against rustls driven by itself.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../support/certificates.rs"]
mod certificates;
#[cfg(feature = "client")]
#[path = "../support/fake.rs"]
mod fake;
#[cfg(feature = "client")]
#[path = "../support/foreign_tls.rs"]
mod foreign_tls;
#[cfg(feature = "server")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;
