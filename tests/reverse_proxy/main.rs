//! The reverse proxy: raw bytes on both sides in memory and in virtual time, all combinations of HTTP/1.1 and HTTP/2
//! on its two sides, and real sockets for what only they show.
#![cfg(all(feature = "client", feature = "server", feature = "http2"))]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/frames.rs"]
mod frames;
#[path = "../support/handed.rs"]
mod handed;
mod kit;
#[path = "../support/wire.rs"]
mod wire;

mod continues;
mod failures;
mod fields;
mod limits;
mod protocols;
mod responses;
mod retries;
mod sockets;
mod streams;
mod targets;
mod upgrades;
