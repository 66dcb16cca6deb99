//! The list of touched streams under a model checker: every order in which threads can see its steps.
//!
//! A crate of its own, so that nobody who builds the library builds the checker.

#![cfg(test)]

use std::task::{Wake, Waker};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use self::list::ReadyList;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

// The same file once more, over the locks above.
#[path = "../../src/net/ready_list/list.rs"]
mod list;

/// A task that is woken is polled again.
#[derive(Default)]
struct Woken {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Woken {
    /// Until it is woken, for ever if it never is: the checker finds that no thread can go on then.
    fn wait(&self) {
        let mut is_woken = self.is_woken.lock().unwrap();
        while !std::mem::take(&mut *is_woken) {
            is_woken = self.changed.wait(is_woken).unwrap();
        }
    }
}

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Woken>) {
        *self.is_woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// The task as a runtime runs it: polled at first, and whenever it was woken, until it has seen `count` slots.
fn run_task(list: &ReadyList<u32>, count: usize) -> Vec<u32> {
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut seen = Vec::new();
    loop {
        list.enter();
        list.take(&mut seen);
        let may_wait = list.leave(&waker);
        if seen.len() >= count {
            return seen;
        }
        if may_wait {
            woken.wait();
        }
    }
}

fn model(pushed: &'static [&'static [u32]]) {
    let mut builder = loom::model::Builder::new();
    // As many times a thread is stopped where it could go on: faults of this kind need one or two, and each more
    // multiplies the time.
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let list = Arc::new(ReadyList::new());
        let streams: Vec<_> = pushed
            .iter()
            .map(|slots| {
                let list = list.clone();
                thread::spawn(move || slots.iter().for_each(|slot| list.push(*slot)))
            })
            .collect();
        let mut seen = run_task(&list, pushed.iter().map(|slots| slots.len()).sum());
        streams.into_iter().for_each(|stream| stream.join().unwrap());
        seen.sort_unstable();
        let mut expected = pushed.concat();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    });
}

#[test]
fn nothing_that_one_stream_lists_is_lost_and_the_task_is_woken_for_it() {
    model(&[&[1, 2, 3]]);
}

#[test]
fn nothing_that_two_streams_list_is_lost_and_the_task_is_woken_for_it() {
    model(&[&[1, 2], &[3]]);
}
