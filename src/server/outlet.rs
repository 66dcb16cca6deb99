//! Where a writer's answer goes: the line of an HTTP/1 connection, or a stream of an HTTP/2 one.
//!
//! An enum and no trait object: the writer asks it for each piece of content.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use super::http2::StreamLine;
use super::line::Line;
use super::outbox::Outbox;
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

    /// Sends large content, in two parts, behind what was collected. Dropped before it is done, it
    /// leaves an outlet that sends nothing more.
    pub(crate) async fn send_large(&self, outgoing: Outgoing, one: &[u8], two: &[u8]) -> Result<()> {
        match self {
            Outlet::Line(line) => line.send_large(outgoing, one, two).await,
            Outlet::Stream(stream) => stream.send_large(one, two).await,
        }
    }

    /// The same for content that an HTTP/2 stream can keep as it is. Line or not, it is not copied.
    pub(crate) async fn send_large_bytes(&self, outgoing: Outgoing, one: &[u8], two: Bytes) -> Result<()> {
        match self {
            Outlet::Line(line) => line.send_large(outgoing, one, &two).await,
            Outlet::Stream(stream) => stream.send_large_bytes(one, two).await,
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
