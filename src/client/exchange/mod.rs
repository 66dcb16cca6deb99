//! One exchange, whatever its protocol: how the request will be sent, one attempt to send it, and
//! whether it is sent again.

mod attempt;
mod plan;
mod retry;

pub(super) use attempt::{Attempt, ExchangeOptions, FailedAttempt, Interim, RetryHint};
pub(super) use plan::{Plan, TimeLimits, host};
pub(super) use retry::{Freshness, RetryPolicy};
