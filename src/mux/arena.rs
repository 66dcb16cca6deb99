//! Memory that only grows, so that what lies in it stays where it is.
//!
//! A handler's future borrows the handler for as long as it runs, while others register routes. An item
//! of a `Vec` behind a lock cannot be borrowed for that long; an item in a bucket that is never moved
//! can, without a lock and without a reference count.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items that are added and never moved or removed. Bucket `n` has room for `FIRST_BUCKET_COUNT << n` of them.
pub(super) struct Arena<Item> {
    buckets: [OnceLock<Bucket<Item>>; BUCKET_COUNT],
    taken: AtomicUsize,
}

struct Bucket<Item>(Box<[OnceLock<Item>]>);

/// Places in the first bucket: a power of two.
const FIRST_BUCKET_COUNT: usize = 16;

/// Together they hold more than memory does.
const BUCKET_COUNT: usize = 28;

impl<Item> Arena<Item> {
    /// Puts an item in and says where it is from now on.
    pub(super) fn push(&self, item: Item) -> usize {
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        let (bucket, offset) = place(index);
        let bucket = self.buckets.get(bucket).expect("memory ends before the buckets do");
        let bucket = bucket.get_or_init(|| Bucket((0..places(index)).map(|_| OnceLock::new()).collect()));
        let fresh = bucket.0.get(offset).is_some_and(|slot| slot.set(item).is_ok());
        assert!(fresh, "a mount_point is given to one item only");
        index
    }

    /// The item at an index that [`push`](Arena::push) gave.
    pub(super) fn get(&self, index: usize) -> Option<&Item> {
        let (bucket, offset) = place(index);
        self.buckets.get(bucket)?.get()?.0.get(offset)?.get()
    }

    /// All items in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.buckets.iter().map_while(OnceLock::get).flat_map(|bucket| bucket.0.iter().filter_map(OnceLock::get))
    }
}

impl<Item> Default for Arena<Item> {
    fn default() -> Arena<Item> {
        Arena { buckets: [const { OnceLock::new() }; BUCKET_COUNT], taken: AtomicUsize::new(0) }
    }
}

/// The bucket of an index, and the place in it.
fn place(index: usize) -> (usize, usize) {
    // What the rest says too, without counting bits: most arenas have no second bucket.
    if index < FIRST_BUCKET_COUNT {
        return (0, index);
    }
    let shifted = index + FIRST_BUCKET_COUNT;
    let bucket = shifted.ilog2() - FIRST_BUCKET_COUNT.ilog2();
    (bucket as usize, shifted - (FIRST_BUCKET_COUNT << bucket))
}

/// The size of the bucket of an index.
fn places(index: usize) -> usize {
    FIRST_BUCKET_COUNT << place(index).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_one_another_through_the_buckets() {
        assert_eq!([0, 15, 16, 47, 48].map(place), [(0, 0), (0, 15), (1, 0), (1, 31), (2, 0)]);
    }

    #[test]
    fn what_was_put_in_first_stays_where_it_is() {
        let arena = Arena::default();
        let first = arena.push(0);
        let before = std::ptr::from_ref(arena.get(first).expect("just put in"));
        for n in 1..1_000 {
            assert_eq!(arena.push(n), n);
        }
        assert_eq!(std::ptr::from_ref(arena.get(first).expect("still in")), before);
        assert!(arena.iter().copied().eq(0..1_000));
        assert_eq!(arena.get(1_000), None);
        assert_eq!(arena.get(100_000), None);
    }

    #[test]
    fn items_that_come_at_once_get_a_place_each() {
        let arena = Arena::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let arena = &arena;
                scope.spawn(move || (0..500).for_each(|n| _ = arena.push(thread * 500 + n)));
            }
        });
        let mut all: Vec<_> = arena.iter().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..2_000));
    }
}
