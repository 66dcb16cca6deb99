//! Whose content is sent next (RFC 9218 §10).
//!
//! More urgent responses go first. Of one urgency, those that are of no use in pieces go one after the
//! other in the order in which they began, and those that are *incremental* take turns; where there are
//! both, the two kinds take turns, so that neither waits for all of the other.

use std::collections::VecDeque;

use super::priority::Priority;

const URGENCY_COUNT: usize = 8;

/// The slots of streams that have something to send. Each stands in it once, and its stream knows that.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// Nothing is allocated for a connection whose responses are sent at once.
    rings: Option<Box<[Ring; URGENCY_COUNT]>>,
    len: usize,
}

#[derive(Debug, Default)]
struct Ring {
    one_by_one: VecDeque<u32>,
    incremental: VecDeque<u32>,
    is_incremental_next: bool,
}

impl Scheduler {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a stream behind all others of its priority.
    pub(crate) fn push(&mut self, slot: u32, priority: Priority) {
        self.len += 1;
        self.queue(priority).push_back(slot);
    }

    /// Puts a stream back whose frame was sent: behind the others where it shares with them, else before
    /// them.
    pub(crate) fn put_back(&mut self, slot: u32, priority: Priority) {
        self.len += 1;
        let queue = self.queue(priority);
        if priority.incremental { queue.push_back(slot) } else { queue.push_front(slot) }
    }

    /// Takes the stream whose frame is next.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let rings = self.rings.as_deref_mut().filter(|_| self.len > 0)?;
        let slot = rings.iter_mut().find_map(Ring::pop)?;
        self.len -= 1;
        Some(slot)
    }

    /// Takes a stream out that stands in it with this priority.
    pub(crate) fn remove(&mut self, slot: u32, priority: Priority) {
        let queue = self.queue(priority);
        let before = queue.len();
        queue.retain(|other| *other != slot);
        let removed = before - queue.len();
        self.len -= removed;
    }

    pub(crate) fn release_memory(&mut self) {
        if self.is_empty() {
            self.rings = None;
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        let in_ring = |ring: &Ring| (ring.one_by_one.capacity() + ring.incremental.capacity()) * size_of::<u32>();
        self.rings.iter().map(|rings| size_of_val(&**rings) + rings.iter().map(in_ring).sum::<usize>()).sum()
    }

    fn queue(&mut self, priority: Priority) -> &mut VecDeque<u32> {
        let rings = self.rings.get_or_insert_default();
        let ring = &mut rings[usize::from(priority.urgency).min(URGENCY_COUNT - 1)];
        if priority.incremental { &mut ring.incremental } else { &mut ring.one_by_one }
    }
}

impl Ring {
    fn pop(&mut self) -> Option<u32> {
        let incremental_first = self.is_incremental_next || self.one_by_one.is_empty();
        if let Some(slot) = if incremental_first { self.incremental.pop_front() } else { None } {
            self.is_incremental_next = false;
            return Some(slot);
        }
        self.is_incremental_next = true;
        self.one_by_one.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn priority(urgency: u8, incremental: bool) -> Priority {
        Priority { urgency, incremental }
    }

    /// Sends two frames of each stream, and tells in which order.
    fn order(streams: &[(u32, Priority)]) -> Vec<u32> {
        let mut scheduler = Scheduler::default();
        streams.iter().for_each(|&(slot, priority)| scheduler.push(slot, priority));
        let mut sent = Vec::new();
        while let Some(slot) = scheduler.pop() {
            sent.push(slot);
            if sent.iter().filter(|other| **other == slot).count() < 2 {
                let of_slot = streams.iter().find(|(other, _)| *other == slot).unwrap().1;
                scheduler.put_back(slot, of_slot);
            }
        }
        assert!(scheduler.is_empty());
        sent
    }

    #[test]
    fn the_urgent_go_first() {
        let streams = [(1, priority(7, false)), (2, priority(0, true)), (3, priority(3, false))];
        assert_eq!(order(&streams), [2, 2, 3, 3, 1, 1]);
    }

    #[test]
    fn of_one_urgency_they_go_one_by_one_or_take_turns() {
        let whole = priority(3, false);
        assert_eq!(order(&[(1, whole), (2, whole), (3, whole)]), [1, 1, 2, 2, 3, 3]);
        let shared = priority(3, true);
        assert_eq!(order(&[(1, shared), (2, shared), (3, shared)]), [1, 2, 3, 1, 2, 3]);
        assert_eq!(order(&[(1, whole), (2, whole), (3, shared), (4, shared)]), [1, 3, 1, 4, 2, 3, 2, 4]);
    }

    #[test]
    fn who_is_taken_out_has_no_turn_and_an_empty_one_holds_no_memory() {
        let mut scheduler = Scheduler::default();
        assert_eq!((scheduler.pop(), scheduler.held()), (None, 0));
        scheduler.push(1, Priority::DEFAULT);
        scheduler.push(2, Priority::DEFAULT);
        scheduler.remove(1, Priority::DEFAULT);
        scheduler.remove(1, Priority::DEFAULT);
        assert_eq!((scheduler.pop(), scheduler.pop()), (Some(2), None));
        scheduler.release_memory();
        assert_eq!(scheduler.held(), 0);
    }
}
