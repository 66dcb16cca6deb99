//! How far a request has come: for the time limit over all, which passes wherever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Phase, Sent};
use crate::message::Request;

/// Kept by a request that has such a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

/// What is waited for, in the order in which it comes; the number is how it is kept.
const STEPS: [Phase; 7] =
    [Phase::Pool, Phase::Resolve, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Write, Phase::Head];

impl Progress {
    /// Follows this request from now on.
    pub(crate) fn attach(request: &mut Request) -> Progress {
        let progress = Progress::default();
        request.extensions.insert(progress.clone());
        progress
    }

    /// Who follows this request, if anybody does.
    pub(crate) fn of(request: &Request) -> Option<Progress> {
        request.extensions.get().cloned()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.store(step(phase), Ordering::Relaxed);
    }

    /// The same, said by the dial that the request began: it goes on when the request has got
    /// another's connection, and is not what that waits for any more.
    pub(crate) fn enter_in_dial(&self, phase: Phase) {
        let has_connection = step(Phase::Write);
        let keep_later = |now| (now < has_connection).then(|| step(phase));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep_later);
    }

    pub(crate) fn phase(&self) -> Phase {
        STEPS.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Head)
    }

    /// How much of the request has left, as far as the phase tells.
    pub(crate) fn sent(&self) -> Sent {
        match self.phase() {
            Phase::Head => Sent::Fully,
            Phase::Write => Sent::Partly,
            _ => Sent::No,
        }
    }
}

/// The number of a step; what is none counts as the last.
fn step(phase: Phase) -> u8 {
    let step = STEPS.iter().position(|step| *step == phase).unwrap_or(STEPS.len() - 1);
    u8::try_from(step).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_says_nothing_of_a_request_that_has_got_another_connection() {
        let progress = Progress::default();
        progress.enter_in_dial(Phase::Connect);
        assert_eq!((progress.phase(), progress.sent()), (Phase::Connect, Sent::No));
        for (phase, sent) in [(Phase::Write, Sent::Partly), (Phase::Head, Sent::Fully)] {
            progress.enter(phase);
            progress.enter_in_dial(Phase::Tls);
            assert_eq!((progress.phase(), progress.sent()), (phase, sent));
        }
        progress.enter(Phase::Pool);
        progress.enter_in_dial(Phase::Tls);
        assert_eq!((progress.phase(), progress.sent()), (Phase::Tls, Sent::No), "it is sent again");
    }
}
