//! HTTP/1 on a server's connection.

pub(super) mod conn_io;
pub(super) mod connection;
mod exchange;
mod request_body;
