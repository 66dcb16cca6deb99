//! One exchange, whatever its protocol: how the request will be sent, one attempt to send it, how far
//! that has come, and whether the request is sent again.

mod attempt;
mod plan;
mod retry;
mod send_state;

pub(super) use attempt::{Attempt, FailedAttempt, RetryHint};
pub(super) use plan::{Plan, host};
pub(super) use retry::{Freshness, RetryPolicy};
pub(super) use send_state::{ExchangeState, SendError, SendProgress, SendState, bad_head, wrong_length};
