//! Who has something to say to a connection's task; see [`list`].
//!
//! The list names its locks through `sync`, which is the standard library's here. The crate in `model/` has the
//! same file over the locks of a model checker, which tries every order in which threads can see its steps.

mod list;
#[cfg(test)]
mod tests;

pub(crate) use list::ReadyList;

mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};
}
