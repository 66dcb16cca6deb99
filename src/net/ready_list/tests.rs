use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::ReadyList;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn taken(list: &ReadyList<u32>) -> Vec<u32> {
    let mut slots = Vec::new();
    let any = list.take(&mut slots);
    assert_eq!(any, !slots.is_empty());
    slots
}

#[test]
fn a_task_that_waits_is_woken_once_for_all_that_is_listed_before_it_comes() {
    let (list, count) = (ReadyList::new(), Arc::new(Count::default()));
    let waker = Waker::from(count.clone());
    list.enter();
    assert!(list.leave(&waker), "nothing was listed");
    for slot in [3, 1, 4, 1] {
        list.push(slot);
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    list.enter();
    assert_eq!(taken(&list), [3, 1, 4, 1]);
    assert_eq!(taken(&list), Vec::<u32>::new());
    assert!(list.leave(&waker));
    list.push(5);
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_task_that_runs_is_not_woken_and_may_not_wait_before_it_has_looked() {
    let (list, count) = (ReadyList::new(), Arc::new(Count::default()));
    let waker = Waker::from(count.clone());
    list.enter();
    list.push(7);
    assert!(!list.leave(&waker));
    list.push(8);
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "it was told to look again");
    list.enter();
    assert_eq!(taken(&list), [7, 8]);
    assert!(list.leave(&waker));
}
