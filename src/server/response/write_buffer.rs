//! What is to be sent on a connection or a stream.
//!
//! Heads and small content are encoded and collected here, so that a response leaves in one write, and the
//! responses to a pipeline leave together. Large content is not copied: a direct write sends it from the
//! caller's memory, in one vectored write with what was collected before it. While one is under way nothing
//! else is sent; one that was dropped half-way fails all that follows, as the peer has a part of it.

use std::task::Poll;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Phase, Result};

/// When so many bytes are collected, they are sent before more is.
pub(crate) const WRITE_BUFFER_FULL_BYTES: usize = 16 * 1024;
/// Content of at least this size is not worth a copy.
pub(crate) const MIN_DIRECT_WRITE_BYTES: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    bytes: Vec<u8>,
    /// How many of `bytes` the stream has taken. They stay here until the stream is flushed: TLS buffers what
    /// it has taken, and sends it only when it is polled again.
    sent: usize,
    health: WriteHealth,
}

/// Large content that is being sent, in parts; what was sent is cut off.
#[derive(Debug)]
pub(crate) struct DirectWrite<'a> {
    /// What the writer had kept back, what was written now, and the end of a chunk.
    pub(crate) parts: [&'a [u8]; 3],
    /// The middle part as `Bytes`, if the caller had them: then HTTP/2 need not copy it.
    kept: Option<&'a Bytes>,
}

#[derive(Debug, Default)]
enum WriteHealth {
    #[default]
    Good,
    /// A direct write is under way. If the next write finds this, it was abandoned half-way.
    Writing,
    Failed(Error),
}

impl WriteBuffer {
    /// Where heads and small content are appended.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether all that was collected is sent, and the stream flushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether more should wait until what was collected is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= WRITE_BUFFER_FULL_BYTES
    }

    /// Whether the peer has a part of a message, so that nothing else may be sent before the rest.
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

    /// Nothing can be sent after this.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.health = WriteHealth::Failed(error.again());
        error
    }

    /// A direct write begins. Until it [ends](Self::end_direct) it counts as abandoned.
    pub(crate) fn begin_direct(&mut self) {
        self.health = WriteHealth::Writing;
    }

    /// A direct write is done.
    pub(crate) fn end_direct(&mut self) {
        self.health = WriteHealth::Good;
    }

    /// Whether a direct write is under way, or was abandoned.
    pub(crate) fn is_sending_direct(&self) -> bool {
        matches!(self.health, WriteHealth::Writing)
    }

    /// Takes the bytes out, to be written from, and says how many of them were sent before. They
    /// come back with [(Self::after_send).
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), self.sent)
    }

    /// Takes them back, of which `sent` were sent. They are kept until `sending` is ready, for a layer
    /// beneath may not have sent them yet.
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

    /// Takes the memory out, for another connection. All was sent.
    pub(crate) fn take_memory(&mut self) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.bytes);
        memory.clear();
        memory.shrink_to(2 * WRITE_BUFFER_FULL_BYTES);
        memory
    }

    pub(crate) fn give_memory(&mut self, memory: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = memory;
        }
    }
}

impl<'a> DirectWrite<'a> {
    /// `kept` is the same content as `written`, where the caller has it as `Bytes`.
    pub(crate) fn new(waited: &'a [u8], written: &'a [u8], kept: Option<&'a Bytes>) -> DirectWrite<'a> {
        DirectWrite { parts: [waited, written, &[]], kept }
    }

    /// The length of the part that is sent next; 0 when all was sent.
    pub(crate) fn len_of_piece(&self) -> usize {
        self.parts.iter().map(|part| part.len()).find(|&len| len > 0).unwrap_or_default()
    }

    /// The first `len` bytes of that part as `Bytes`: copied unless the caller had them so.
    pub(crate) fn piece(&self, len: usize) -> Bytes {
        let cut = |part: &'a [u8]| part.get(..len).unwrap_or_default();
        match (self.parts, self.kept) {
            ([[], [], end], _) => Bytes::copy_from_slice(cut(end)),
            ([[], written, _], Some(kept)) => kept.slice_ref(cut(written)),
            ([[], written, _], None) => Bytes::copy_from_slice(cut(written)),
            ([waited, ..], _) => Bytes::copy_from_slice(cut(waited)),
        }
    }

    /// Cuts off so many bytes, which were sent.
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
