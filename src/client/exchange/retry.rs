//! Whether a request that failed is sent again, and how.

use std::time::Duration;

use super::super::connect::Offer;
use super::attempt::{FailedAttempt, RetryHint};
use super::plan::Plan;
use super::relayed::Relayed;
use crate::error::{ErrorKind, Result, Sent};
use crate::message::{Body, Request};

/// How often a request was sent again, and what the next attempt needs.
pub(crate) struct RetryPolicy {
    pub(crate) freshness: Freshness,
    retries: u32,
    /// How often the server refused to act on the request.
    refused_streams: u32,
}

/// Whether a connection may have served before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Any,
    New,
}

/// How often a request that a server refuses is sent again (Go's number).
const MAX_REFUSED_COUNT: u32 = 6;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { freshness: Freshness::Any, retries: 0, refused_streams: 0 }
    }
}

impl RetryPolicy {
    /// The body for another attempt, if the request may be sent again and the body can be had again.
    ///
    /// # Errors
    /// The error of the failed attempt.
    pub(crate) fn body_for_another(
        &mut self,
        request: &mut Request,
        mut failed: FailedAttempt,
        plan: &mut Plan,
    ) -> Result<Body> {
        let may = self.apply(request, &failed, plan);
        let body = may.then(|| body_again(request, &mut failed)).transpose()?.flatten();
        body.ok_or_else(|| {
            // Given back, so that the caller can send it elsewhere.
            if let Some(unread) = failed.unread {
                request.body = unread;
            }
            failed.error.with_sent(failed.sent)
        })
    }

    /// Whether the request may be sent once more: the server did not act on it, or the connection was
    /// dead before and acting on it twice does no harm.
    fn apply(&mut self, request: &Request, failed: &FailedAttempt, plan: &mut Plan) -> bool {
        // What the server cannot do it cannot do over another connection either.
        if failed.error.is_timeout() || failed.error.kind() == ErrorKind::Unsupported {
            return false;
        }
        match failed.retry_hint {
            RetryHint::Again => {
                self.refused_streams += 1;
                return self.refused_streams <= MAX_REFUSED_COUNT;
            }
            RetryHint::WithoutExpect => {
                // Once: what goes without it is not refused for it.
                plan.drop_expect();
                return true;
            }
            RetryHint::Http1 if plan.key.offer != Offer::Negotiate => return false,
            RetryHint::Http1 => plan.key.offer = Offer::Http1,
            RetryHint::NewConnection if is_idempotent(request) => {}
            _ if failed.sent != Sent::No => return false,
            _ => {}
        }
        self.freshness = Freshness::New;
        self.retries += 1;
        self.retries == 1
    }

    /// How long to wait before the next attempt. After a refused stream the first retry comes at once,
    /// the later ones after longer and longer pauses.
    pub(crate) fn retry_delay(&self) -> Option<Duration> {
        (self.refused_streams > 1).then(|| FIRST_RETRY_DELAY * (1 << (self.refused_streams - 2)))
    }
}

/// The body for another attempt: as it is where nothing of it was read, else made again.
fn body_again(request: &Request, failed: &mut FailedAttempt) -> Result<Option<Body>> {
    if let Some(unread) = failed.unread.take() {
        return Ok(Some(unread));
    }
    match request.body.try_clone() {
        // It could be made again for a while, and no longer: what counts is why the attempt has failed.
        Err(error) if error.kind() == ErrorKind::RequestOver => Ok(None),
        body => body.map_err(|error| error.with_sent(failed.sent)),
    }
}

/// Whether a request that may have reached the server can be sent again (RFC 9110 §9.2.2): it is
/// idempotent, or it has a key by which the server recognises it (Go's rule).
fn is_idempotent(request: &Request) -> bool {
    let Request { method, header, .. } = request;
    let has_key = || header.contains("Idempotency-Key") || header.contains("X-Idempotency-Key");
    method.is_idempotent() || (has_key() && !Relayed::is(request))
}
