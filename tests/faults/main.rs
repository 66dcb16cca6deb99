//! What goes wrong around a server and a client: peers that die or fall silent in each phase, futures
//! that are dropped, a process out of descriptors, of threads or of disk. Whatever it is, it ends with
//! an error that says what it was, leaves no task, no connection and no descriptor behind, and the
//! next request is served.
//!
//! Tests with time in them run in memory, with the clock paused. Those that count descriptors, or
//! need a limit of the system's, run in a process of their own ([`alone`]).
#![cfg(all(feature = "client", feature = "server", feature = "http2", feature = "tls", target_os = "linux"))]
#![cfg(all(feature = "cookies", feature = "gzip"))]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/cut.rs"]
mod cut;
#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/foreign_tls.rs"]
mod foreign_tls;
#[path = "../support/handed.rs"]
mod handed;
#[path = "../modes/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod blocking;
mod descriptors;
mod disk;
mod dropped;
mod killed_clients;
mod killed_servers;
mod moments;
mod paths;
mod reports;
mod shutdowns;
mod sockets;
