//! Where a writer's answer goes: the line of an HTTP/1 connection, or a stream of an HTTP/2 one.
//!
//! An enum and no trait object: the writer asks it for each piece of content.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::http2::StreamLine;
use super::line::Line;
use super::outbox::{Large, Outbox};
use crate::error::Result;
use crate::h1::Outgoing;

#[derive(Debug, Clone)]
pub(crate) enum Outlet {
    Line(Arc<Line>),
    Stream(Arc<StreamLine>),
}

/// Until when a turn must read and write.
pub(crate) type Deadlines = (Option<Instant>, Option<Instant>);

impl Outlet {
    /// Why nothing can be sent any more, if nothing can.
    pub(crate) fn check(&self) -> Result<()> {
        self.with_outbox(Outbox::check)
    }

    /// Whether more should wait until what was collected is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.with_outbox(|outbox| outbox.is_full())
    }

    /// Looks at what is collected, under the lock.
    pub(crate) fn with_outbox<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        match self {
            Outlet::Line(line) => act(&mut line.lock().outbox),
            Outlet::Stream(stream) => stream.with_outbox(act),
        }
    }

    /// Sends all that was collected.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Outlet::Line(line) => line.lock().poll_flush(cx),
            Outlet::Stream(stream) => stream.poll_flush(cx),
        }
    }

    /// Begins large content in this form, behind what was collected. Until it is
    /// [sent](Self::poll_send_large) whole, nothing else can be: who gives up half-way leaves an
    /// outlet that sends nothing more.
    pub(crate) fn begin_large(&self, outgoing: Outgoing, large: &mut Large<'_>) -> Result<()> {
        match self {
            Outlet::Line(line) => line.begin_large(outgoing, large),
            Outlet::Stream(stream) => stream.begin_large(),
        }
    }

    /// Sends what is left of it.
    pub(crate) fn poll_send_large(&self, cx: &mut Context<'_>, large: &mut Large<'_>) -> Poll<Result<()>> {
        match self {
            Outlet::Line(line) => line.poll_send_large(cx, large),
            Outlet::Stream(stream) => stream.poll_send_large(cx, large),
        }
    }

    /// The turn is over for its peer.
    pub(crate) fn cancel(&self, turn: u64) {
        match self {
            Outlet::Line(line) => line.cancel(turn),
            Outlet::Stream(stream) => stream.cancel(),
        }
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        match self {
            Outlet::Line(line) => {
                let state = line.lock();
                (state.read_until, state.write_until)
            }
            Outlet::Stream(stream) => stream.deadlines(),
        }
    }

    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        match self {
            Outlet::Line(line) => line.set_read_until(at),
            Outlet::Stream(stream) => stream.set_read_until(at),
        }
    }

    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        match self {
            Outlet::Line(line) => line.set_write_until(at),
            Outlet::Stream(stream) => stream.set_write_until(at),
        }
    }
}
