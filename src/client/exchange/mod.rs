//! One exchange, whatever its protocol: how the request will be sent, one attempt to send it, how far
//! that has come, and whether the request is sent again.
//!
//! # Theory of operation
//!
//! ```text
//!  Plan ──► Attempt ──► Exchange (http1 or http2) ──► Response, whose body owns the Exchange
//!              ▲            │
//!              └─ RetryPolicy ◄─ FailedAttempt
//! ```
//!
//! **One future, two directions.** An exchange has no task and takes no lock. The future of the
//! caller polls it, and each poll goes on with both directions, first writing, then reading: a server
//! may answer before it has read all of the request, and say why it reads no further. A future
//! that waited for the one before it began the other would hang where both sides wait. Over HTTP/1.1
//! the exchange has the connection alone, and is woken by the socket; over HTTP/2 it has one stream,
//! and is woken by the connection's task.
//!
//! **After the head.** The response's body owns the exchange. Whoever reads the body also sends on
//! what is left of the request. When both messages are over, the connection is given back to the
//! pool; dropped before, it is closed (HTTP/1.1, unless the rest is short) or the stream is reset.
//!
//! **What a failure means.** [`SendState`] says how far the request has come.
//!
//! - The *body* of the request fails: the exchange fails with the body's own error, and is not sent
//!   again on its account.
//! - *Writing* fails: the response is still waited for. Only if none comes, this is the error.
//! - Writing *stalls*: the same, but nothing is waited for that is not here already.
//! - *Reading* fails or ends: the error of writing comes first, if there was one; else this one.
//! - A *time limit* passes: the error names it, and nothing is sent again.
//!
//! **When it is sent again.** The exchange leaves a [`RetryHint`]; [`RetryPolicy`] decides.
//!
//! - Not a byte of a response came on a connection that had served before: the server had closed it
//!   while it was idle. Once more on a new connection, where doing the request twice does no harm.
//! - Nothing of the request was sent at all: once more, whatever it does.
//! - The server says that it did not act on it (HTTP/2): up to six times, with growing pauses.
//! - It wants HTTP/1.1: once more over that.
//! - It takes no `Expect` (417): once more without it.
//!
//! Each needs the body a second time: it was not read, or can be made again.

mod attempt;
mod plan;
mod retry;
mod send_state;

pub(super) use attempt::{Attempt, FailedAttempt, RetryHint};
pub(super) use plan::Plan;
pub(super) use retry::{Freshness, RetryPolicy};
pub(super) use send_state::{
    ExchangeState, SendError, SendProgress, SendState, bad_head, expect_refused, wrong_length,
};
