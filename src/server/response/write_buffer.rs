//! Encoded bytes on their way to the socket.
//!
//! Heads and small content are collected in the write buffer, so that a response is sent in one write
//! and the responses of a pipeline together. Large content is not copied into it but sent from the
//! caller's memory, in one vectored write with what was collected before: a direct write.
//!
//! A direct write can be abandoned, when the future that writes is dropped. The peer then has a part of
//! the content, and would misread anything that is sent after it. So the buffer is marked as
//! [`Writing`](WriteHealth::Writing) before the first byte and unmarked after the last; a later write
//! that still finds the mark fails.

use std::task::Poll;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Phase, Result};

/// With this many bytes collected, they are sent before more is.
pub(crate) const WRITE_BUFFER_FULL_BYTES: usize = 16 * 1024;
/// From this size on, a write of its own costs less than copying content into the write buffer.
pub(crate) const MIN_DIRECT_WRITE_BYTES: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    bytes: Vec<u8>,
    /// How much of `bytes` the stream has taken. They are shared until the stream was flushed: a TLS
    /// stream may hold back what it has taken, and sends it only when it is polled again. An empty
    /// buffer would never be polled.
    sent: usize,
    health: WriteHealth,
}

/// Content that is sent from the caller's memory, in parts; what was sent of it is cut off.
#[derive(Debug)]
pub(crate) struct DirectWrite<'a> {
    /// Content that was held back, content that the handler writes now, and the end of their chunk.
    pub(crate) parts: [&'a [u8]; 3],
    /// The content that the handler writes now, if it is in memory that can be shared.
    shared: Option<&'a Bytes>,
}

#[derive(Debug, Default)]
enum WriteHealth {
    #[default]
    Good,
    /// A direct write has begun. If the next write finds this, the one before was abandoned half-way.
    Writing,
    Failed(Error),
}

impl WriteBuffer {
    /// Where heads and small content are appended.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether all that was collected is sent, and left the stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether more should wait until what was collected is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= WRITE_BUFFER_FULL_BYTES
    }

    /// Whether a write is incomplete, so that nothing else may be sent before the rest of it.
    pub(crate) fn is_half_sent(&self) -> bool {
        (0 < self.sent && self.sent < self.bytes.len()) || !matches!(self.health, WriteHealth::Good)
    }

    /// Why nothing can be sent any more, if nothing can.
    pub(crate) fn check(&mut self) -> Result<()> {
        match &self.health {
            WriteHealth::Good => Ok(()),
            WriteHealth::Failed(error) => Err(error.again()),
            WriteHealth::Writing => {
                let error = Error::new(ErrorKind::Io, "an earlier write was abandoned half-way").during(Phase::Write);
                Err(self.fail(error))
            }
        }
    }

    /// Drops what was collected, and takes nothing more.
    pub(crate) fn abandon(&mut self, error: &Error) {
        self.bytes.clear();
        self.sent = 0;
        self.health = WriteHealth::Failed(error.again());
    }

    /// Nothing can be sent after this.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.health = WriteHealth::Failed(error.again());
        error
    }

    /// A direct write begins: until it [ends](Self::end_direct), it counts as abandoned.
    pub(crate) fn begin_direct(&mut self) {
        self.health = WriteHealth::Writing;
    }

    /// The direct write is complete.
    pub(crate) fn end_direct(&mut self) {
        self.health = WriteHealth::Good;
    }

    /// Whether a direct write is under way, or was abandoned.
    pub(crate) fn is_sending_direct(&self) -> bool {
        matches!(self.health, WriteHealth::Writing)
    }

    /// Takes the bytes out, so that the rest of the connection's state can be borrowed while they are
    /// written, and says how many of them the stream has taken before. [`after_send`](Self::after_send)
    /// puts them back.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), self.sent)
    }

    /// Puts the bytes back. `sent` says how many of them the stream has taken. They are dropped only
    /// when sending is ready, which it is after a flush: before that, TLS may hold them back.
    pub(crate) fn after_send(
        &mut self,
        mut bytes: Vec<u8>,
        sent: usize,
        sending: Poll<Result<()>>,
    ) -> Poll<Result<()>> {
        self.sent = sent;
        if sending.is_ready() && sent >= bytes.len() {
            bytes.clear();
            self.sent = 0;
        }
        self.bytes = bytes;
        sending.map_err(|error| self.fail(error))
    }

    /// Takes the memory of an empty buffer, for another connection to use. A buffer that grew beyond its
    /// limit, with one large head, gives the excess back to the system.
    pub(crate) fn take_memory(&mut self) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.bytes);
        memory.clear();
        memory.shrink_to(2 * WRITE_BUFFER_FULL_BYTES);
        memory
    }

    /// Gives the buffer memory, unless it has some.
    pub(crate) fn give_memory(&mut self, memory: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = memory;
        }
    }
}

impl<'a> DirectWrite<'a> {
    /// Content that was held back and content that is written now. `shared` is the latter, if it is in
    /// memory that can be shared.
    pub(crate) fn new(pending: &'a [u8], written: &'a [u8], shared: Option<&'a Bytes>) -> DirectWrite<'a> {
        DirectWrite { parts: [pending, written, &[]], shared }
    }

    /// The length of the next piece that lies in one part.
    pub(crate) fn len_of_piece(&self) -> usize {
        self.parts.iter().map(|part| part.len()).find(|&len| len > 0).unwrap_or_default()
    }

    /// `len` bytes of that piece, to be kept: copied only where the memory cannot be shared.
    pub(crate) fn piece(&self, len: usize) -> Bytes {
        let cut = |part: &'a [u8]| part.get(..len).unwrap_or_default();
        match (self.parts, self.shared) {
            ([[], [], end], _) => Bytes::copy_from_slice(cut(end)),
            ([[], written, _], Some(shared)) => shared.slice_ref(cut(written)),
            ([[], written, _], None) => Bytes::copy_from_slice(cut(written)),
            ([pending, ..], _) => Bytes::copy_from_slice(cut(pending)),
        }
    }

    /// Cuts off what was sent.
    pub(crate) fn advance(&mut self, mut sent: usize) {
        for part in &mut self.parts {
            let of_part = sent.min(part.len());
            *part = part.get(of_part..).unwrap_or_default();
            sent -= of_part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_write_that_did_not_end_fails_all_that_follow() {
        let mut write_buffer = WriteBuffer::default();
        write_buffer.begin_direct();
        write_buffer.end_direct();
        assert!(write_buffer.check().is_ok());
        write_buffer.begin_direct();
        assert_eq!(
            write_buffer.check().unwrap_err().to_string(),
            "an earlier write was abandoned half-way (while writing)"
        );
        assert!(write_buffer.check().is_err() && write_buffer.is_half_sent());
    }

    #[test]
    fn what_was_sent_in_part_stays_until_it_is_sent_whole() {
        let mut write_buffer = WriteBuffer::default();
        write_buffer.bytes().extend_from_slice(b"hello");
        let (bytes, sent) = write_buffer.take();
        assert!(write_buffer.after_send(bytes, sent + 2, Poll::Pending).is_pending());
        assert!(!write_buffer.is_empty() && write_buffer.is_half_sent());
        let (bytes, sent) = write_buffer.take();
        assert_eq!(&bytes[sent..], b"llo");
        assert!(write_buffer.after_send(bytes, sent + 3, Poll::Pending).is_pending());
        assert!(!write_buffer.is_empty() && !write_buffer.is_half_sent(), "it is still to be flushed");
        let (bytes, sent) = write_buffer.take();
        assert!(write_buffer.after_send(bytes, sent, Poll::Ready(Ok(()))).is_ready());
        assert!(write_buffer.is_empty() && !write_buffer.is_half_sent());
    }
    #[test]
    fn large_content_is_handed_over_part_by_part_and_copied_only_where_it_must_be() {
        let kept = Bytes::from_static(b"written");
        for (kept, copies) in [(None, true), (Some(&kept), false)] {
            let mut direct = DirectWrite::new(b"waited", b"written", kept);
            direct.parts[2] = b"\r\n";
            let mut pieces = Vec::new();
            while direct.len_of_piece() > 0 {
                let len = direct.len_of_piece().min(4);
                pieces.push(direct.piece(len));
                direct.advance(len);
            }
            assert_eq!(pieces, ["wait", "ed", "writ", "ten", "\r\n"]);
            assert_eq!(kept.is_none_or(|kept| kept.as_ptr() != pieces[2].as_ptr()), copies);
        }
        let mut direct = DirectWrite::new(b"ab", b"cd", None);
        direct.advance(3);
        assert_eq!(direct.parts, [&b""[..], b"d", b""], "an advance may go over several parts");
    }
}
