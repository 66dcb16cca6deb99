//! The client over HTTP/1.1, against servers that are written out in each test.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(unix)]
#[path = "../support/alone.rs"]
mod alone;
#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/cut.rs"]
mod cut;
#[path = "../support/fake.rs"]
mod fake;
#[cfg(feature = "tls")]
#[path = "../support/foreign_tls.rs"]
mod foreign_tls;

mod cancel;
mod endings;
mod exchange;
mod pool;
#[cfg(feature = "tls")]
mod proxies;
#[cfg(feature = "cookies")]
mod redirects;
mod requests;
mod retry;
mod timeouts;
mod vectors;
