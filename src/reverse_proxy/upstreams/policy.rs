//! Which of several upstreams, by each policy: functions of numbers.

use std::cmp::Ordering;

use super::settings::LoadBalancing;

/// An upstream that could take the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its place among all.
    pub(super) at: usize,
    /// Where the hash policies see it.
    pub(super) hash: u64,
    pub(super) weight: u32,
    /// How much of the requests it is to get, at least 1: in proportion to its weight, less in its slow start.
    pub(super) share: u64,
    /// Requests that it seems to be busy with.
    pub(super) load: usize,
    /// How far it is behind its share.
    pub(super) credit: i64,
}

/// Picks one by the policy. `None` where there is none.
pub(super) fn pick(
    policy: &LoadBalancing,
    candidates: impl Iterator<Item = Candidate> + Clone,
    key: Option<u64>,
    random: &mut RandomNumbers,
) -> Option<usize> {
    let picked = match (policy, key) {
        (LoadBalancing::LeastConnections, _) => {
            candidates.min_by(|one, other| by_load(one, other).then_with(|| by_credit(one, other)))
        }
        (LoadBalancing::RandomTwo, _) => less_loaded_of_two(candidates, random),
        (LoadBalancing::Hash(_), Some(key)) => highest_for(candidates, key),
        // A request that has nothing to hash is as good as any other.
        (LoadBalancing::RoundRobin | LoadBalancing::Hash(_), _) => candidates.min_by(by_credit),
    };
    picked.map(|candidate| candidate.at)
}

/// Round robin by weights that leaves no long runs: each has a credit, which grows by its share with every request
/// and is paid by the one that is picked. The credits add up to nothing.
fn by_credit(one: &Candidate, other: &Candidate) -> Ordering {
    let credit = |candidate: &Candidate| candidate.credit.saturating_add_unsigned(candidate.share);
    credit(other).cmp(&credit(one)).then(one.at.cmp(&other.at))
}

/// How many requests are under way for each unit of share, this one counted.
fn by_load(one: &Candidate, other: &Candidate) -> Ordering {
    let load = |candidate: &Candidate, share: u64| (candidate.load as u128 + 1) * u128::from(share);
    load(one, other.share).cmp(&load(other, one.share))
}

/// Two at random, by their shares, and of them the one with less load (Mitzenmacher, "The Power of Two Choices").
fn less_loaded_of_two(
    candidates: impl Iterator<Item = Candidate> + Clone,
    random: &mut RandomNumbers,
) -> Option<Candidate> {
    let first = drawn(candidates.clone(), random)?;
    match drawn(candidates.filter(|candidate| candidate.at != first.at), random) {
        Some(second) if by_load(&second, &first).is_lt() => Some(second),
        _ => Some(first),
    }
}

fn drawn(candidates: impl Iterator<Item = Candidate> + Clone, random: &mut RandomNumbers) -> Option<Candidate> {
    let total: u64 = candidates.clone().map(|candidate| candidate.share).sum();
    let mut left = random.next() % total.max(1);
    candidates.into_iter().find(|candidate| match left.checked_sub(candidate.share) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    })
}

/// Rendezvous hashing with weights (Thaler and Ravishankar; Schindelhauer and Schomaker): each upstream has a score
/// for each key, and the highest wins. When one goes, only its keys move, each to the next highest; when it comes
/// back, the same ones return.
fn highest_for(candidates: impl Iterator<Item = Candidate>, key: u64) -> Option<Candidate> {
    let score = |candidate: &Candidate| {
        // In (0, 1), and never 0 or 1: 53 bits are what a double holds.
        let uniform = ((mixed(key ^ candidate.hash) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(candidate.weight.max(1)) / -uniform.ln()
    };
    candidates.max_by(|one, other| score(one).total_cmp(&score(other)).then(other.at.cmp(&one.at)))
}

/// The hash of some bytes for [`highest_for`]. It is the same in every process, so that several proxies send a
/// client to the same upstream; so who knows it can find keys for one upstream, as who chooses keys always can by
/// trying.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    // FNV-1a, whose low bits are weak.
    mixed(
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
    )
}

/// Spreads each bit over all of them (the finisher of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Numbers that are random enough to spread load, from a seed.
#[derive(Clone, Debug)]
pub(super) struct RandomNumbers(u64);

impl RandomNumbers {
    pub(super) fn new(seed: u64) -> RandomNumbers {
        RandomNumbers(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reverse_proxy::upstreams::settings::HashKey;

    fn candidates(shares: &[u64]) -> Vec<Candidate> {
        let named = |at| hash_of(format!("http://10.0.0.{at}:80").as_bytes());
        shares
            .iter()
            .enumerate()
            .map(|(at, &share)| Candidate { at, hash: named(at), weight: share as u32, share, load: 0, credit: 0 })
            .collect()
    }

    fn hashed(candidates: &[Candidate], key: u64) -> usize {
        let policy = LoadBalancing::Hash(HashKey::ClientAddr);
        pick(&policy, candidates.iter().copied(), Some(key), &mut RandomNumbers::new(0)).unwrap()
    }

    #[test]
    fn nobody_is_picked_of_nobody() {
        for policy in [
            LoadBalancing::RoundRobin,
            LoadBalancing::LeastConnections,
            LoadBalancing::RandomTwo,
            LoadBalancing::Hash(HashKey::ClientAddr),
        ] {
            assert_eq!(pick(&policy, std::iter::empty(), Some(1), &mut RandomNumbers::new(0)), None);
        }
    }

    #[test]
    fn least_connections_counts_them_by_the_share() {
        let mut random = RandomNumbers::new(0);
        let mut picked = |load: [usize; 2]| {
            let mut both = candidates(&[1, 3]);
            (both[0].load, both[1].load) = (load[0], load[1]);
            pick(&LoadBalancing::LeastConnections, both.iter().copied(), None, &mut random).unwrap()
        };
        assert_eq!(picked([0, 0]), 1);
        assert_eq!(picked([0, 3]), 0);
        assert_eq!(picked([1, 3]), 1);
        assert_eq!(picked([usize::MAX, 0]), 1);
    }

    #[test]
    fn of_two_at_random_the_one_with_less_load_is_picked() {
        let mut all = candidates(&[1; 5]);
        all[2].load = 1_000;
        let mut random = RandomNumbers::new(7);
        let mut counts = [0; 5];
        for _ in 0..10_000 {
            counts[pick(&LoadBalancing::RandomTwo, all.iter().copied(), None, &mut random).unwrap()] += 1;
        }
        assert_eq!(counts[2], 0, "there is always a better one");
        assert!(counts.iter().enumerate().all(|(at, &count)| at == 2 || (2_300..2_700).contains(&count)), "{counts:?}");
    }

    #[test]
    fn keys_are_spread_by_the_weights() {
        let all = candidates(&[1, 2, 5]);
        let mut counts = [0; 3];
        for key in 0..8_000 {
            counts[hashed(&all, hash_of(&u32::to_be_bytes(key)))] += 1;
        }
        assert!((900..1_100).contains(&counts[0]) && (1_850..2_150).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn only_the_keys_of_an_upstream_that_goes_are_moved() {
        let all = candidates(&[1, 1, 1, 1, 1]);
        let less: Vec<Candidate> = all.iter().copied().filter(|candidate| candidate.at != 3).collect();
        let mut moved = [0; 5];
        for key in (0..5_000_u32).map(|key| hash_of(&key.to_be_bytes())) {
            let (before, after) = (hashed(&all, key), hashed(&less, key));
            assert!(before == 3 || before == after);
            moved[after] += usize::from(before != after);
        }
        assert!(moved.iter().enumerate().all(|(at, &count)| at == 3 || count > 150), "to all others: {moved:?}");
    }
}
