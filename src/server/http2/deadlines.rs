//! The deadlines of an HTTP/2 connection as a whole, beside that of idleness: for heads, for the answer to a
//! ping, and for the content that its streams have left behind.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, server};
use tokio::time::Instant;

use crate::h2::{Meter, Wire};
use crate::net::Deadline;
use crate::server::settings::Http2Settings;

/// The deadline of a head: until SETTINGS have come, and for each header block from its first
/// byte to its last. A drip of bytes does not move it.
pub(super) struct HeadDeadline {
    since: Option<Instant>,
    deadline: Deadline,
    /// The deadline of the preface, which counts from accept.
    pub(super) preface_until: Option<Instant>,
}

impl HeadDeadline {
    /// Of a connection whose preface must be there by then.
    pub(super) fn new(preface_until: Option<Instant>) -> HeadDeadline {
        HeadDeadline { since: None, deadline: Deadline::default(), preface_until }
    }

    /// Whether the time is over in which a first head should have come.
    pub(super) fn first_is_late(&self) -> bool {
        self.preface_until.is_some_and(|until| until <= Instant::now())
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, meter: &Meter, limit: Option<Duration>) -> Poll<()> {
        let Some(limit) = limit else { return Poll::Pending };
        if !meter.has_begun() {
            self.deadline.set(self.preface_until);
            return self.deadline.poll(cx);
        }
        if !meter.is_in_head() {
            self.since = None;
            return Poll::Pending;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        self.deadline.set(Some(since + limit));
        self.deadline.poll(cx)
    }
}

/// What is still to be sent of exchanges that are over. The crate has it, and no exchange watches over it
/// any more: a peer that gives its stream no window would keep it, and the connection, for ever.
#[derive(Default)]
pub(super) struct Leftover {
    /// The meter's count of content when it last changed.
    written: Option<u64>,
    deadline: Deadline,
}

impl Leftover {
    /// Ready when nothing of it has left for too long. `is_there` says whether there are streams without
    /// an exchange, and none with one.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_there: bool,
        meter: &Meter,
        limit: Option<Duration>,
    ) -> Poll<()> {
        if !is_there {
            self.written = None;
            return Poll::Pending;
        }
        let written = Some(meter.content_written());
        if self.written != written {
            self.written = written;
            self.deadline.set(limit.map(|limit| Instant::now() + limit));
        }
        self.deadline.poll(cx)
    }
}

/// Sends PING to a peer that has been silent for a while, and waits for the answer.
pub(super) struct KeepAlive {
    pings: PingPong,
    silence_timeout: Duration,
    ping_timeout: Duration,
    deadline: Deadline,
    /// The meter's count of reads when the silence began.
    reads: Option<u64>,
    awaits_pong: bool,
}

impl KeepAlive {
    pub(super) fn new(settings: &Http2Settings, h2: &mut server::Connection<Wire, Bytes>) -> Option<KeepAlive> {
        if settings.send_ping_timeout.is_zero() {
            return None;
        }
        Some(KeepAlive {
            pings: h2.ping_pong()?,
            silence_timeout: settings.send_ping_timeout,
            ping_timeout: settings.ping_timeout,
            deadline: Deadline::default(),
            reads: None,
            awaits_pong: false,
        })
    }

    /// Ready when the peer did not answer in time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<()> {
        // Any frame is a sign of life, but the next PING is sent only when this one was answered.
        let answered = self.awaits_pong && self.pings.poll_pong(cx).is_ready();
        if answered || self.reads != Some(meter.reads()) {
            self.reads = Some(meter.reads());
            self.awaits_pong &= !answered;
            self.deadline.set(Some(Instant::now() + self.silence_timeout));
        }
        loop {
            ready!(self.deadline.poll(cx));
            if self.awaits_pong {
                return Poll::Ready(());
            }
            self.awaits_pong = self.pings.send_ping(Ping::opaque()).is_ok();
            self.deadline.set(Some(Instant::now() + self.ping_timeout));
        }
    }
}
