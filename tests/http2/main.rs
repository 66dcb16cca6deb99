//! HTTP/2: each side against frames that are written by hand, or against the other side of `h2`.
#![cfg(feature = "http2")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(all(feature = "server", feature = "tls"))]
#[path = "../support/certificates.rs"]
mod certificates;
#[cfg(feature = "server")]
#[path = "../support/frames.rs"]
mod frames;
#[cfg(feature = "client")]
#[path = "../support/http2_peer.rs"]
mod http2_peer;
#[cfg(feature = "server")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "server")]
mod attacks;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod client_connections;
#[cfg(feature = "client")]
mod client_frames;
#[cfg(feature = "client")]
mod client_rules;
#[cfg(feature = "client")]
mod client_tunnels;
#[cfg(all(feature = "server", feature = "tls"))]
mod over_tls;
#[cfg(feature = "server")]
mod rules;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod server_tunnels;
#[cfg(feature = "server")]
mod streams;
