//! How long answers took: a histogram of fixed size that many threads add to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Four buckets for each power of two of microseconds, from 1 µs to some 19 hours.
const BUCKET_COUNT: usize = 144;
const BUCKETS_PER_DOUBLING: u32 = 4;

/// Counts of times. Each bucket is at most a quarter wider than the one before, so a quantile is at most a quarter
/// too long.
#[derive(Debug)]
pub(super) struct LatencyHistogram {
    counts: [AtomicU64; BUCKET_COUNT],
    total_micros: AtomicU64,
    max_micros: AtomicU64,
}

/// How long the heads of answers took to come, from when the request was given to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyStats {
    /// How many there were.
    pub count: u64,
    /// Their mean.
    pub mean: Duration,
    /// Half of them took at most so long; a quarter more than exact at the worst, as the others.
    pub median: Duration,
    /// 95 of 100 took at most so long.
    pub p95: Duration,
    /// 99 of 100 took at most so long.
    pub p99: Duration,
    /// The longest took so long.
    pub max: Duration,
}

impl LatencyHistogram {
    pub(super) fn new() -> LatencyHistogram {
        LatencyHistogram {
            counts: [const { AtomicU64::new(0) }; BUCKET_COUNT],
            total_micros: AtomicU64::new(0),
            max_micros: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket_of(micros)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        self.max_micros.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> LatencyStats {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max = self.max_micros.load(Ordering::Relaxed);
        // The one at this place, when all stand in order.
        let quantile = |percent: u64| {
            let place = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
            let mut seen = 0_u128;
            let bucket = counts.iter().position(|&count| {
                seen += u128::from(count);
                seen >= place
            });
            Duration::from_micros(bucket.map_or(0, |bucket| upper_end(bucket).min(max)))
        };
        LatencyStats {
            count,
            mean: Duration::from_micros(self.total_micros.load(Ordering::Relaxed) / count.max(1)),
            median: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
            max: Duration::from_micros(max),
        }
    }
}

/// The bucket of this many microseconds: the power of two, and the two bits behind its highest one.
fn bucket_of(micros: u64) -> usize {
    let Some(power) = micros.checked_ilog2() else { return 0 };
    let quarter = if power >= 2 { micros >> (power - 2) & 3 } else { micros << (2 - power) & 3 };
    ((power * BUCKETS_PER_DOUBLING) as usize + quarter as usize).min(BUCKET_COUNT - 1)
}

/// The most microseconds that are counted in this bucket.
fn upper_end(bucket: usize) -> u64 {
    let (power, quarter) = (bucket as u32 / BUCKETS_PER_DOUBLING, bucket as u64 % u64::from(BUCKETS_PER_DOUBLING));
    let quarters_end = (5 + quarter).checked_shl(power).unwrap_or(u64::MAX);
    (quarters_end / 4).saturating_sub(u64::from(quarters_end % 4 == 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_a_bucket_whose_end_is_at_most_a_quarter_longer() {
        for micros in (0..5_000).chain((0..36).map(|power| 1 << power)).chain((3..36).map(|power| (1 << power) - 1)) {
            let end = upper_end(bucket_of(micros));
            assert!(end >= micros && (micros < 4 || end <= micros + micros / 4), "{micros} {end}");
        }
        let histogram = LatencyHistogram::new();
        histogram.add(Duration::MAX);
        assert_eq!(histogram.stats().count, 1);
    }

    #[test]
    fn quantiles_are_those_of_the_times_in_order() {
        let histogram = LatencyHistogram::new();
        assert_eq!(histogram.stats(), LatencyStats::default());
        for millis in 1..=1_000 {
            histogram.add(Duration::from_millis(millis));
        }
        let stats = histogram.stats();
        assert_eq!(
            (stats.count, stats.mean, stats.max),
            (1_000, Duration::from_micros(500_500), Duration::from_secs(1))
        );
        for (quantile, exact) in [(stats.median, 500), (stats.p95, 950), (stats.p99, 990)] {
            let exact = Duration::from_millis(exact);
            assert!(quantile >= exact && quantile <= exact + exact / 4, "{quantile:?}");
        }
    }
}
