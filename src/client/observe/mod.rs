//! Who is told of the steps of a request: its trace, the limit over all of it, and the timings of
//! its response.

mod dial;
mod progress;
mod timings;
mod trace;

pub use trace::{ClientTrace, GotConn};

pub(super) use dial::DialObserver;
pub(super) use progress::Progress;
pub(super) use timings::Stopwatch;
pub(super) use trace::Tracer;
