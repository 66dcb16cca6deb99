//! HTTP/1.1 as a client speaks it: one exchange after the other on a connection.
//!
//! It has no task. The caller's future writes the request and reads the response's head, both polled
//! together; then the response's body owns the connection and gives it back to the pool at its end.

mod body;
mod connection;
mod exchange;
mod round_trip;
mod upgraded;
mod upload;

pub use upgraded::Upgraded;

pub(crate) use connection::Http1Conn;
pub(crate) use round_trip::round_trip;
