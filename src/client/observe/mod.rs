//! Observers of the steps of a request: its trace, its progress for the limit over all of it, and the
//! timings of its response.

mod timings;
mod trace;

pub use trace::{ClientTrace, GotConn};

pub(super) use timings::{ConnectionInfo, DialObserver, Stopwatch};
pub(super) use trace::{Progress, Tracer};
