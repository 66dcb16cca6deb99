//! How often each kind of client has come to its end, and what went otherwise than it must.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kinds::{KINDS, Kind, Over, kinds_over};
use crate::process::Held;

#[derive(Default)]
pub(crate) struct Counts {
    ended: [AtomicU64; KINDS.len()],
    unexpected: AtomicU64,
    /// The longest time that this process was not scheduled, in milliseconds. Where that is near the
    /// server's timeouts, the machine is the cause of an error.
    lag: AtomicU64,
    /// The first failure is the most useful one.
    first: Mutex<Option<String>>,
}

impl Counts {
    pub(crate) fn note(&self, kind: Kind, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => drop(self.ended[kind as usize].fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                self.unexpected.fetch_add(1, Ordering::Relaxed);
                let error = format!("{kind:?}: {error}");
                eprintln!("unexpected: {error} (this process stood still for {} ms)", self.lag.load(Ordering::Relaxed));
                self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// Measures how late a timer is, again and again.
    pub(crate) async fn watch_lag(&self, until: Instant) {
        const PAUSE: Duration = Duration::from_millis(50);
        while Instant::now() < until {
            let began = Instant::now();
            tokio::time::sleep(PAUSE).await;
            let late = began.elapsed().saturating_sub(PAUSE).as_millis();
            self.lag.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// One line: since when, how often each kind, what is held.
    pub(crate) fn line(&self, since: Duration, over: Over, held: &Held) -> String {
        let mut line = format!("{:4} s ", since.as_secs());
        for (kind, _) in kinds_over(over) {
            let ended = self.ended[kind as usize].load(Ordering::Relaxed);
            // Writing to a string cannot fail.
            let _ = write!(line, " {} {ended}", format!("{kind:?}").to_lowercase());
        }
        let unexpected = self.unexpected.load(Ordering::Relaxed);
        let lag = self.lag.swap(0, Ordering::Relaxed);
        let _ = write!(line, " | unexpected {unexpected} | stood still {lag} ms | {held}");
        line
    }

    pub(crate) fn unexpected(&self) -> Option<String> {
        let count = self.unexpected.load(Ordering::Relaxed);
        let first = self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.as_ref().map(|first| format!("{count} clients met what they must not, the first of them {first}"))
    }

    /// A kind that never came to its end.
    pub(crate) fn missing(&self, over: Over) -> Option<Kind> {
        kinds_over(over).map(|(kind, _)| kind).find(|kind| self.ended[*kind as usize].load(Ordering::Relaxed) == 0)
    }
}
