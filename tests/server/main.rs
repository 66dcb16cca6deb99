//! The server over HTTP/1.1, in memory and in virtual time where nothing else is said: what a peer sends,
//! what it is answered, and when a connection ends.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(target_os = "linux")]
#[path = "../support/alone.rs"]
mod alone;
#[cfg(all(feature = "client", feature = "http2"))]
#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/handed.rs"]
mod handed;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;

mod accept;
mod answers;
mod attacks;
mod bodies;
mod context;
mod deadlines;
#[cfg(all(feature = "client", feature = "http2"))]
mod flushing;
mod forms;
mod handlers;
mod hijack;
mod keep_alive;
mod listeners;
mod middleware;
mod mux;
mod panics;
mod pipelining;
mod shutdown;
#[cfg(target_os = "linux")]
mod signals;
mod states;
