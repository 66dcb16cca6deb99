//! Content in parts: what stands between them, and how long it all is. Pure but for the boundary.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use bytes::Bytes;

use super::range::ByteRange;

/// What is sent: text of ours and ranges of the content by turns.
pub(super) struct Parts {
    pub(super) pieces: Vec<Piece>,
    pub(super) end: Bytes,
    /// Of all together.
    pub(super) length: u64,
}

pub(super) struct Piece {
    pub(super) before: Bytes,
    pub(super) range: ByteRange,
}

impl Parts {
    /// One range, and nothing around it. None at all when it is empty.
    pub(super) fn single(range: ByteRange) -> Parts {
        let pieces = if range.length == 0 { Vec::new() } else { vec![Piece { before: Bytes::new(), range }] };
        Parts { pieces, end: Bytes::new(), length: range.length }
    }

    /// A body of several parts (RFC 9110 §14.6), of content of this size and type.
    pub(super) fn multipart(ranges: &[ByteRange], size: u64, content_type: Option<&[u8]>, boundary: &str) -> Parts {
        let mut pieces = Vec::with_capacity(ranges.len());
        let mut delimiter = format!("--{boundary}\r\n");
        for range in ranges {
            let mut before = std::mem::replace(&mut delimiter, format!("\r\n--{boundary}\r\n"));
            // A string takes whatever is written to it.
            write!(before, "Content-Range: {}\r\n", content_range(*range, size)).expect("writing to a string");
            let mut before = before.into_bytes();
            if let Some(content_type) = content_type {
                before.extend_from_slice(b"Content-Type: ");
                before.extend_from_slice(content_type);
                before.extend_from_slice(b"\r\n");
            }
            before.extend_from_slice(b"\r\n");
            pieces.push(Piece { before: before.into(), range: *range });
        }
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let piece_length = |piece: &Piece| piece.range.length.saturating_add(piece.before.len() as u64);
        let length = pieces.iter().map(piece_length).fold(end.len() as u64, u64::saturating_add);
        Parts { pieces, end, length }
    }
}

/// The value of `Content-Range` for this part (RFC 9110 §14.4).
pub(super) fn content_range(range: ByteRange, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.last())
}

/// A boundary that nobody can foresee, and so nobody can place in a file.
pub(super) fn boundary() -> String {
    // Each state has keys of its own, drawn at random for the thread.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &Parts, content: &str) -> String {
        let mut text = String::new();
        for piece in &parts.pieces {
            text.push_str(std::str::from_utf8(&piece.before).unwrap());
            let start = usize::try_from(piece.range.start).unwrap();
            text.push_str(&content[start..][..usize::try_from(piece.range.length).unwrap()]);
        }
        text.push_str(std::str::from_utf8(&parts.end).unwrap());
        text
    }

    #[test]
    fn several_parts_are_delimited_and_counted_to_the_byte() {
        let ranges = [ByteRange { start: 0, length: 2 }, ByteRange { start: 7, length: 3 }];
        let parts = Parts::multipart(&ranges, 10, Some(b"text/plain"), "B");
        let expected = "--B\r\nContent-Range: bytes 0-1/10\r\nContent-Type: text/plain\r\n\r\n01\
             \r\n--B\r\nContent-Range: bytes 7-9/10\r\nContent-Type: text/plain\r\n\r\n789\r\n--B--\r\n";
        assert_eq!(text(&parts, "0123456789"), expected);
        assert_eq!(parts.length, expected.len() as u64);
        let untyped = Parts::multipart(&ranges, 10, None, "B");
        assert!(!text(&untyped, "0123456789").contains("Content-Type"));
    }

    #[test]
    fn a_single_part_is_bare_and_an_empty_one_is_nothing() {
        let parts = Parts::single(ByteRange { start: 3, length: 2 });
        assert_eq!((text(&parts, "0123456789").as_str(), parts.length), ("34", 2));
        assert!(Parts::single(ByteRange { start: 0, length: 0 }).pieces.is_empty());
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        let (one, other) = (boundary(), boundary());
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (32, 32));
    }
}
