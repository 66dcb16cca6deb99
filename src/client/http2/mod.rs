//! HTTP/2 as a client speaks it: many exchanges on one connection.
//!
//! # Theory of operation
//!
//! ```text
//!  pool ────── Http2Conn ─────────────────┐
//!  Exchange ── Http2Conn + StreamPermit ──┴► ConnectionCore ──► h2 ◄── Driver, a task: frames, PING
//!     │                                         │                        │
//!     └─ Upload: SendStream                     └────► Http2State ◄──────┘─── KeyNotifier ──► pool
//! ```
//!
//! A connection has one task, its [driver], which does all reading and writing. An exchange
//! runs in the future of its caller: it hands the request's head to `h2` and waits for the head of
//! the response. From then on the response's body owns the exchange, and with it the stream, a
//! permit for it and a permit of the pool. All are given back when it ends or is dropped; a stream
//! that is not over is reset (`RST_STREAM`, CANCEL), and the connection lives on.
//!
//! **What keeps it open.** The handles ([`Http2Conn`]): one in the pool, one in each exchange. The
//! driver has a weak one. When the pool drops its handle and the last exchange ends, `h2` sends
//! GOAWAY; the driver gives a peer that does not read it `CLOSE_TIMEOUT`.
//!
//! **Locks.** `ConnectionCore::requests` alone, and never across a wait: each exchange copies the
//! sender under it. All else is atomic, in `Http2State`.
//!
//! **Who wakes whom.** `h2` wakes an exchange when something arrives on its stream or its window opens,
//! and the driver when a frame is to be written; the socket and the timers wake the driver. The driver
//! notifies the pool of changes that matter to waiting requests: the peer takes more streams, the
//! connection takes none any more, the peer does not answer a PING.
//!
//! ```text
//!   a PING is unanswered, or a request
//!   Good ───────────────────────▶ Doubtful
//!    │   ◀───────────────────────    │
//!    │       something arrives       │
//!    └── GOAWAY, error, close ───────┴─▶ Spent ── its last stream is over ──▶ ended
//! ```
//!
//! **Silence.** A peer that is silent for 15 s while streams are open is sent a PING. So is one from which
//! nothing came since a request was sent, when that request ends at a time limit or is given up: its
//! exchange tells the driver when it is dropped, just before its stream is reset, which wakes the driver.
//! After a time limit, or a second of waiting, the connection is `Doubtful` at once. Without a pong in 15 s
//! it ends.
//!
//! **Health.** In `Doubtful` and `Spent` the connection gets no new streams; those that are open go on.
//! When it ends, the driver sets the reason before it drops the connection, which wakes the exchanges:
//! they read there why their streams have ended.

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
