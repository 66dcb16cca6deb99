//! Several upstreams: what the choice does over time, with servers in memory and paused time.
#![cfg(all(feature = "client", feature = "server", feature = "http2", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod health;
mod kit;
mod names;
mod proxy_protocol;
mod queue;
