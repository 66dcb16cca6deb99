//! How many requests a client may send in a while.
//!
//! The rule is the generic cell rate algorithm (ITU-T I.371): per key one number is kept, the *theoretical arrival
//! time*, which is when the client would have used up nothing any more. Each request moves it on by one interval;
//! a request that would move it further ahead of now than the burst allows is refused and moves nothing. So there
//! is no window at whose edge twice the quota passes, and no counter to be reset.
//!
//! A key whose time has come is as good as one that was never seen, so entries expire by themselves: the table is
//! of a fixed size, nothing sweeps it, and a lock is held for eight comparisons.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::message::{Header, Request};
use crate::net::client_network;
use crate::server::{Middleware, Next, ResponseWriter};

const DEFAULT_MAX_KEY_COUNT: usize = 65_536;

/// How many keys share a place in the table.
const WAYS: usize = 8;

/// Parts of the table with a lock each.
const SHARDS: usize = 16;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Limits how many requests each client may send in a while, and responds with 429 to the others (RFC 6585 §4) with
/// `Retry-After`.
///
/// | | by default |
/// |---|---|
/// | who is one client | [`Request::client_ip`]; of IPv6 the first 64 bits, for the others are the client's to choose. Clients without an address (over Unix sockets) count as one |
/// | at once | the whole quota; see [`burst`](RateLimit::burst) |
/// | clients that are remembered | 65,536, in 1 MiB of memory; see [`max_keys`](RateLimit::max_keys) |
/// | fields of responses | `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10 |
///
/// What was used comes back evenly: with `RateLimit::new(60, Duration::from_secs(60))` one request each second, and
/// after a minute of silence all 60 (the generic cell rate algorithm). A request that is refused uses nothing up.
/// The limits are those of one process. Clones share what they count, so one limit can lie around several routes.
///
/// Behind a proxy every client has the proxy's address, unless [`TrustedProxies`](super::TrustedProxies) lies
/// around this one.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::ServeMux;
/// use nethttp::middleware::RateLimit;
///
/// let mux = ServeMux::new();
/// mux.wrap(RateLimit::new(100, Duration::from_secs(60)).burst(20));
///
/// // By the key of an API, where there is one; others are not limited here.
/// let by_key = RateLimit::new(1000, Duration::from_secs(3600))
///     .name("key")
///     .by(|r| r.header.get("X-Api-Key").map(str::to_owned));
/// mux.wrap(by_key);
/// ```
#[derive(Clone)]
pub struct RateLimit {
    quota: Quota,
    name: String,
    key: Arc<dyn Fn(&Request, &RandomState) -> Option<u64> + Send + Sync>,
    keys: RandomState,
    table: Arc<ArrivalTable>,
    origin: Instant,
    fields: FieldsSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota {
    count: u32,
    window: Duration,
    burst: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldsSent {
    Yes,
    No,
}

impl RateLimit {
    /// Allows `count` requests in each `window`, by the address of the client.
    ///
    /// # Panics
    /// Where one of them is 0.
    #[track_caller]
    pub fn new(count: u32, window: Duration) -> RateLimit {
        assert!(count > 0 && !window.is_zero(), "a rate is a number of requests, 1 or more, in a time");
        let limit = RateLimit {
            quota: Quota { count, window, burst: count },
            name: "default".into(),
            key: Arc::new(|_, _| None),
            keys: RandomState::new(),
            table: Arc::new(ArrivalTable::new(DEFAULT_MAX_KEY_COUNT)),
            origin: Instant::now(),
            fields: FieldsSent::Yes,
        };
        limit.by(|r| Some(r.client_ip().map(client_network)))
    }

    /// How many requests may come at once. By default as many as in a whole window.
    ///
    /// # Panics
    /// With 0: no request would ever be allowed.
    #[must_use]
    #[track_caller]
    pub fn burst(mut self, burst: u32) -> RateLimit {
        assert!(burst > 0, "with a burst of 0 no request would be allowed");
        self.quota.burst = burst;
        self
    }

    /// What is one client: requests for which this function returns the same value share a quota. Those for which
    /// it returns `None` are not limited.
    ///
    /// What the client chooses freely is no key: with a new one for each request it is never limited.
    #[must_use]
    pub fn by<Key: Hash>(mut self, key: impl Fn(&Request) -> Option<Key> + Send + Sync + 'static) -> RateLimit {
        self.key = Arc::new(move |r, keys| key(r).map(|key| keys.hash_one(key)));
        self
    }

    /// How many clients are remembered, 16 bytes for each. Where more come than that, those are forgotten that have
    /// used up least, and begin anew: a flood of addresses frees those who are refused last of all.
    ///
    /// # Panics
    /// With 0.
    #[must_use]
    #[track_caller]
    pub fn max_keys(mut self, count: usize) -> RateLimit {
        assert!(count > 0, "without memory nobody could be limited");
        self.table = Arc::new(ArrivalTable::new(count));
        self
    }

    /// The name of this limit in its fields, by default `default`. Where several limits lie around a handler, give
    /// each its own.
    ///
    /// # Panics
    /// Where the name is not printable ASCII, or has quotes or backslashes in it.
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &str) -> RateLimit {
        let is_plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
        assert!(name.bytes().all(is_plain), "the name of a limit is printable ASCII without quotes");
        name.clone_into(&mut self.name);
        self
    }

    /// Leaves out `RateLimit-Policy` and `RateLimit`. `Retry-After` is sent all the same.
    #[must_use]
    pub fn without_fields(mut self) -> RateLimit {
        self.fields = FieldsSent::No;
        self
    }

    /// Counts this request.
    fn count(&self, r: &Request) -> Option<Count> {
        let key = (self.key)(r, &self.keys)?;
        let now = u64::try_from(Instant::now().saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        Some(self.table.count(key, now, &self.quota))
    }

    fn fields_for(&self, count: Count) -> Option<(String, String)> {
        if self.fields == FieldsSent::No {
            return None;
        }
        let Quota { count: quota, window, .. } = self.quota;
        let policy = format!("\"{}\";q={quota};w={}", self.name, seconds_up(nanos(window)));
        let limit = format!("\"{}\";r={};t={}", self.name, count.remaining(), seconds_up(count.until_full()));
        Some((policy, limit))
    }
}

impl Middleware for RateLimit {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let Some(count) = self.count(r) else { return next.run(w, r).await };
        let fields = self.fields_for(count);
        let retry_after = match count {
            Count::Allowed { .. } => None,
            Count::Refused { retry_after, .. } => Some(seconds_up(retry_after).to_string()),
        };
        let refused = retry_after.is_some();
        if fields.is_some() || refused {
            w.before_head(move |_, header| add_fields(header, fields.as_ref(), retry_after.as_deref()));
        }
        if refused {
            return Err(Error::answer(StatusCode::TOO_MANY_REQUESTS, "more requests than are allowed"));
        }
        next.run(w, r).await
    }
}

/// Lines are added: other limits have theirs.
fn add_fields(header: &mut Header, fields: Option<&(String, String)>, retry_after: Option<&str>) {
    if let Some((policy, limit)) = fields {
        header.add("RateLimit-Policy", policy);
        header.add("RateLimit", limit);
    }
    if let Some(seconds) = retry_after {
        header.set("Retry-After", seconds);
    }
}

/// What came of counting a request. Times are nanoseconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Allowed { remaining: u64, until_full: u64 },
    Refused { retry_after: u64, until_full: u64 },
}

impl Count {
    fn remaining(self) -> u64 {
        match self {
            Count::Allowed { remaining, .. } => remaining,
            Count::Refused { .. } => 0,
        }
    }

    fn until_full(self) -> u64 {
        match self {
            Count::Allowed { until_full, .. } | Count::Refused { until_full, .. } => until_full,
        }
    }
}

impl Quota {
    /// The rule: from the theoretical arrival time before a request to what came of it and the time after it.
    /// Saturating: a window of centuries ends up as "never".
    fn count(&self, arrival: u64, now: u64) -> (Count, u64) {
        // At least one nanosecond: more requests than that are no limit that a machine could reach.
        let interval = (nanos(self.window) / u64::from(self.count)).max(1);
        let capacity = interval.saturating_mul(u64::from(self.burst));
        let next = arrival.max(now).saturating_add(interval);
        let used = next - now;
        if used > capacity {
            return (Count::Refused { retry_after: used - capacity, until_full: used - interval }, arrival);
        }
        (Count::Allowed { remaining: (capacity - used) / interval, until_full: used }, next)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Rounded up: a client that comes back a moment too early would be refused again.
fn seconds_up(nanos: u64) -> u64 {
    nanos.div_ceil(NANOS_PER_SECOND)
}

/// Keys and their theoretical arrival times: a key has its place in one of the sets, and of the eight places there
/// it takes its own, else one that has expired, else that of the key that has used up least.
struct ArrivalTable {
    shards: Vec<Mutex<Vec<KeyArrival>>>,
}

/// A key (its hash, under keys that no client knows) and its theoretical arrival time. An array, so that the memory
/// of a new table is not touched before it is used.
type KeyArrival = [u64; 2];

impl ArrivalTable {
    fn new(max_key_count: usize) -> ArrivalTable {
        let shards = SHARDS.min(max_key_count.div_ceil(WAYS));
        let sets = max_key_count.div_ceil(WAYS * shards);
        ArrivalTable { shards: (0..shards).map(|_| Mutex::new(vec![[0, 0]; sets * WAYS])).collect() }
    }

    fn count(&self, key: u64, now: u64, quota: &Quota) -> Count {
        let (shard, rest) = split(key, self.shards.len());
        let mut entries = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let (set, _) = split(rest, entries.len() / WAYS);
        let set = &mut entries[set * WAYS..][..WAYS];
        let place = place_of(set, key, now);
        let entry = &mut set[place];
        // What is there belongs to another key, or to this one.
        let arrival = if entry[0] == key { entry[1] } else { 0 };
        let (count, arrival) = quota.count(arrival, now);
        *entry = [key, arrival];
        count
    }
}

/// The remainder, and what is left of the hash for the next choice.
fn split(hash: u64, parts: usize) -> (usize, u64) {
    let parts = parts as u64;
    ((hash % parts) as usize, hash / parts)
}

fn place_of(set: &[KeyArrival], key: u64, now: u64) -> usize {
    if let Some(own) = set.iter().position(|entry| entry[0] == key) {
        return own;
    }
    if let Some(expired) = set.iter().position(|entry| entry[1] <= now) {
        return expired;
    }
    let least = set.iter().enumerate().min_by_key(|(_, entry)| entry[1]);
    least.map_or(0, |(place, _)| place)
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("name", &self.name).field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NANOS_PER_SECOND;

    fn quota(count: u32, seconds: u64, burst: u32) -> Quota {
        Quota { count, window: Duration::from_secs(seconds), burst }
    }

    #[test]
    fn a_quota_comes_back_evenly_and_a_refusal_costs_nothing() {
        let quota = quota(2, 10, 2);
        let (count, arrival) = quota.count(0, 100 * SECOND);
        assert_eq!(count, Count::Allowed { remaining: 1, until_full: 5 * SECOND });
        let (count, arrival) = quota.count(arrival, 100 * SECOND);
        assert_eq!(count, Count::Allowed { remaining: 0, until_full: 10 * SECOND });
        for now in [100 * SECOND, 102 * SECOND] {
            let (count, after) = quota.count(arrival, now);
            let left = 105 * SECOND - now;
            assert_eq!(count, Count::Refused { retry_after: left, until_full: left + 5 * SECOND });
            assert_eq!(after, arrival);
        }
        // Just when it is said that it may be tried again, and not a moment before.
        assert!(matches!(quota.count(arrival, 105 * SECOND - 1).0, Count::Refused { .. }));
        let (count, arrival) = quota.count(arrival, 105 * SECOND);
        assert_eq!(count, Count::Allowed { remaining: 0, until_full: 10 * SECOND });
        assert_eq!(quota.count(arrival, 500 * SECOND).0, Count::Allowed { remaining: 1, until_full: 5 * SECOND });
    }

    #[test]
    fn no_quota_overflows() {
        for (count, window, burst) in
            [(1, Duration::MAX, u32::MAX), (u32::MAX, Duration::from_nanos(1), u32::MAX), (u32::MAX, Duration::MAX, 1)]
        {
            let quota = Quota { count, window, burst };
            for (arrival, now) in [(0, 0), (u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
                let (_, after) = quota.count(arrival, now);
                assert!(after >= arrival);
            }
        }
    }

    #[test]
    fn in_any_span_no_more_passes_than_the_burst_and_the_rate() {
        let quota = quota(10, 10, 3);
        let mut arrival = 0;
        let mut allowed = Vec::new();
        for tick in 0..1000 {
            let now = 50 * SECOND + tick * SECOND / 10;
            let (count, after) = quota.count(arrival, now);
            arrival = after;
            if matches!(count, Count::Allowed { .. }) {
                allowed.push(now);
            }
        }
        assert_eq!(allowed.len(), 3 + 99);
        for (at, first) in allowed.iter().enumerate() {
            for (count, last) in allowed[at..].iter().enumerate() {
                let most = 3 + (last - first) / SECOND;
                assert!((count as u64) < most, "{count} after {first}");
            }
        }
    }

    #[test]
    fn a_table_holds_so_many_keys_and_forgets_who_has_used_least() {
        let (table, quota) = (ArrivalTable::new(WAYS), quota(10, 10, 10));
        let now = SECOND;
        // Key 1 has used up all of it, the seven others one each.
        for _ in 0..10 {
            table.count(1, now, &quota);
        }
        for key in 2..=8 {
            table.count(key, now, &quota);
        }
        // A flood of others takes the places of those, and never that of the one that is refused.
        for key in 100..10_000 {
            assert!(matches!(table.count(key, now, &quota), Count::Allowed { remaining: 9, .. }));
        }
        assert!(matches!(table.count(1, now, &quota), Count::Refused { .. }));
        assert_eq!(table.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>(), WAYS);
        // Once all that was used has come back, a key is as good as unknown.
        assert!(matches!(table.count(1, now + 10 * SECOND, &quota), Count::Allowed { remaining: 9, .. }));
    }

    #[test]
    fn every_key_has_a_place_in_tables_of_all_sizes() {
        let quota = quota(1, 1000, 1);
        for size in [1, 7, 8, 9, 100, 128, 129, 5000] {
            let table = ArrivalTable::new(size);
            let places: usize = table.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
            assert!(places >= size && places < size + SHARDS * WAYS, "{places} for {size}");
            for key in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
                assert!(matches!(table.count(key, 1, &quota), Count::Allowed { .. }), "{key} of {size}");
                assert!(matches!(table.count(key, 1, &quota), Count::Refused { .. }), "{key} of {size}");
            }
        }
    }
}
