//! What the deadlines of a connection do.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::connection::{ConnStage, Http2Serving};
use super::deadlines::Silence;
use super::stream_io::StreamIo;
use crate::server::cached_now;
use crate::server::close_reason::CloseReason;
use crate::server::event::ConnState;
use crate::server::settings::Settings;

/// What a deadline that has passed asks for.
enum Passed {
    /// Close at once.
    Close(CloseReason),
    /// Take no more requests.
    End(CloseReason),
    /// It was not a deadline: the connection is idle from this moment on, and may have to end.
    BecameIdle(Instant),
}

/// What the PING carries that asks whether the peer is there.
const KEEP_ALIVE_PING: [u8; 8] = *b"are you?";

impl<F: Future<Output = Arc<StreamIo>> + Send + 'static> Http2Serving<F> {
    pub(super) fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            match ready!(self.poll_next_deadline(cx)) {
                Passed::Close(reason) => return Poll::Ready(reason),
                Passed::End(reason) => self.end(reason),
                Passed::BecameIdle(now) => {
                    let settings = &self.shared.conn.settings;
                    settings.state.registry.note_idle(&self.registration.entry, now);
                    // A new connection that looked for an idle one just before has not seen this one: check for
                    // it here.
                    let _ = self.apply_command();
                }
            }
        }
    }

    fn poll_next_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        let Settings { head_timeout, stall_timeout, idle_timeout, max_connections, .. } = *self.shared.conn.settings;
        let is_in_head = self.is_in_head();
        let has_begun = self.stage == ConnStage::Open;
        if self.deadlines.head.poll(cx, has_begun, is_in_head, head_timeout).is_ready() {
            return Poll::Ready(Passed::Close(CloseReason::HeadTimeout));
        }
        if self.poll_keep_alive(cx).is_ready() {
            return Poll::Ready(Passed::Close(CloseReason::PingTimeout));
        }
        let has_leftover = self.exchanges.is_empty() && self.core.stream_count() > 0;
        let content = self.traffic.content_bytes;
        if self.deadlines.leftover.poll(cx, has_leftover.then_some(content), stall_timeout).is_ready() {
            return Poll::Ready(Passed::Close(CloseReason::WriteFailed));
        }
        let is_idle = self.is_idle();
        if is_idle && self.registration.enter_state(ConnState::Idle) {
            let now = cached_now::now();
            self.deadlines.idle.set(idle_timeout.map(|limit| now + limit));
            // Only `max_connections` needs to know which connection is idle longest. Once a request was served, the
            // server's switches hold that let it be.
            if max_connections > 0 || self.shared.conn.settings.state.closes_all().is_some() {
                return Poll::Ready(Passed::BecameIdle(now));
            }
        }
        if self.ending.is_none() && self.deadlines.idle.poll(cx).is_ready() {
            return Poll::Ready(Passed::End(CloseReason::IdleTimeout));
        }
        if self.ending.is_none() && self.awaits_first {
            // Free as long as the connection does not end.
            self.deadlines.linger.set(self.deadlines.head.preface_until);
            if self.deadlines.linger.poll(cx).is_ready() {
                return Poll::Ready(Passed::End(CloseReason::ShuttingDown));
            }
        }
        self.poll_linger(cx, is_idle, is_in_head).map(Passed::Close)
    }

    /// Whether the rest of a head is waited for: not where this side does not read, for what it has said is not
    /// read either.
    fn is_in_head(&self) -> bool {
        !self.traffic.is_blocked && !self.traffic.has_unseen && self.core.is_mid_head(&self.io.input)
    }

    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(keep_alive) = &mut self.deadlines.keep_alive else { return Poll::Pending };
        if self.stage == ConnStage::Preface {
            return Poll::Pending;
        }
        loop {
            match ready!(keep_alive.poll(cx, self.traffic.reads, std::mem::take(&mut self.traffic.ponged))) {
                Silence::Ask => self.core.ping(KEEP_ALIVE_PING),
                Silence::Dead => return Poll::Ready(()),
            }
        }
    }

    /// A connection that is ending closes when nothing is left of it, or `linger_timeout` after its last stream.
    fn poll_linger(&mut self, cx: &mut Context<'_>, is_idle: bool, is_in_head: bool) -> Poll<CloseReason> {
        let Some(reason) = self.ending else { return Poll::Pending };
        // At a shutdown a head that has begun to come is a request under way. At another end it is not:
        // a peer could go on for ever with beginnings.
        let head_is_coming = reason == CloseReason::ShuttingDown && is_in_head;
        if !is_idle || head_is_coming {
            // The peer may open streams until it has read GOAWAY: those are served.
            self.deadlines.lingers = false;
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.deadlines.lingers, true) {
            let limit = self.shared.conn.settings.linger_timeout;
            self.deadlines.linger.set(Some(Instant::now() + limit));
        }
        ready!(self.deadlines.linger.poll(cx));
        Poll::Ready(reason)
    }
}
