//! One exchange, whatever its protocol: the plan for the request, one attempt to send it, how far it
//! was sent, and whether it is sent again.
//!
//! # Theory of operation
//!
//! ```text
//!  Plan ──► Attempt ──► Exchange (http1 or http2) ──► Response, whose body owns the Exchange
//!              ▲            │
//!              └─ RetryPolicy ◄─ FailedAttempt
//! ```
//!
//! **One future, two directions.** An exchange has no task and takes no lock (except, over HTTP/2, that
//! of the connection while it opens its stream). The caller's future polls it, and each poll makes
//! progress in both directions, first writing, then reading: a server may respond before it has read
//! the whole request. A future that finished writing before it read would hang where the server does
//! not read on until its response is read. Over HTTP/1.1 the exchange has the connection alone, and is
//! woken by the socket; over HTTP/2 it has one stream, and is woken by the connection's task.
//!
//! **After the head.** The response's body owns the exchange, and polling the body also sends the rest
//! of the request. When both messages are complete, the connection is given back to the pool. If the
//! body is dropped before that, the connection is closed (HTTP/1.1, unless the rest is short) or the
//! stream is reset.
//!
//! **What a failure means.** [`SendState`] says how far the request was sent.
//!
//! - The *body* of the request fails: the exchange fails with the body's own error. That is no reason
//!   to send it again.
//! - *Writing* fails: the exchange still waits for the response. The error counts only if none comes.
//! - Writing *stalls*: the same, but only a response that has arrived already counts.
//! - *Reading* fails or ends: the error of writing comes first, if there was one; else this one.
//! - A *time limit* passes: the error names it, and nothing is sent again.
//!
//! **When it is sent again.** The failed exchange gives a [`RetryHint`]; [`RetryPolicy`] decides.
//!
//! - No byte of a response came on a connection that had served before: most likely the server closed
//!   it while it was idle. Once more, on a new connection, if the request is idempotent.
//! - Nothing of the request was sent: once more, whatever the method.
//! - The server says that it did not act on it (HTTP/2): up to six times, with growing pauses.
//! - The server demands HTTP/1.1 (HTTP/2): once more, over HTTP/1.1.
//! - The server refuses `Expect` (417): once more, without it.
//!
//! Each needs the request's body again: nothing of it was read, or it can be made again.

mod attempt;
mod plan;
mod relayed;
mod retry;
mod send_state;

pub(super) use attempt::{Attempt, FailedAttempt, RetryHint};
pub(super) use plan::Plan;
pub(crate) use relayed::Relayed;
pub(super) use retry::{Freshness, RetryPolicy};
pub(super) use send_state::{
    ExchangeState, SendError, SendProgress, SendState, bad_head, expect_refused, wrong_length,
};
