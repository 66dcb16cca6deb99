//! The server's side: which certificate is shown, who may come in, and the handshake.

mod acceptor;
mod certificates;
mod config;

pub use config::{ClientAuth, TlsServerConfig};
