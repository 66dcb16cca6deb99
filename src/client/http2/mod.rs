//! HTTP/2 as a client speaks it: many exchanges on one connection.
//!
//! # Theory of operation
//!
//! ```text
//!  pool ────── Http2Conn ───────────────┐
//!  Exchange ── Http2Conn + StreamPermit ┴─▶ ConnectionCore ──▶ Http2State ◀── Driver, a task: the stream,
//!     │                                                        (ready list)     │   Http2Core, deadlines
//!     └─────────────── ExchangeIo ◀─────────────────────────────────────────────┘
//! ```
//!
//! A connection has one task, its [driver], which owns the byte stream, the engine of HTTP/2 and the
//! deadlines, and does all reading and writing. An exchange runs in the future of its caller. It makes the
//! request's head and hands it over in its [`ExchangeIo`](exchange_io), which both sides share; the task
//! opens the stream and encodes the head there, in the order in which requests came, decodes the
//! response's head, and lays down what comes. From then on the response's body owns the exchange, and
//! with it the stream, a permit for it and a permit of the pool. All are given back when it ends or is
//! dropped; a stream that is not over is reset (`RST_STREAM`, CANCEL), and the connection lives on.
//!
//! **Content.** A request's is read from its body by the exchange, at most 64 KiB ahead of what was sent,
//! and that which cannot be had again only once the stream is open. The engine asks for it when a frame
//! can leave: no window is reserved, and none is kept from another stream. A response's content is copied
//! once, into its `ExchangeIo`, and makes room in the windows when it is read. So the windows bound what a
//! connection holds. What a body that is dropped still had of them is given back at once.
//!
//! **What keeps it open.** The handles ([`Http2Conn`]): one in the pool, one in each exchange. The
//! driver has a weak one. When the last one goes, the driver sends GOAWAY, and gives a peer that does not
//! read it `CLOSE_TIMEOUT`.
//!
//! **Locks.** One for each exchange, held for a push or a take, by its future and by the task; and that of
//! the list of exchanges that have something for the task. None is held across a wait, nor two at a time.
//!
//! **Who wakes whom.** An exchange that has something lists itself, which wakes the task if it does not run
//! ([`ReadyList`](crate::net::ReadyList)). The task wakes an exchange once for all that a read brought it,
//! and when it has made room for content. The socket and the timers wake the task. It notifies the pool of
//! changes that matter to waiting requests: the peer takes more streams, the connection takes none any
//! more, the peer does not answer a PING.
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
//! When it ends, the driver sets the reason, and then tells every exchange: they read it there.
//!
//! **What was not acted on** is known exactly: a request that was not begun here, one whose stream the
//! server refused, and one above the last stream of its GOAWAY. Those are sent again, whatever their method.

mod body;
mod connection;
mod content;
mod driver;
mod error;
mod exchange;
mod exchange_io;
mod request_head;
mod round_trip;
mod state;
mod tunnel;
mod upload;

pub(super) use connection::Http2Conn;
pub(super) use driver::connect;
pub(super) use round_trip::round_trip;
