//! Handlers around handlers, and the answers that every program gives.
//!
//! A middleware here is a function that takes a handler and returns one. What it changes in the request
//! it changes back, however the inner handler ends: the request is borrowed, and the code around (a
//! log, another middleware) must see it as it was.

mod error;
mod limits;
mod redirect;
mod target;

pub use error::{error, not_found, not_found_handler};
pub use limits::{max_bytes_handler, timeout_handler};
pub use redirect::{redirect, redirect_handler};
pub use target::{allow_query_semicolons, strip_prefix};
