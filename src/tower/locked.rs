//! A service that only one thread may look at.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_service::Service;

/// Makes a service [`Sync`] that is only [`Send`], as tower's `BoxCloneService` is. Cloning takes a lock for as long
/// as the service takes to be cloned; a call takes none.
pub struct LockedService<S>(Mutex<S>);

impl<S> LockedService<S> {
    /// Around a service.
    pub fn new(service: S) -> LockedService<S> {
        LockedService(Mutex::new(service))
    }
}

impl<S: Clone> Clone for LockedService<S> {
    fn clone(&self) -> LockedService<S> {
        let service = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        LockedService::new(service.clone())
    }
}

impl<S: Service<R>, R> Service<R> for LockedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).call(request)
    }
}

impl<S> fmt::Debug for LockedService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedService").finish_non_exhaustive()
    }
}
