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
        if let Some(step) = STEPS.iter().position(|step| *step == phase) {
            self.0.store(u8::try_from(step).unwrap_or_default(), Ordering::Relaxed);
        }
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
