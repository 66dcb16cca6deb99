//! A task with an owner.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A task that ends when this is dropped.
pub(super) struct OwnedTask(AbortHandle);

impl OwnedTask {
    pub(super) fn start(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) -> OwnedTask {
        // Ends with its owner: an endpoint, or the group.
        OwnedTask(runtime.spawn(work).abort_handle())
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
