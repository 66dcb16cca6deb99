//! What stands around handlers, and the answers that every program gives.
//!
//! [`Middleware`](crate::Middleware) says what a middleware is and where it goes. Here are the forms in
//! which one is kept, and functions that take a handler and return one.
//!
//! What a middleware changes in the request it changes back, however the inner handler ends: the
//! request is borrowed, and the code around (a log, another middleware) must see it as it was.

mod error;
mod limits;
mod redirect;
mod target;

pub use crate::server::{BoxMiddleware, Wrapped, with_state};
pub use error::{error, not_found, not_found_handler};
pub use limits::{max_bytes_handler, timeout_handler};
pub use redirect::{redirect, redirect_handler};
pub use target::{allow_query_semicolons, strip_prefix};
