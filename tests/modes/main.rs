//! What the client and the server do together, in every mode that both speak: HTTP/1.1 and HTTP/2,
//! each in the clear and over TLS. A rule that holds in one mode holds in all of them. No byte
//! leaves the process, and time is paused.
#![cfg(all(feature = "client", feature = "server", feature = "http2", feature = "tls", feature = "gzip"))]
#![cfg(feature = "cookies")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod answers;
mod bodies;
mod chains;
mod compression;
mod connections;
mod contents;
mod decompression;
mod ends;
mod failures;
mod filters;
mod forms;
mod layers;
mod limits;
mod probes;
mod records;
mod routers;
mod shutdowns;
mod site;
mod sse;
mod typed;
mod upgrades;
