//! Whether the peer is there: a PING to one that is silent, and what its silence means.

use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::super::super::http2_settings::Http2TransportSettings;
use super::super::state::Suspicion;
use crate::net::Deadline;

/// How long a PING may go unanswered before the connection gets no new streams.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(1);

/// What the keep-alive knows of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerState {
    /// It has sent something lately, or need not: no stream is open.
    Alive,
    /// It has not answered a PING yet.
    Doubtful,
    Dead,
}

/// What happened on the connection since the last look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity {
    /// Changes with everything that comes in.
    pub(super) reads: u64,
    pub(super) has_streams: bool,
    pub(super) suspicion: Suspicion,
}

/// Has a PING sent to a peer that is silent while streams are open, and at once when a request got no
/// answer. Whatever the peer sends then shows that it lives.
pub(super) struct KeepAlive {
    /// How many reads had brought something when the silence began.
    reads: u64,
    deadline: Deadline,
    stage: KeepAliveStage,
    ping: PingState,
    /// How long the peer may be silent while streams are open, until it is sent a PING.
    silence_timeout: Duration,
    /// How long a PING may go unanswered before the connection counts as dead.
    ping_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepAliveStage {
    Idle,
    Listening,
    Pinged,
    Unanswered,
}

/// One PING is under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PingState {
    None,
    /// It has to be sent.
    Due,
    UnderWay,
}

impl KeepAlive {
    pub(super) fn new(settings: &Http2TransportSettings) -> KeepAlive {
        KeepAlive {
            reads: 0,
            deadline: Deadline::default(),
            stage: KeepAliveStage::Idle,
            ping: PingState::None,
            silence_timeout: settings.send_ping_timeout,
            ping_timeout: settings.ping_timeout,
        }
    }

    pub(super) fn ping_timeout(&self) -> Duration {
        self.ping_timeout
    }

    /// Whether a PING is to be sent now.
    pub(super) fn take_ping(&mut self) -> bool {
        let is_due = self.ping == PingState::Due;
        if is_due {
            self.ping = PingState::UnderWay;
        }
        is_due
    }

    /// The answer to a PING. That something came was noticed by the number of reads. An answer that comes
    /// when no stream is open any more counts too: the next silence is asked about anew.
    pub(super) fn on_pong(&mut self) {
        self.ping = PingState::None;
    }

    pub(super) fn poll(&mut self, activity: Activity, cx: &mut Context<'_>) -> PeerState {
        let Activity { reads, has_streams, suspicion } = activity;
        let is_heard = reads != self.reads;
        self.reads = reads;
        let is_asked = matches!(self.stage, KeepAliveStage::Pinged | KeepAliveStage::Unanswered) && !is_heard;
        match suspicion {
            Suspicion::None | Suspicion::Probe if is_asked => {}
            Suspicion::None if !has_streams => self.enter(KeepAliveStage::Idle, None),
            Suspicion::None if is_heard || self.stage == KeepAliveStage::Idle => {
                self.enter(KeepAliveStage::Listening, Some(self.silence_timeout));
            }
            Suspicion::None => {}
            Suspicion::Probe => self.send_ping(),
            Suspicion::Doubt => {
                if !is_asked {
                    self.send_ping();
                }
                self.enter(KeepAliveStage::Unanswered, Some(self.ping_timeout));
            }
        }
        while self.deadline.poll(cx).is_ready() {
            match self.stage {
                KeepAliveStage::Idle | KeepAliveStage::Listening => self.send_ping(),
                KeepAliveStage::Pinged => {
                    let left = self.ping_timeout.saturating_sub(DOUBT_TIMEOUT);
                    self.enter(KeepAliveStage::Unanswered, Some(left));
                }
                KeepAliveStage::Unanswered => return PeerState::Dead,
            }
        }
        if self.stage == KeepAliveStage::Unanswered { PeerState::Doubtful } else { PeerState::Alive }
    }

    fn send_ping(&mut self) {
        if self.ping == PingState::None {
            self.ping = PingState::Due;
        }
        self.enter(KeepAliveStage::Pinged, Some(DOUBT_TIMEOUT.min(self.ping_timeout)));
    }

    fn enter(&mut self, stage: KeepAliveStage, length: Option<Duration>) {
        self.stage = stage;
        // A length that no clock can count to never passes.
        self.deadline.set(length.and_then(|length| Instant::now().checked_add(length)));
    }
}
