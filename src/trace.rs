//! The steps of a client's request, called as they are taken (Go's `httptrace`).
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use nethttp::Request;
//! use nethttp::trace::{ClientTrace, GotConn};
//!
//! struct Connections;
//!
//! impl ClientTrace for Connections {
//!     fn got_conn(&self, conn: &GotConn) {
//!         println!("{} (reused: {})", conn.remote_addr, conn.reused);
//!     }
//! }
//!
//! # async fn example() -> nethttp::Result<()> {
//! let mut request = Request::get("https://example.com/")?;
//! request.set_trace(Arc::new(Connections));
//! nethttp::Client::new().send(request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The guide has a page on it: `docs/guide/tracing.md`.

pub use crate::client::observe::{ClientTrace, GotConn};
