//! The deadlines of an HTTP/2 connection as a whole: for heads, for the answer to a ping, for content that its
//! streams have left behind, for idleness, and for its end.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::net::Deadline;
use crate::server::settings::{Http2Settings, Settings};

pub(super) struct ConnDeadlines {
    pub(super) head: HeadDeadline,
    pub(super) keep_alive: Option<Box<KeepAlive>>,
    pub(super) leftover: Leftover,
    pub(super) idle: Deadline,
    /// How long a connection that is ending may take without a stream.
    pub(super) linger: Deadline,
    pub(super) lingers: bool,
}

impl ConnDeadlines {
    /// Of a connection that was accepted at this moment. `before` is that of HTTP/1.1, whose timer is used on.
    pub(super) fn new(settings: &Settings, accepted: Instant, before: Deadline) -> ConnDeadlines {
        let preface_until = settings.head_timeout.map(|limit| accepted + limit);
        ConnDeadlines {
            head: HeadDeadline { since: None, deadline: Deadline::default(), preface_until },
            keep_alive: KeepAlive::new(&settings.http2).map(Box::new),
            leftover: Leftover::default(),
            idle: before,
            linger: Deadline::default(),
            lingers: false,
        }
    }

    /// Whether the time is over in which a first head should have come.
    pub(super) fn first_is_late(&self) -> bool {
        self.head.preface_until.is_some_and(|until| until <= Instant::now())
    }

    /// A head has come whole, or what was there was none: what the input still has is the beginning of another.
    pub(super) fn end_head(&mut self) {
        self.head.since = None;
    }

    /// A request has come.
    pub(super) fn leave_idle(&mut self) {
        self.idle.set(None);
    }
}

/// The deadline of a head: until SETTINGS have come, and for each header block from its first
/// byte to its last. A drip of bytes does not move it.
pub(super) struct HeadDeadline {
    since: Option<Instant>,
    deadline: Deadline,
    /// The deadline of the preface, which counts from accept.
    pub(super) preface_until: Option<Instant>,
}

impl HeadDeadline {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        has_begun: bool,
        is_in_head: bool,
        limit: Option<Duration>,
    ) -> Poll<()> {
        let Some(limit) = limit else { return Poll::Pending };
        if !has_begun {
            self.deadline.set(self.preface_until);
            return self.deadline.poll(cx);
        }
        if !is_in_head {
            self.since = None;
            return Poll::Pending;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        self.deadline.set(Some(since + limit));
        self.deadline.poll(cx)
    }
}

/// What is still to be sent of exchanges that are over. No exchange watches over it any more: a peer that gives
/// its stream no window would keep it, and the connection, for ever.
#[derive(Default)]
pub(super) struct Leftover {
    /// How much content had been sent when that last changed.
    sent: Option<u64>,
    deadline: Deadline,
}

impl Leftover {
    /// Ready when nothing of it has left for too long. `sent` is how much content was sent so far, where there
    /// are streams without an exchange, and none with one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, sent: Option<u64>, limit: Option<Duration>) -> Poll<()> {
        if sent.is_none() {
            self.sent = None;
            return Poll::Pending;
        }
        if self.sent != sent {
            self.sent = sent;
            self.deadline.set(limit.map(|limit| Instant::now() + limit));
        }
        self.deadline.poll(cx)
    }
}

/// Sends PING to a peer that has been silent for a while, and waits for the answer.
pub(super) struct KeepAlive {
    silence_timeout: Duration,
    ping_timeout: Duration,
    deadline: Deadline,
    /// How many times something had been read when the silence began.
    reads: Option<u64>,
    awaits_pong: bool,
}

/// What a silence asks for.
pub(super) enum Silence {
    /// A PING.
    Ask,
    /// The peer did not answer in time.
    Dead,
}

impl KeepAlive {
    fn new(settings: &Http2Settings) -> Option<KeepAlive> {
        let (silence_timeout, ping_timeout) = (settings.send_ping_timeout, settings.ping_timeout);
        let deadline = Deadline::default();
        (!silence_timeout.is_zero()).then_some(KeepAlive {
            silence_timeout,
            ping_timeout,
            deadline,
            reads: None,
            awaits_pong: false,
        })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, reads: u64, ponged: bool) -> Poll<Silence> {
        // Any frame is a sign of life, but the next PING is sent only when this one was answered.
        self.awaits_pong &= !ponged;
        if ponged || self.reads != Some(reads) {
            self.reads = Some(reads);
            self.deadline.set(Some(Instant::now() + self.silence_timeout));
        }
        ready!(self.deadline.poll(cx));
        if self.awaits_pong {
            return Poll::Ready(Silence::Dead);
        }
        self.awaits_pong = true;
        self.deadline.set(Some(Instant::now() + self.ping_timeout));
        Poll::Ready(Silence::Ask)
    }
}
