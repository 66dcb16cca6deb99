//! What is to be sent on a connection: encoded bytes on their way to the socket.
//!
//! Heads and small content collect here, so that an answer leaves in one write and the answers
//! of a pipeline leave together. Large content goes past the collection, straight from the
//! caller's memory, in one vectored write with what was collected before it.

use std::task::Poll;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Phase, Result};

/// Collected bytes past this are sent before more is collected.
pub(crate) const COLLECTED: usize = 16 * 1024;
/// Content of at least this size is not worth a copy.
pub(crate) const LARGE: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How much of `bytes` the stream has taken. All of them stay until it was flushed: a stream such
    /// as TLS may keep what it has taken, and passes it on only when it is asked again.
    sent: usize,
    health: Health,
}

/// Large content under way, in parts; what was sent of it is cut off.
#[derive(Debug)]
pub(crate) struct Large<'a> {
    /// What had waited, what was written, and what ends them.
    pub(crate) parts: [&'a [u8]; 3],
    /// What was written as it can be kept, if it can.
    kept: Option<&'a Bytes>,
}

#[derive(Debug, Default)]
enum Health {
    #[default]
    Good,
    /// A large write is under way. Found so by the next one, it was abandoned half-way.
    Writing,
    Failed(Error),
}

impl Outbox {
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
        self.bytes.len() >= COLLECTED
    }

    /// Whether the peer has a part of something, so that nothing else may go out before the rest.
    pub(crate) fn is_half_sent(&self) -> bool {
        (0 < self.sent && self.sent < self.bytes.len()) || !matches!(self.health, Health::Good)
    }

    /// Why nothing can be sent any more, if nothing can.
    pub(crate) fn check(&mut self) -> Result<()> {
        match &self.health {
            Health::Good => Ok(()),
            Health::Failed(error) => Err(error.again()),
            Health::Writing => {
                let error = Error::new(ErrorKind::Io, "an earlier write was abandoned half-way").during(Phase::Write);
                Err(self.fail(error))
            }
        }
    }

    /// Nothing can be sent after this.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.health = Health::Failed(error.again());
        error
    }

    /// A large write begins: until it [ends](Self::end_large), it counts as abandoned.
    pub(crate) fn begin_large(&mut self) {
        self.health = Health::Writing;
    }

    /// A large write is done.
    pub(crate) fn end_large(&mut self) {
        self.health = Health::Good;
    }

    /// Whether a large write is under way, or was abandoned.
    pub(crate) fn is_sending_large(&self) -> bool {
        matches!(self.health, Health::Writing)
    }

    /// Takes the bytes out, to be written from, and says how many of them were sent before. They
    /// come back with [`settle`](Self::settle).
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), self.sent)
    }

    /// Takes them back. So many of them the stream has taken, and this is how the sending stands: until
    /// it is over, a layer beneath may hold them back.
    pub(crate) fn settle(&mut self, mut bytes: Vec<u8>, sent: usize, sending: Poll<Result<()>>) -> Poll<Result<()>> {
        self.sent = sent;
        if sending.is_ready() && sent >= bytes.len() {
            bytes.clear();
            self.sent = 0;
        }
        self.bytes = bytes;
        sending.map_err(|error| self.fail(error))
    }

    /// Lends the memory of an outbox that is at rest to another connection.
    pub(crate) fn lend_memory(&mut self) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.bytes);
        memory.clear();
        memory.shrink_to(2 * COLLECTED);
        memory
    }

    pub(crate) fn use_memory(&mut self, memory: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = memory;
        }
    }
}

impl<'a> Large<'a> {
    /// Content of which a part has waited. `kept` is what was written, where it can be kept.
    pub(crate) fn new(waited: &'a [u8], written: &'a [u8], kept: Option<&'a Bytes>) -> Large<'a> {
        Large { parts: [waited, written, &[]], kept }
    }

    /// How much of it is in one piece.
    pub(crate) fn len_of_piece(&self) -> usize {
        self.parts.iter().map(|part| part.len()).find(|&len| len > 0).unwrap_or_default()
    }

    /// So much of that piece, for who keeps it: copied only where it must be.
    pub(crate) fn piece(&self, len: usize) -> Bytes {
        let cut = |part: &'a [u8]| part.get(..len).unwrap_or_default();
        match (self.parts, self.kept) {
            ([[], [], end], _) => Bytes::copy_from_slice(cut(end)),
            ([[], written, _], Some(kept)) => kept.slice_ref(cut(written)),
            ([[], written, _], None) => Bytes::copy_from_slice(cut(written)),
            ([waited, ..], _) => Bytes::copy_from_slice(cut(waited)),
        }
    }

    /// So many bytes were sent.
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
        let mut outbox = Outbox::default();
        outbox.begin_large();
        outbox.end_large();
        assert!(outbox.check().is_ok());
        outbox.begin_large();
        assert_eq!(outbox.check().unwrap_err().to_string(), "an earlier write was abandoned half-way (while writing)");
        assert!(outbox.check().is_err() && outbox.is_half_sent());
    }

    #[test]
    fn what_was_sent_in_part_stays_until_it_is_sent_whole() {
        let mut outbox = Outbox::default();
        outbox.bytes().extend_from_slice(b"hello");
        let (bytes, sent) = outbox.take();
        assert!(outbox.settle(bytes, sent + 2, Poll::Pending).is_pending());
        assert!(!outbox.is_empty() && outbox.is_half_sent());
        let (bytes, sent) = outbox.take();
        assert_eq!(&bytes[sent..], b"llo");
        assert!(outbox.settle(bytes, sent + 3, Poll::Pending).is_pending());
        assert!(!outbox.is_empty() && !outbox.is_half_sent(), "it is still to be flushed");
        let (bytes, sent) = outbox.take();
        assert!(outbox.settle(bytes, sent, Poll::Ready(Ok(()))).is_ready());
        assert!(outbox.is_empty() && !outbox.is_half_sent());
    }
    #[test]
    fn large_content_is_handed_over_part_by_part_and_copied_only_where_it_must_be() {
        let kept = Bytes::from_static(b"written");
        for (kept, copies) in [(None, true), (Some(&kept), false)] {
            let mut large = Large::new(b"waited", b"written", kept);
            large.parts[2] = b"\r\n";
            let mut pieces = Vec::new();
            while large.len_of_piece() > 0 {
                let len = large.len_of_piece().min(4);
                pieces.push(large.piece(len));
                large.advance(len);
            }
            assert_eq!(pieces, ["wait", "ed", "writ", "ten", "\r\n"]);
            assert_eq!(kept.is_none_or(|kept| kept.as_ptr() != pieces[2].as_ptr()), copies);
        }
        let mut large = Large::new(b"ab", b"cd", None);
        large.advance(3);
        assert_eq!(large.parts, [&b""[..], b"d", b""], "an advance may go over several parts");
    }
}
