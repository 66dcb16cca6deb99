//! What waits to be written. Frames are written into one buffer; content that is not worth a copy stays
//! where it is, and is put between the frames when they are written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::frame::{FRAME_HEAD_BYTES, FrameFlags, FrameHead, FrameKind};

/// Content up to this size is copied: that costs less than a slice of its own in the write.
const MAX_COPIED_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct OutBuffer {
    buffer: Vec<u8>,
    /// As much of the buffer is written.
    written: usize,
    /// Content, each with the place in the buffer that it stands before.
    content: VecDeque<(usize, Bytes)>,
    content_bytes: usize,
}

impl OutBuffer {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.written + self.content_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn frame(&mut self, kind: FrameKind, flags: FrameFlags, stream_id: u32, payload: &[u8]) {
        let head = FrameHead { len: payload.len(), kind, flags, stream_id };
        self.buffer.extend_from_slice(&head.bytes());
        self.buffer.extend_from_slice(payload);
    }

    /// Content behind a frame's head that was appended.
    pub(super) fn content(&mut self, bytes: Bytes) {
        if bytes.len() <= MAX_COPIED_BYTES {
            self.buffer.extend_from_slice(&bytes);
            return;
        }
        self.content_bytes += bytes.len();
        self.content.push_back((self.buffer.len(), bytes));
    }

    /// All that waits, where that is frames alone: most often it is.
    pub(crate) fn only_frames(&self) -> Option<&[u8]> {
        if self.content.is_empty() { self.buffer.get(self.written..) } else { None }
    }

    /// Fills as many slices as there are, and returns how many were. All is in them where that is fewer.
    pub(crate) fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.written;
        let mut filled = 0;
        let mut pieces =
            self.content.iter().map(|(end, bytes)| (*end, &bytes[..])).chain([(self.buffer.len(), &[][..])]);
        let mut pending: Option<&'a [u8]> = None;
        for slice in into.iter_mut() {
            let next = pending.take().or_else(|| {
                loop {
                    let (end, content) = pieces.next()?;
                    let frames = self.buffer.get(at..end).unwrap_or_default();
                    at = end;
                    match (frames.is_empty(), content.is_empty()) {
                        (true, true) => {}
                        (true, false) => return Some(content),
                        (false, true) => return Some(frames),
                        (false, false) => {
                            pending = Some(content);
                            return Some(frames);
                        }
                    }
                }
            });
            let Some(next) = next else { break };
            *slice = IoSlice::new(next);
            filled += 1;
        }
        filled
    }

    /// So many bytes were written.
    pub(crate) fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let end = self.content.front().map_or(self.buffer.len(), |(end, _)| *end);
            let frames = bytes.min(end - self.written);
            self.written += frames;
            bytes -= frames;
            let Some((_, content)) = self.content.front_mut() else { break };
            let here = bytes.min(content.len());
            content.advance(here);
            self.content_bytes -= here;
            bytes -= here;
            if content.is_empty() {
                self.content.pop_front();
            }
        }
        if self.is_empty() {
            self.buffer.clear();
            self.written = 0;
        }
    }

    /// Begins a frame whose length comes later, and returns where.
    pub(super) fn begin_frame(&mut self) -> usize {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
        at
    }

    /// Writes the head of a frame that was begun.
    pub(super) fn write_head(&mut self, at: usize, head: FrameHead) {
        if let Some(place) = self.buffer.get_mut(at..at + FRAME_HEAD_BYTES) {
            place.copy_from_slice(&head.bytes());
        }
    }

    /// All that waits, as one piece.
    #[cfg(test)]
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = self.slices(&mut slices);
            let here: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            all.extend_from_slice(&here);
            self.advance(here.len());
        }
        all
    }

    /// Whether it has no memory yet to write frames into.
    pub(crate) fn wants_memory(&self) -> bool {
        self.buffer.capacity() == 0
    }

    pub(crate) fn give_memory(&mut self, memory: Vec<u8>) {
        if self.wants_memory() {
            self.buffer = memory;
        }
    }

    /// Takes the memory that frames are written into, where nothing waits in it.
    pub(crate) fn take_memory(&mut self) -> Option<Vec<u8>> {
        (self.is_empty() && !self.wants_memory()).then(|| std::mem::take(&mut self.buffer))
    }

    /// Gives memory back that nothing waits in.
    pub(crate) fn release_memory(&mut self) {
        if self.is_empty() {
            *self = OutBuffer::default();
        }
    }

    /// The bytes that it holds in memory, content that is not copied left out.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.buffer.capacity() + self.content.capacity() * size_of::<(usize, Bytes)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> (OutBuffer, Vec<u8>) {
        let mut out = OutBuffer::default();
        let mut expected = Vec::new();
        for (n, len) in [3, 5000, 6000, 0, 4096, 9000].into_iter().enumerate() {
            if n % 2 == 0 {
                out.frame(FrameKind::Ping, FrameFlags::NONE, 0, b"12345678");
                expected.extend_from_slice(b"\0\0\x08\x06\0\0\0\0\x0012345678");
            }
            let content = vec![n as u8; len];
            expected.extend_from_slice(&content);
            out.content(Bytes::from(content));
        }
        (out, expected)
    }

    #[test]
    fn what_is_written_in_any_pieces_is_what_was_put_in() {
        for step in [1, 7, 17, 4096, 5003, 100_000] {
            let (mut out, expected) = filled();
            assert_eq!(out.len(), expected.len());
            let mut written = Vec::new();
            while !out.is_empty() {
                let mut slices = [IoSlice::new(&[]); 2];
                let count = out.slices(&mut slices);
                assert!(count > 0 && slices[..count].iter().all(|slice| !slice.is_empty()));
                let here: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
                written.extend_from_slice(&here);
                out.advance(here.len());
            }
            assert!(written == expected, "in steps of {step}");
            out.release_memory();
            assert_eq!(out.held(), 0);
        }
    }

    #[test]
    fn with_slices_enough_all_is_in_them() {
        let (out, expected) = filled();
        let mut slices = [IoSlice::new(&[]); 16];
        let count = out.slices(&mut slices);
        assert_eq!(slices[..count].iter().map(|slice| slice.len()).sum::<usize>(), expected.len());
    }
}
