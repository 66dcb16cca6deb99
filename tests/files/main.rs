//! The file server, over sockets, on folders that are made for each test.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(all(feature = "tls", feature = "http2", unix))]
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/files_kit.rs"]
mod files_kit;
#[cfg(all(feature = "tls", feature = "http2", unix))]
#[path = "../support/foreign_tls.rs"]
mod foreign_tls;
#[cfg(all(feature = "tls", feature = "http2", unix))]
#[path = "../support/frames.rs"]
mod frames;

#[cfg(all(feature = "tls", feature = "http2", unix))]
mod attacks;
mod serving;
mod settings;
