//! Sockets, buffers and deadlines: the only place that names `tokio::net`.

mod async_read;
mod buffers;
mod deadline;
#[cfg(feature = "client")]
mod dial;
mod io;
mod listener;
#[cfg(feature = "tls-no-provider")]
mod tls;

pub use listener::Listener;

pub(crate) use deadline::Deadline;
pub(crate) use io::{Io, Stream};
pub(crate) use listener::{bind_reuse_port, bind_tcp, from_std, is_temporary};
