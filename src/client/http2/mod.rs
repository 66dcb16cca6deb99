//! HTTP/2 as a client speaks it: many exchanges on one connection.
//!
//! A connection has one task, its driver, which does all reading and writing. The future of who
//! asks hands over the request and waits for the response's head; then the response's body owns
//! the stream, and with it a seat on the connection and the exchange's place in the pool.
//!
//! ```text
//!  pool ── Http2Conn (no seat) ─────────┐
//!  Exchange ── Http2Conn + StreamPermit ──► ConnectionCore ──► h2 ◄── Driver (task): frames, PING, what the pool is told
//!     │ body, upload: one stream
//! ```

mod body;
mod connection;
mod driver;
mod error;
mod exchange;
mod round_trip;
mod state;
mod upload;

pub(super) use connection::Http2Conn;
pub(super) use driver::connect;
pub(super) use round_trip::round_trip;
