//! What gets a request through where its first try came to nothing, and how often that is tried.

use std::time::Duration;

use super::http1::{Failed, Remedy};
use super::key::Offer;
use super::outbound::{Plan, is_idempotent};
use crate::error::{Error, ErrorKind, Phase, Result, Sent};
use crate::message::Request;

/// What was tried already to get a request through.
pub(super) struct Remedies {
    pub(super) freshness: Freshness,
    retries: u32,
    /// How often the server said that it did not look at the request.
    turned_away: u32,
}

/// Go's number.
const MAX_TURNED_AWAY: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Default for Remedies {
    fn default() -> Remedies {
        Remedies { freshness: Freshness::Any, retries: 0, turned_away: 0 }
    }
}

impl Remedies {
    /// Whether the request may be sent once more: nothing of it was looked at, or the connection was
    /// dead already and doing it twice is doing it once.
    pub(super) fn apply(&mut self, request: &Request, failed: &Failed, plan: &mut Plan) -> bool {
        if failed.error.is_timeout() {
            return false;
        }
        match failed.remedy {
            Remedy::Again => {
                return self.turn_away().is_ok();
            }
            Remedy::Http1 if plan.key.offer != Offer::Negotiate => return false,
            Remedy::Http1 => plan.key.offer = Offer::Http1,
            Remedy::NewConnection if is_idempotent(request) => {}
            _ if failed.sent == Sent::No => {}
            _ => return false,
        }
        self.freshness = Freshness::New;
        self.retries += 1;
        self.retries == 1
    }

    /// Once more the server has not looked at the request.
    pub(super) fn turn_away(&mut self) -> Result<()> {
        self.turned_away += 1;
        if self.turned_away <= MAX_TURNED_AWAY {
            return Ok(());
        }
        let text = "the server closes each connection before it takes a request";
        Err(Error::new(ErrorKind::CutOff, text).during(Phase::Connect))
    }

    /// A server that turns requests away is asked again at once, and then less and less often.
    pub(super) async fn pause(&self) {
        if self.turned_away > 1 {
            tokio::time::sleep(FIRST_PAUSE * (1 << (self.turned_away - 2))).await;
        }
    }
}

/// Whether a connection may have served before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Any,
    New,
}
