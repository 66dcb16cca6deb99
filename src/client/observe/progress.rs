//! How far a request has come, for the time limit over all of it: when that passes, the error names
//! the phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Phase, Sent};
use crate::message::Request;

/// Lies in the extensions of a request that has such a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

/// What is waited for, in the order in which it comes. Kept as the index in this list.
const STEPS: [Phase; 7] =
    [Phase::Pool, Phase::Resolve, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Write, Phase::Head];

impl Progress {
    /// Follows this request from now on.
    pub(crate) fn attach(request: &mut Request) -> Progress {
        let progress = Progress::default();
        request.extensions.insert(progress.clone());
        progress
    }

    /// That of a request, if it has one.
    pub(crate) fn of(request: &Request) -> Option<Progress> {
        request.extensions.get().cloned()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.store(step(phase), Ordering::Relaxed);
    }

    /// The same for the dial that the request began. It goes on when the request has got another
    /// connection, and is then no longer what the request waits for: it changes nothing.
    pub(crate) fn enter_in_dial(&self, phase: Phase) {
        let has_connection = step(Phase::Write);
        let keep_later = |now| (now < has_connection).then(|| step(phase));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep_later);
    }

    pub(crate) fn phase(&self) -> Phase {
        STEPS.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Head)
    }

    /// How much of the request was sent, as far as the phase tells.
    pub(crate) fn sent(&self) -> Sent {
        match self.phase() {
            Phase::Head => Sent::Fully,
            Phase::Write => Sent::Partly,
            _ => Sent::No,
        }
    }
}

/// The index of a phase. One that is not in the list counts as the last.
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
