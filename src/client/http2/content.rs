//! Content on its way: what of a request was handed over and not sent, and what of a response has come and
//! was not read.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::message::Header;

/// Pieces of content are gathered in buffers of this size where they are not read as they come.
const GATHERED_BYTES: usize = 32 << 10;

/// Content of the request that the task has not sent.
#[derive(Default)]
pub(super) struct ContentOut {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) bytes: usize,
    /// How much the task has sent.
    pub(super) taken: u64,
    pub(super) end: ContentOutEnd,
}

/// How the content of a request ends.
#[derive(Default)]
pub(super) enum ContentOutEnd {
    /// More may come.
    #[default]
    Open,
    /// With what there is, and with this trailer section if it has fields.
    Due(Header),
    Sent,
    /// The stream takes no more.
    Closed,
}

/// Content that has come and was not read.
#[derive(Default)]
pub(super) struct ContentIn {
    pub(super) pieces: VecDeque<BytesMut>,
    /// What was read, and not told to the task.
    pub(super) read: u32,
}

/// What of a request is to be sent next.
pub(super) enum NextOut {
    Content {
        piece: Bytes,
        is_last: bool,
    },
    Trailer(Header),
    /// The end, with no content.
    End,
    /// There is content, and no room.
    Window,
    Nothing,
}

impl ContentOut {
    pub(super) fn has_something(&self) -> bool {
        !self.pieces.is_empty() || matches!(self.end, ContentOutEnd::Due(_))
    }

    pub(super) fn close(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
        self.end = ContentOutEnd::Closed;
    }

    pub(super) fn next(&mut self, room: usize) -> NextOut {
        let Some(piece) = self.pieces.front_mut() else {
            return match std::mem::take(&mut self.end) {
                ContentOutEnd::Due(trailer) => {
                    self.end = ContentOutEnd::Sent;
                    if trailer.is_empty() { NextOut::End } else { NextOut::Trailer(trailer) }
                }
                other => {
                    self.end = other;
                    NextOut::Nothing
                }
            };
        };
        if room == 0 {
            return NextOut::Window;
        }
        let piece = piece.split_to(room.min(piece.len()));
        if self.pieces.front().is_some_and(Bytes::is_empty) {
            self.pieces.pop_front();
        }
        self.bytes -= piece.len();
        self.taken += piece.len() as u64;
        let is_last = self.pieces.is_empty() && matches!(&self.end, ContentOutEnd::Due(trailer) if trailer.is_empty());
        if is_last {
            self.end = ContentOutEnd::Sent;
        }
        NextOut::Content { piece, is_last }
    }
}

impl ContentIn {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Some(last) = self.pieces.back_mut() {
            let room = last.capacity() - last.len();
            if room >= bytes.len() {
                return last.extend_from_slice(bytes);
            }
        }
        // The first piece is most often read before the next one comes, and is as large as it is.
        let capacity = if self.pieces.is_empty() { bytes.len() } else { bytes.len().max(GATHERED_BYTES) };
        let mut piece = BytesMut::with_capacity(capacity);
        piece.extend_from_slice(bytes);
        self.pieces.push_back(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(next: &NextOut) -> String {
        match next {
            NextOut::Content { piece, is_last } => format!("{} {is_last}", String::from_utf8_lossy(piece)),
            NextOut::Trailer(trailer) => format!("trailer of {}", trailer.len()),
            NextOut::End => "end".to_owned(),
            NextOut::Window => "window".to_owned(),
            NextOut::Nothing => "nothing".to_owned(),
        }
    }

    fn sent(pieces: &[&'static str], end: Option<Header>, rooms: &[usize]) -> Vec<String> {
        let mut out = ContentOut::default();
        for piece in pieces {
            out.bytes += piece.len();
            out.pieces.push_back(Bytes::from_static(piece.as_bytes()));
        }
        if let Some(trailer) = end {
            out.end = ContentOutEnd::Due(trailer);
        }
        rooms.iter().map(|room| shown(&out.next(*room))).collect()
    }

    #[test]
    fn content_goes_as_far_as_there_is_room_and_its_last_piece_is_the_end() {
        let end = || Some(Header::new());
        let rooms = [2, 0, 9, 9, 9];
        assert_eq!(sent(&["abcd", "ef"], end(), &rooms), ["ab false", "window", "cd false", "ef true", "nothing"]);
        assert_eq!(sent(&["abcd"], None, &[9, 9]), ["abcd false", "nothing"]);
        assert_eq!(sent(&[], end(), &[0, 9]), ["end", "nothing"]);
        let trailer = || Some([("A", "1")].into_iter().collect());
        assert_eq!(sent(&["ab"], trailer(), &[9, 0, 9]), ["ab false", "trailer of 1", "nothing"]);
    }

    #[test]
    fn pieces_that_are_not_read_are_gathered_in_little_more_memory_than_they_have() {
        let mut content = ContentIn::default();
        for at in 0..1000_u32 {
            content.push(&at.to_be_bytes().repeat(25));
        }
        let held: usize = content.pieces.iter().map(BytesMut::capacity).sum();
        assert!(held < 100_000 + 2 * GATHERED_BYTES, "{held} bytes for 100,000");
        let all: Vec<u8> = content.pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        let expected: Vec<u8> = (0..1000_u32).flat_map(|at| at.to_be_bytes().repeat(25)).collect();
        assert!(all == expected);
    }
}
