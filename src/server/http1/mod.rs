//! HTTP/1 on a server's connection.

pub(super) mod conn_io;
pub(super) mod connection;
pub(super) mod request_body;
