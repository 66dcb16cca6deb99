//! Tests of handlers, of servers and of clients (Go's `httptest`).
//!
//! From the least to the most that is real:
//! - [`record`] calls a handler and keeps its response. There is no connection, no protocol and no task.
//! - [`Server::in_memory`] serves a handler over a protocol, without a network, and has a client for it.
//!   Together with tokio's paused clock it is tested to the millisecond: an hour of idling passes at once.
//! - [`Server::new`] listens on a port of this machine, for clients of any kind.
//! - [`listener`] is the bottom of these: a listener in memory, for tests that speak bytes.
//!
//! ```
//! use nethttp::{Request, ResponseWriter, Result, ServeMux, testing};
//!
//! async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
//!     w.write(format!("hello, {}", r.path_value("name"))).await
//! }
//!
//! // In a test: `#[tokio::test]`.
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let mux = ServeMux::new();
//!     mux.handle("GET /hello/{name}", hello);
//!
//!     let recorded = testing::record(&mux, testing::request("GET", "/hello/you")).await;
//!     assert_eq!((recorded.status.as_u16(), recorded.text()), (200, "hello, you"));
//!     let recorded = testing::record(&mux, testing::request("POST", "/hello/you")).await;
//!     assert_eq!(recorded.status.as_u16(), 405);
//! }
//! ```
//!
//! # What tokio must have
//! `#[tokio::test]` needs tokio's features `macros` and `rt`, and `start_paused = true` needs `test-util` as
//! well. A program that has tokio without them adds them for its tests:
//!
//! ```toml
//! [dev-dependencies]
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! The guide has a page on it: `docs/guide/testing.md`.

#[cfg(feature = "client")]
mod client;
#[cfg(not(feature = "client"))]
#[path = "client_absent.rs"]
mod client;
mod listener;
mod record;
mod server;
mod setup;
#[cfg(feature = "tls-no-provider")]
mod tls;
#[cfg(not(feature = "tls-no-provider"))]
#[path = "tls_absent.rs"]
mod tls;

pub use listener::{Dialer, MemoryListener, listener};
pub use record::{RecordedResponse, record, request};
pub use server::{CloseReport, Server, ServerBuilder};
