//! The end of a connection.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::super::error::{ConnectionEnd, ExchangeEnd};
use super::{Driver, DriverStage};
use crate::h2::fault::ErrorCode;

/// How long a peer may take to read the GOAWAY and what was sent before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How much is read and thrown away before the close: a peer that goes on sending is not listened to.
const MAX_LAST_READ_COUNT: usize = 32;

impl Driver {
    /// Nothing more can be written. What the peer has said before it closed, an alert of TLS or a response, is
    /// read first, and says more of the reason.
    pub(super) fn stop_writing(&mut self, end: ConnectionEnd) {
        self.write_end = Some(end);
        if self.state.set_spent() {
            self.notifier.notify();
        }
        self.close_deadline.set(Some(Instant::now() + CLOSE_TIMEOUT));
    }

    /// Whether it was waited for long enough.
    pub(super) fn check_broken(&mut self, cx: &mut Context<'_>) {
        if self.write_end.is_some() && self.close_deadline.poll(cx).is_ready() {
            let end = self.write_end.take().unwrap_or(ConnectionEnd::EndOfStream);
            self.break_off(end);
        }
    }

    /// The connection is broken: nothing more can be said.
    pub(super) fn break_off(&mut self, end: ConnectionEnd) {
        self.end(end);
        self.stage = DriverStage::Closed;
    }

    /// Ends the connection, and has the peer told so.
    pub(super) fn close(&mut self, end: ConnectionEnd) {
        if !self.core.is_going() {
            self.core.goaway(ErrorCode::NO_ERROR, "");
        }
        self.end(end);
        self.stage = DriverStage::Closing;
        self.close_deadline.set(Some(Instant::now() + CLOSE_TIMEOUT));
    }

    /// Tells the pool and all exchanges that this is the end. They read the reason, so it is set first.
    pub(super) fn end(&mut self, end: ConnectionEnd) {
        let of_waiting = end.of_waiting();
        self.state.set_ended(end);
        self.state.set_spent();
        let slots: Vec<u32> = self.core.slots().collect();
        let begun: Vec<_> = slots.into_iter().filter_map(|slot| self.core.user(slot).cloned()).collect();
        // Of those that are listed some are begun. The first end that one is told is the one that counts.
        let mut waiting: Vec<_> = self.waiting.drain(..).chain(self.awaiting_settings.drain(..)).collect();
        self.state.ready.take_last(&mut waiting);
        let begun = begun.into_iter().map(|io| (io, ExchangeEnd::Disconnected));
        for (io, end) in begun.chain(waiting.into_iter().map(|io| (io, of_waiting))) {
            self.wakers.extend(io.set_closed(end).into_iter().flatten());
            io.set_over();
        }
        self.wake_all();
        self.notifier.notify();
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stage == DriverStage::Closed || self.close_deadline.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while let Ok(1..) = match self.poll_write(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(written) => written,
        } {}
        let _ = ready!(self.io.poll_shutdown(cx));
        // A close with unread bytes would reset the connection, and destroy what the peer was told on the
        // way. What comes later is not waited for.
        for _ in 0..MAX_LAST_READ_COUNT {
            self.io.input.clear();
            if !matches!(self.io.poll_fill(cx), Poll::Ready(Ok(1..))) {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Driver {
    /// Also when its runtime ends before the connection does.
    fn drop(&mut self) {
        if self.state.ended().is_none() {
            self.end(ConnectionEnd::Closed);
        }
    }
}
