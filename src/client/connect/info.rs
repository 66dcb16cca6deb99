//! How a connection was made: its two ends, its TLS session, and when each step was done.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::observe::Stopwatch;
use crate::message::{Addr, ResponseInfo, TlsInfo};

/// How a connection was made.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) local_addr: Addr,
    pub(crate) remote_addr: Addr,
    pub(crate) tls: Option<Arc<TlsInfo>>,
    pub(crate) timings: DialTimings,
}

/// When each step of the dial was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DialTimings {
    pub(crate) resolved: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    pub(crate) secured: Option<Instant>,
}

impl ConnectionInfo {
    /// What a response tells of its connection. An exchange that found it made (`reused`) spent no
    /// time on resolving, connecting and TLS.
    pub(crate) fn response_info(&self, stopwatch: &Stopwatch, reused: bool) -> Box<ResponseInfo> {
        let mut info = Box::<ResponseInfo>::default();
        let timings = &mut info.timings;
        *timings = stopwatch.timings;
        if !reused {
            // Another request may have begun the dial, before this one began: such steps took no time of
            // this one, which is zero here.
            let since = |done: Option<Instant>| done.map(|at| at.saturating_duration_since(stopwatch.started().steady));
            timings.resolved = since(self.timings.resolved);
            timings.connected = since(self.timings.connected);
            timings.secured = since(self.timings.secured);
        }
        info.local_addr = Some(self.local_addr.clone());
        info.remote_addr = Some(self.remote_addr.clone());
        info.reused = reused;
        info
    }
}
