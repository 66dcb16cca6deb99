//! The state of a `StreamIo` under its lock: content on its way in and out (`stream_in`, `stream_out`).
//!
//! ```text
//!  in:   the connection's task ──▶ inbound ──▶ the request's body
//!  out:  the writer ──▶ write buffer ──▶ outbound ──▶ the connection's task, as the windows allow
//! ```

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::response_head::KeptResponseHead;
use crate::error::{Error, ErrorKind, Phase};
use crate::h2::ErrorCode;
use crate::message::Header;
use crate::net::{Deadline, TransferLimit};
use crate::server::response::write_buffer::WriteBuffer;

#[derive(Debug)]
pub(super) struct StreamState {
    // Content that comes in.
    pub(super) content: Content,
    /// What has come and was not read.
    pub(super) inbound: BytesMut,
    pub(super) inbound_end: InboundEnd,
    /// How much is still to be read, where a length was announced.
    pub(super) remaining: Option<u64>,
    /// What was read and the engine was not told of, and in how many pieces.
    pub(super) consumed: u32,
    pub(super) consumed_pieces: u32,
    /// The client may wait for a `100 Continue` before it sends its content.
    pub(super) awaits_continue: bool,
    // What goes out.
    pub(super) sending: Sending,
    pub(super) interim: Vec<(StatusCode, Header)>,
    pub(super) head: KeptResponseHead,
    pub(super) write_buffer: WriteBuffer,
    pub(super) outbound: VecDeque<Bytes>,
    pub(super) outbound_bytes: usize,
    pub(super) trailer: Option<Box<Header>>,
    /// The exchange wants its stream reset, behind what it has handed over.
    pub(super) reset: Option<ErrorCode>,
    pub(super) takeover: Takeover,
    /// How much the windows had room for when the connection's task looked last.
    pub(super) room: usize,
    /// Nobody works on the exchange any more: what is left of it is the connection's task's.
    pub(super) is_over: bool,
    // Limits, and who waits.
    pub(super) limits: StreamLimits,
    pub(super) read_limit: TransferLimit,
    pub(super) write_limit: TransferLimit,
    pub(super) read_deadline: Deadline,
    pub(super) write_deadline: Deadline,
    /// The waker of a body that waits for content: perhaps of another task, which nothing else would wake at
    /// the exchange's end.
    pub(super) reader: Option<Waker>,
    /// The waker of a writer that waits for room: perhaps not the exchange's task's own.
    pub(super) writer: Option<Waker>,
    /// The waker of the exchange's task, for the loss of its peer.
    pub(super) watcher: Option<Waker>,
}

/// How much of a stream may wait on either way.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLimits {
    pub(super) outbound_bytes: usize,
    /// So much has to be read before the engine is told.
    pub(super) told_bytes: u32,
}

/// The content of the request, as the exchange sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Over,
    Coming,
    /// It cannot be read further.
    Broken,
    /// The exchange is over. What comes is thrown away, and this much of it makes room for more.
    Unread(u64),
    /// The exchange is over, or was none.
    NoExchange,
}

/// How the content of the request ended.
#[derive(Debug)]
pub(super) enum InboundEnd {
    NotYet,
    End,
    Trailer(Box<Header>),
    Lost(StreamLoss),
}

/// Whether the stream is a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takeover {
    Never,
    Open,
    /// Who took it over has dropped it.
    Dropped,
}

/// How far the response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// Its head is not decided.
    Head,
    Content,
    /// All of it was handed over.
    Ended,
    /// The engine has sent all of it.
    Sent,
    Lost(StreamLoss),
}

/// Why a stream ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamLoss {
    /// The peer has reset it.
    ByPeer,
    /// It was reset for what the peer did.
    BrokenRules,
    /// It was reset for what the exchange did.
    ByUs,
    /// This side has closed the connection.
    Connection,
    /// The peer is gone: what reading or writing failed with, or `UnexpectedEof` where the peer has closed.
    Disconnected(io::ErrorKind),
}

impl StreamState {
    pub(super) fn new(limits: StreamLimits, read_limit: TransferLimit, write_limit: TransferLimit) -> StreamState {
        StreamState {
            content: Content::NoExchange,
            inbound: BytesMut::new(),
            inbound_end: InboundEnd::NotYet,
            remaining: None,
            consumed: 0,
            consumed_pieces: 0,
            awaits_continue: false,
            sending: Sending::Head,
            interim: Vec::new(),
            head: KeptResponseHead::default(),
            write_buffer: WriteBuffer::default(),
            outbound: VecDeque::new(),
            outbound_bytes: 0,
            trailer: None,
            reset: None,
            takeover: Takeover::Never,
            room: 0,
            is_over: false,
            limits,
            read_limit,
            write_limit,
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            reader: None,
            writer: None,
            watcher: None,
        }
    }

    /// Another exchange begins, whose content, where there is some, has this length.
    pub(super) fn restart(&mut self, content: Option<Option<u64>>) {
        self.content = if content.is_some() { Content::Coming } else { Content::Over };
        self.inbound.clear();
        self.inbound_end = InboundEnd::NotYet;
        self.remaining = content.flatten();
        (self.consumed, self.consumed_pieces) = (0, 0);
        self.awaits_continue = false;
        self.sending = Sending::Head;
        self.interim.clear();
        self.head.clear();
        let memory = self.write_buffer.take_memory();
        self.write_buffer = WriteBuffer::default();
        self.write_buffer.give_memory(memory);
        self.outbound.clear();
        self.outbound_bytes = 0;
        self.trailer = None;
        self.reset = None;
        self.takeover = Takeover::Never;
        self.is_over = false;
        (self.reader, self.writer, self.watcher) = (None, None, None);
    }

    // ---------------------------------------------------------------- the end

    /// The stream is no more.
    pub(super) fn lose(&mut self, loss: StreamLoss) {
        if !matches!(self.inbound_end, InboundEnd::End | InboundEnd::Trailer(_)) {
            self.inbound_end = InboundEnd::Lost(loss);
        }
        if self.sending != Sending::Sent {
            self.sending = Sending::Lost(loss);
        }
        self.reset = None;
        self.outbound.clear();
        self.outbound_bytes = 0;
        self.interim.clear();
        self.head.clear();
        wake(&mut self.reader);
        wake(&mut self.writer);
        wake(&mut self.watcher);
    }

    /// The peer does not want the response any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.sending == Sending::Lost(StreamLoss::ByPeer)
    }

    /// Whether the exchange is over and nothing of it is left to be sent.
    pub(super) fn is_done_with(&self) -> bool {
        self.is_over && self.reset.is_none() && matches!(self.sending, Sending::Sent | Sending::Lost(_))
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.sending, Sending::Lost(loss) if loss != StreamLoss::ByUs)
            || matches!(self.inbound_end, InboundEnd::Lost(_))
    }

    // ---------------------------------------------------------------- between two exchanges

    /// Gives back the memory that content was in, and returns that which small content was collected in.
    pub(super) fn release_memory(&mut self) -> Vec<u8> {
        self.inbound = BytesMut::new();
        self.outbound = VecDeque::new();
        self.head.release_memory();
        self.write_buffer.take_memory()
    }

    /// The bytes that it holds in memory, for which nothing waits.
    pub(super) fn held(&self) -> usize {
        self.head.held() + self.inbound.capacity() + self.outbound.capacity() * size_of::<Bytes>()
    }
}

impl StreamLoss {
    pub(super) fn while_reading(self) -> Error {
        self.in_words(Phase::Body)
    }

    pub(super) fn while_writing(self) -> Error {
        self.in_words(Phase::Write)
    }

    fn in_words(self, phase: Phase) -> Error {
        use io::ErrorKind::{BrokenPipe, UnexpectedEof};
        match self {
            StreamLoss::ByPeer => Error::new(ErrorKind::CutOff, "the peer reset the stream").during(phase),
            StreamLoss::BrokenRules => Error::new(ErrorKind::Refused, "the peer broke the rules of its stream")
                .during(phase)
                .with_status(StatusCode::BAD_REQUEST),
            StreamLoss::Connection | StreamLoss::Disconnected(BrokenPipe | UnexpectedEof) if phase == Phase::Body => {
                Error::cut_off(phase)
            }
            StreamLoss::ByUs | StreamLoss::Connection => {
                Error::new(ErrorKind::CutOff, "the stream is closed").during(phase)
            }
            // What is written meets a connection that is gone.
            StreamLoss::Disconnected(UnexpectedEof) => Error::from(io::Error::from(BrokenPipe)).during(phase),
            StreamLoss::Disconnected(kind) => Error::from(io::Error::from(kind)).during(phase),
        }
    }
}

pub(super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
