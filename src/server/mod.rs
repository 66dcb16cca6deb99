//! The server.

mod handler;
mod writer;

pub use handler::{Handler, HandlerFn, HandlerFuture, StateFn, handle_with};
pub use writer::ResponseWriter;

pub(crate) use handler::AnyHandler;
