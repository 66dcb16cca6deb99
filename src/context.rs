//! How long work is wanted: the context of a request, and those that are made from it.
//!
//! ```
//! use nethttp::context::Context;
//!
//! let (context, guard) = Context::background().with_cancel();
//! drop(guard);
//! assert!(context.is_cancelled());
//! ```
//!
//! The guide has it on its pages on handlers and on the client: `docs/guide/handlers.md`, `docs/guide/client.md`.

pub use crate::message::{CancelGuard, Context};
