//! What stands around handlers, and the answers that every program gives.
//!
//! [`Middleware`](crate::Middleware) says what a middleware is and where it goes. Here are the forms in
//! which one is kept, and functions that take a handler and return one.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use nethttp::middleware::{max_bytes_handler, timeout_handler};
//! use nethttp::{Request, ResponseWriter, ServeMux};
//!
//! let mux = ServeMux::new();
//! mux.handle("POST /upload", async |w: &mut ResponseWriter, r: &mut Request| {
//!     let content = r.body.bytes(1 << 20).await?;
//!     w.write(format!("{} bytes\n", content.len())).await
//! });
//! let handler = timeout_handler(max_bytes_handler(mux, 1 << 20), Duration::from_secs(10), "too slow");
//! ```

// What a middleware changes in the request it changes back, however the inner handler ends: the
// request is borrowed, and the code around (a log, another middleware) must see it as it was.

mod compression;
mod error;
mod limits;
mod redirect;
mod target;

pub use crate::message::{CompressionLevel, ContentCoding};
pub use crate::server::handler::Wrapped;
pub use crate::server::middleware::{BoxMiddleware, with_state};
pub use compression::Compression;
pub use error::{error, not_found, not_found_handler};
pub use limits::{max_bytes_handler, timeout_handler};
pub use redirect::{redirect, redirect_handler};
pub use target::{allow_query_semicolons, strip_prefix};
