//! Chunked content (RFC 9112 §7.1), read while it arrives.

use super::field_lines::{FieldLines, HeadLimits, may_be_trailer};
use crate::error::Refusal;
use crate::message::{Header, Known};

/// Reads one chunked content. Framing bytes are taken one by one and never looked at again.
#[derive(Debug)]
pub(crate) struct ChunkedReader {
    state: ChunkedState,
    /// The size of the chunk, then what of it is still to come.
    left: u64,
    /// Bytes of the present size line, and how many of them were digits.
    line_len: usize,
    digits: usize,
    /// Framing bytes in excess of what the content allows.
    excess: u64,
    /// The trailer section as far as it came, when it did not come at once.
    trailer: Vec<u8>,
    trailer_lines: FieldLines,
    trailer_limits: HeadLimits,
}

/// What the unread bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// No content. Drop `consumed` bytes and come again with more.
    NeedMore { consumed: usize },
    /// Drop `skip` bytes of framing; `len` bytes of content follow, more than none. They count
    /// as taken.
    Data { skip: usize, len: usize },
    /// The content is over; the next message starts after `consumed` bytes. A trailer has
    /// fields that may be one, and is left out where it has none.
    End { consumed: usize, trailer: Option<Header> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkedState {
    Size,
    /// Blanks after the size, which old senders pad with.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
}

/// A size line with its line end.
const MAX_SIZE_LINE_BYTES: usize = 4096;
const MAX_SIZE_DIGIT_COUNT: usize = 16;

/// The framing bytes of a chunk that do not count: an ordinary size line.
const FREE_FRAMING_BYTES: u64 = 16;
/// How much framing beyond that, and beyond twice the content, a message may have in all.
/// One-byte chunks are within it; extensions that carry more than the content are not (Go's rule).
const MAX_EXCESS_BYTES: u64 = 16 * 1024;

const BAD_SIZE: Refusal = Refusal::bad("the chunk size is malformed");
const TOO_BIG: Refusal = Refusal::bad("the chunk size is too large");
const BAD_SIZE_LINE: Refusal = Refusal::bad("the line of a chunk size is malformed");
const BAD_DATA_END: Refusal = Refusal::bad("no line end behind the data of a chunk");
const MUCH_FRAMING: Refusal = Refusal::bad("chunks with more framing than content");

impl ChunkedReader {
    /// The limits are those of the trailer section, its empty line included.
    pub(crate) fn new(max_trailer_bytes: usize, max_trailer_values: usize) -> ChunkedReader {
        ChunkedReader {
            state: ChunkedState::Size,
            left: 0,
            line_len: 0,
            digits: 0,
            excess: 0,
            trailer: Vec::new(),
            trailer_lines: FieldLines::default(),
            // The empty line is not a trailer.
            trailer_limits: HeadLimits { max_bytes: max_trailer_bytes.max(2), max_values: max_trailer_values },
        }
    }

    /// Looks at the unread bytes; what it reports as consumed is not shown to it again.
    /// Not to be called again after the end or a refusal.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Chunked, Refusal> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match (self.state, rest) {
                (ChunkedState::Trailer, rest) => return self.read_trailer(rest, at),
                (_, []) => return Ok(Chunked::NeedMore { consumed: at }),
                (ChunkedState::Data, rest) => {
                    let len = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                    self.took(len as u64);
                    return Ok(Chunked::Data { skip: at, len });
                }
                (_, [byte, ..]) => self.step(*byte)?,
            }
            at += 1;
        }
    }

    /// Content bytes of the present chunk still to come: the caller may read that many straight
    /// from the socket and report them with [`took`](Self::took).
    pub(crate) fn chunk_left(&self) -> u64 {
        if self.state == ChunkedState::Data { self.left } else { 0 }
    }

    /// Content bytes of the present chunk that the caller took by itself.
    pub(crate) fn took(&mut self, len: u64) {
        self.left = self.left.saturating_sub(len);
        if self.state == ChunkedState::Data && self.left == 0 {
            self.state = ChunkedState::DataCr;
        }
    }

    /// One byte of framing. Line ends are CR and LF, everywhere: a lone LF within an extension
    /// ends the line for one reader and not for another, and hides a request between the two.
    fn step(&mut self, byte: u8) -> Result<(), Refusal> {
        self.state = match (self.state, byte) {
            (ChunkedState::DataCr, b'\r') => ChunkedState::DataLf,
            (ChunkedState::DataLf, b'\n') => ChunkedState::Size,
            (ChunkedState::DataCr | ChunkedState::DataLf, _) => return Err(BAD_DATA_END),
            (state, byte) => {
                self.line_len += 1;
                if self.line_len > MAX_SIZE_LINE_BYTES {
                    return Err(Refusal::bad("the line of a chunk size is too long"));
                }
                self.step_in_size_line(state, byte)?
            }
        };
        Ok(())
    }

    /// `chunk-size [ chunk-ext ] CRLF`. What extensions say is ignored (RFC 9112 §7.1.1).
    fn step_in_size_line(&mut self, state: ChunkedState, byte: u8) -> Result<ChunkedState, Refusal> {
        match (state, byte) {
            (ChunkedState::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.add_digit(byte),
            (ChunkedState::Size, _) if self.digits == 0 => Err(BAD_SIZE),
            (ChunkedState::Size | ChunkedState::Blank, b' ' | b'\t') => Ok(ChunkedState::Blank),
            (ChunkedState::Size | ChunkedState::Blank, b';')
            | (ChunkedState::Extension, b'\t' | b' '..=b'~' | 0x80..) => Ok(ChunkedState::Extension),
            (ChunkedState::Size | ChunkedState::Blank | ChunkedState::Extension, b'\r') => Ok(ChunkedState::SizeLf),
            (ChunkedState::Size | ChunkedState::Blank, _) => Err(BAD_SIZE),
            (ChunkedState::SizeLf, b'\n') => self.end_size_line(),
            _ => Err(BAD_SIZE_LINE),
        }
    }

    fn add_digit(&mut self, byte: u8) -> Result<ChunkedState, Refusal> {
        let digit = char::from(byte).to_digit(16).ok_or(BAD_SIZE)?;
        self.digits += 1;
        // Sixteen digits fill 64 bits: none is shifted out before they are counted.
        self.left = self.left << 4 | u64::from(digit);
        if self.digits > MAX_SIZE_DIGIT_COUNT || i64::try_from(self.left).is_err() {
            return Err(TOO_BIG);
        }
        Ok(ChunkedState::Size)
    }

    fn end_size_line(&mut self) -> Result<ChunkedState, Refusal> {
        let framing = self.line_len as u64 + 2;
        let paid_for = FREE_FRAMING_BYTES.saturating_add(self.left.saturating_mul(2));
        self.excess = (self.excess + framing).saturating_sub(paid_for);
        if self.excess > MAX_EXCESS_BYTES {
            return Err(MUCH_FRAMING);
        }
        self.line_len = 0;
        self.digits = 0;
        Ok(if self.left == 0 { ChunkedState::Trailer } else { ChunkedState::Data })
    }

    /// A section is kept until it is whole, so that the caller need not have room for it.
    fn read_trailer(&mut self, rest: &[u8], skipped: usize) -> Result<Chunked, Refusal> {
        if self.trailer.is_empty() && rest.starts_with(b"\r\n") {
            return Ok(Chunked::End { consumed: skipped + 2, trailer: None });
        }
        let kept = self.trailer.len();
        let room = self.trailer_limits.max_bytes.saturating_sub(kept);
        let taken = rest.get(..room).unwrap_or(rest);
        self.trailer.extend_from_slice(taken);
        match self.trailer_lines.find_end(&self.trailer, self.trailer_limits)? {
            None => Ok(Chunked::NeedMore { consumed: skipped + taken.len() }),
            Some(len) => {
                self.trailer.truncate(len);
                Ok(Chunked::End { consumed: skipped + len.saturating_sub(kept), trailer: self.allowed_fields()? })
            }
        }
    }

    /// RFC 9110 §6.5.1: fields that had to be known before the content are not merged, and not
    /// shown at all.
    fn allowed_fields(&self) -> Result<Option<Header>, Refusal> {
        let mut trailer = Header::new();
        trailer.load(&self.trailer, self.trailer_lines.line_count());
        for line in self.trailer_lines.lines(&self.trailer) {
            let line = line?;
            if std::str::from_utf8(line.name).is_ok_and(may_be_trailer) {
                line.push_to(&mut trailer, Known::of_token(line.name));
            }
        }
        Ok(if trailer.is_empty() { None } else { Some(trailer) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::field_lines::SCANNED;
    use super::*;

    /// Content, trailer, and bytes consumed; `None` when it is not complete.
    type Whole = Result<Option<(Vec<u8>, Option<Header>, usize)>, Refusal>;

    /// Reads as a connection does: the bytes come in pieces that end at these places.
    fn read_pieces(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Whole {
        let mut reader = ChunkedReader::new(1024, 8);
        let (mut content, mut unread) = (Vec::new(), 0);
        for end in ends.into_iter().chain([bytes.len()]) {
            loop {
                match reader.read(&bytes[unread..end])? {
                    Chunked::NeedMore { consumed } => {
                        unread += consumed;
                        break;
                    }
                    Chunked::Data { skip, len } => {
                        assert!(len > 0);
                        content.extend_from_slice(&bytes[unread + skip..][..len]);
                        unread += skip + len;
                    }
                    Chunked::End { consumed, trailer } => return Ok(Some((content, trailer, unread + consumed))),
                }
            }
        }
        Ok(None)
    }

    /// Reads whole, cut at every byte, and byte by byte, and asserts that all are the same.
    fn read(bytes: impl AsRef<[u8]>) -> Whole {
        let bytes = bytes.as_ref();
        let result = read_pieces(bytes, []);
        for cut in 0..bytes.len() {
            assert_eq!(read_pieces(bytes, [cut]), result, "{:?} cut at {cut}", bytes.escape_ascii().to_string());
        }
        assert_eq!(read_pieces(bytes, 0..bytes.len()), result, "{:?} dripped", bytes.escape_ascii().to_string());
        result
    }

    fn refused(bytes: impl AsRef<[u8]>) -> u16 {
        let bytes = bytes.as_ref();
        match read(bytes) {
            Err(refusal) => refusal.status.as_u16(),
            Ok(other) => panic!("{:?} became {other:?}", bytes.escape_ascii().to_string()),
        }
    }

    #[test]
    fn chunks_are_put_together() {
        for (bytes, content) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n000\r\n\r\n", "hello world"),
            ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            ("0000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            ("5 \t\r\nhello\r\n0 \r\n\r\n", "hello"),
            ("5;\r\nhello\r\n0;x\r\n\r\n", "hello"),
            ("5 ; x = 1\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5;x=\"a\\\"b;c\u{e9}\t\"\r\nhello\r\n0\r\n\r\n", "hello"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ] {
            let expected = Some((content.as_bytes().to_vec(), None, bytes.len()));
            assert_eq!(read(bytes), Ok(expected.clone()), "{bytes:?}");
            assert_eq!(read(format!("{bytes}GET /next")), Ok(expected), "the next request is left alone");
        }
    }

    #[test]
    fn content_that_is_cut_off_is_not_complete() {
        let bytes = b"5;x\r\nhello\r\n0\r\nX: 1\r\n\r\n";
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), Ok(None));
        }
        assert!(read(bytes).unwrap().is_some());
    }

    #[test]
    fn framing_that_two_readers_could_understand_differently_is_refused() {
        for bytes in [
            "\r\n",
            "0x5\r\n",
            "-5\r\n",
            "+5\r\n",
            "5_0\r\n",
            "g\r\n",
            ";x\r\n",
            " 5\r\n",
            "\t5",
            "5 5\r\n",
            "5,\r\n",
            "5\n",
            "5\r\r\n",
            "5\rx",
            "5;a\n",
            "5;a\rb",
            "5;a\0",
            "5;\u{1}",
            "5;\u{7f}",
            "5 \n",
            "\u{ff15}\r\n",
            "5\0",
            "5\r\nhello0\r\n",
            "5\r\nhello\n0",
            "5\r\nhello\r0",
            "5\r\nhelloWORLD\r\n",
            "0\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
        ] {
            assert_eq!(refused(bytes), 400, "{bytes:?}");
        }
    }

    #[test]
    fn a_size_is_at_most_what_a_signed_length_holds() {
        for bytes in ["FFFFFFFFFFFFFFFF\r\n", "8000000000000000", "00000000000000005", "10000000000000000"] {
            assert_eq!(refused(bytes), 400, "{bytes}");
        }
        let mut reader = ChunkedReader::new(1024, 8);
        assert_eq!(reader.read(b"7fffffffffffffff\r\nabc"), Ok(Chunked::Data { skip: 18, len: 3 }));
        assert_eq!(reader.chunk_left(), i64::MAX as u64 - 3);
    }

    #[test]
    fn what_the_caller_takes_by_itself_is_not_expected_again() {
        let mut reader = ChunkedReader::new(1024, 8);
        assert_eq!(reader.chunk_left(), 0);
        assert_eq!(reader.read(b"a\r\n0123"), Ok(Chunked::Data { skip: 3, len: 4 }));
        assert_eq!(reader.chunk_left(), 6);
        reader.took(5);
        assert_eq!(reader.chunk_left(), 1);
        reader.took(1);
        assert_eq!(reader.chunk_left(), 0, "the line end is not content");
        assert_eq!(reader.read(b"\r\n0\r\n\r\n"), Ok(Chunked::End { consumed: 7, trailer: None }));
    }

    #[test]
    fn small_chunks_are_free_and_large_extensions_are_not() {
        let bytes = "1\r\nX\r\n".repeat(20_000) + "0\r\n\r\n";
        assert_eq!(read_pieces(bytes.as_bytes(), []).unwrap().unwrap().0.len(), 20_000);

        let padded = |chunks: usize| format!("1;{}\r\nX\r\n", "e".repeat(1018)).repeat(chunks) + "0\r\n\r\n";
        let status =
            |bytes: String| read_pieces(bytes.as_bytes(), []).map(|_| ()).map_err(|refusal| refusal.status.as_u16());
        assert_eq!((status(padded(16)), status(padded(17))), (Ok(()), Err(400)), "17 chunks are over 16 KiB");

        let line = |extension: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(extension));
        assert_eq!((status(line(4092)), status(line(4093))), (Ok(()), Err(400)), "4096 bytes and one more");
        assert_eq!(status(format!("5{}", " ".repeat(5000))), Err(400), "refused without the line's end");
    }

    #[test]
    fn a_trailer_has_the_fields_that_may_be_one() {
        for (section, expected) in [
            ("X-Sum: 5\r\n", &[("X-Sum", "5")][..]),
            ("a:1\r\nB:  2 \r\na: 3\r\n", &[("a", "1"), ("B", "2"), ("a", "3")]),
            ("Content-Length: 50\r\nX: 1\r\nTransfer-Encoding: chunked\r\n", &[("X", "1")]),
            ("Host: x\r\n", &[]),
        ] {
            let bytes = format!("1\r\nX\r\n0\r\n{section}\r\n");
            let (content, trailer, consumed) = read(&bytes).unwrap().unwrap();
            assert_eq!((content.as_slice(), consumed), (&b"X"[..], bytes.len()));
            assert_eq!(trailer, (!expected.is_empty()).then(|| expected.iter().copied().collect()), "{section:?}");
            assert_eq!(read(bytes.clone() + "GET").unwrap().unwrap().2, bytes.len());
        }
    }

    #[test]
    fn a_trailer_is_as_strict_as_a_head_and_as_limited() {
        for section in [
            "X 1\r\n\r\n",
            "X : 1\r\n\r\n",
            ": 1\r\n\r\n",
            " X: 1\r\n\r\n",
            "X: a\0",
            "X: 1\n",
            "X: 1\r\n\n",
            "X: a\rb",
        ] {
            assert_eq!(refused(format!("0\r\n{section}")), 400, "{section:?}");
        }
        assert_eq!(refused(format!("0\r\nX: {}", "v".repeat(1021))), 431, "over 1024 bytes, before its end");
        assert_eq!(refused(format!("0\r\n{}", "X: 1\r\n".repeat(9))), 431, "over 8 values");
        assert!(read(format!("0\r\nX: {}\r\n\r\n", "v".repeat(1024 - 7))).unwrap().is_some());
        assert!(read(format!("0\r\n{}\r\n", "X: 1\r\n".repeat(8))).unwrap().is_some());
    }

    #[test]
    fn a_trailer_that_drips_is_scanned_once() {
        let section = format!("X: {}\r\n\r\n", "v".repeat(60_000));
        let mut reader = ChunkedReader::new(1 << 20, 8);
        assert_eq!(reader.read(b"0\r\n"), Ok(Chunked::NeedMore { consumed: 3 }));
        SCANNED.set(0);
        for byte in section.as_bytes().chunks(1).take(section.len() - 1) {
            assert_eq!(reader.read(byte), Ok(Chunked::NeedMore { consumed: 1 }));
        }
        assert_eq!(SCANNED.get(), section.len() - 1);
        assert!(matches!(reader.read(b"\n"), Ok(Chunked::End { consumed: 1, trailer: Some(_) })));
    }
}
