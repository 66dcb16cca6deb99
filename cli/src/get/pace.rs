//! How fast content comes: not slower than `--speed-limit` for `--speed-time`, and not faster than
//! `--limit-rate`.

use std::time::Duration;

use nethttp::{Body, Bytes};
use tokio::time::{Instant, sleep_until, timeout};

/// Notices content that does not come, or too slowly. Only time in which the server is waited for
/// counts: waits for a slow reader of standard output, and for this command's own limit, do not count.
pub(crate) struct StallGuard {
    /// So many bytes must come in each time of this length; zero is for ever.
    min_bytes: u64,
    window: Duration,
    bytes: u64,
    waited: Duration,
}

/// Too little came for too long.
#[derive(Debug)]
pub(crate) struct Stalled {
    pub(crate) bytes: u64,
    pub(crate) window: Duration,
}

impl StallGuard {
    /// Without a rate, any byte will do.
    pub(crate) fn new(min_bytes_per_second: Option<u64>, window: Duration) -> StallGuard {
        let min_bytes = min_bytes_per_second.map_or(1, |rate| bytes_in(rate, window).max(1));
        StallGuard { min_bytes, window, bytes: 0, waited: Duration::ZERO }
    }

    /// The next chunk.
    pub(crate) async fn chunk(&mut self, body: &mut Body) -> Result<nethttp::Result<Option<Bytes>>, Stalled> {
        if self.window.is_zero() {
            return Ok(body.chunk().await);
        }
        let begun = Instant::now();
        let Ok(chunk) = timeout(self.window.saturating_sub(self.waited), body.chunk()).await else {
            return Err(Stalled { bytes: self.bytes, window: self.window });
        };
        if let Ok(Some(chunk)) = &chunk {
            self.count(chunk.len(), begun.elapsed());
        }
        Ok(chunk)
    }

    fn count(&mut self, bytes: usize, waited: Duration) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.waited = self.waited.saturating_add(waited);
        if self.bytes >= self.min_bytes {
            (self.bytes, self.waited) = (0, Duration::ZERO);
        }
    }
}

/// Pauses, so that on average no more bytes go by in a second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    bytes_per_second: u64,
    begun: Option<Instant>,
    bytes: u64,
}

impl RateLimit {
    pub(crate) fn new(bytes_per_second: u64) -> RateLimit {
        RateLimit { bytes_per_second, begun: None, bytes: 0 }
    }

    /// Waits until so many more bytes may have gone by.
    pub(crate) async fn pause(&mut self, bytes: usize) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        sleep_until(begun + time_for(self.bytes, self.bytes_per_second)).await;
    }
}

fn bytes_in(rate: u64, window: Duration) -> u64 {
    let bytes = u128::from(rate) * window.as_millis() / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A year at most: a moment after that may not exist.
fn time_for(bytes: u64, rate: u64) -> Duration {
    const MAX_PAUSE: Duration = Duration::from_secs(365 * 24 * 3600);
    let millis = u128::from(bytes) * 1000 / u128::from(rate.max(1));
    u64::try_from(millis).map_or(MAX_PAUSE, Duration::from_millis).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn any_byte_begins_the_wait_anew_unless_a_rate_is_asked_for() {
        let mut silent = StallGuard::new(None, 30 * SECOND);
        silent.count(1, 29 * SECOND);
        assert_eq!((silent.bytes, silent.waited), (0, Duration::ZERO));
        let mut slow = StallGuard::new(Some(10), 30 * SECOND);
        slow.count(299, 20 * SECOND);
        assert_eq!((slow.bytes, slow.waited), (299, 20 * SECOND));
        slow.count(1, SECOND);
        assert_eq!((slow.bytes, slow.waited), (0, Duration::ZERO));
    }

    #[test]
    fn a_time_for_bytes_is_exact_and_has_an_end() {
        assert_eq!(time_for(1500, 1000), Duration::from_millis(1500));
        assert_eq!(time_for(u64::MAX, 1), 365 * 24 * 3600 * SECOND);
        assert_eq!(bytes_in(u64::MAX, 30 * SECOND), u64::MAX);
    }
}
