//! The parser of multipart content: takes bytes as they arrive, and returns heads, content and the end.

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use memchr::memmem;

use super::boundary::{Boundary, Input, ScanResult};
use super::head::PartHead;
use crate::error::{Error, ErrorKind, Phase, Result};

/// How much multipart content may have, beside its content. What is over a limit fails with
/// [`ErrorKind::BodyTooLarge`], whose response is 413.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultipartLimits {
    /// Parts. Default 1,000; 0 allows none.
    pub max_parts: usize,
    /// Field lines in the heads of all parts together. Default 10,000; 0 allows none.
    pub max_header_lines: usize,
    /// Bytes in the head of one part. Default 10 MiB, at most 1 GiB; 0 allows empty heads only.
    pub max_head_bytes: usize,
}

impl Default for MultipartLimits {
    fn default() -> MultipartLimits {
        MultipartLimits { max_parts: 1_000, max_header_lines: 10_000, max_head_bytes: 10 << 20 }
    }
}

#[derive(Debug)]
pub(super) struct Parser {
    boundary: Boundary,
    /// Bytes that are not parsed yet. They begin with the CRLF of the line before: a delimiter may
    /// begin with the line end of the head that it stands after (RFC 2046 §5.1.1), and with nothing at
    /// all at the start of the content.
    buffer: BytesMut,
    input: Input,
    state: ParserState,
    parts: usize,
    header_lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    /// Before the first delimiter: the preamble, which means nothing.
    Preamble,
    /// In a part's head, which was searched that far for its end.
    Head {
        scanned: usize,
    },
    /// At the CRLF that ends a head.
    ContentStart,
    Content,
    /// After the last delimiter: the epilogue, which means nothing.
    Epilogue,
}

/// What comes next in the content.
#[derive(Debug)]
pub(super) enum MultipartEvent {
    /// Nothing until more of it arrives.
    NeedMore,
    Part(PartHead),
    /// Of the part's content; never empty.
    Data(Bytes),
    PartEnd,
    /// No part follows.
    Over,
}

/// No setting allows more: a header is of less than 4 GiB.
const MAX_HEAD_BYTES: usize = 1 << 30;

const LINE_END_BYTES: usize = b"\r\n".len();

impl Parser {
    pub(super) fn new(boundary: Boundary) -> Parser {
        Parser {
            boundary,
            buffer: BytesMut::from(&b"\r\n"[..]),
            input: Input::Open,
            state: ParserState::Preamble,
            parts: 0,
            header_lines: 0,
        }
    }

    /// Takes the next piece of the content.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the end of the content.
    pub(super) fn end(&mut self) {
        self.input = Input::Ended;
    }

    /// Whether a part's content is not at its end.
    pub(super) fn is_in_content(&self) -> bool {
        matches!(self.state, ParserState::ContentStart | ParserState::Content)
    }

    pub(super) fn next(&mut self, limits: &MultipartLimits) -> Result<MultipartEvent> {
        if self.state == ParserState::Preamble {
            self.skip_preamble()?;
        }
        match self.state {
            ParserState::Preamble => self.need_more(),
            ParserState::Head { scanned } => self.head(scanned, limits),
            ParserState::ContentStart | ParserState::Content => self.content(),
            ParserState::Epilogue => {
                self.buffer = BytesMut::new();
                Ok(MultipartEvent::Over)
            }
        }
    }

    fn skip_preamble(&mut self) -> Result<()> {
        match self.boundary.find(&self.buffer, self.input)? {
            ScanResult::Content(len) => self.buffer.advance(len),
            found => self.pass(&found),
        }
        Ok(())
    }

    fn head(&mut self, scanned: usize, limits: &MultipartLimits) -> Result<MultipartEvent> {
        let unseen = self.buffer.get(scanned..).unwrap_or_default();
        let max_bytes = limits.max_head_bytes.min(MAX_HEAD_BYTES);
        let end = memmem::find(unseen, b"\r\n\r\n");
        #[cfg(test)]
        super::tests::count_scanned(end.unwrap_or(unseen.len()));
        let Some(at) = end.map(|end| scanned + end) else {
            // Three bytes of the empty line may be there already.
            self.state = ParserState::Head { scanned: self.buffer.len().saturating_sub(3) };
            if self.buffer.len() > max_bytes + 2 * LINE_END_BYTES {
                return Err(too_large("the head of a part is too large"));
            }
            return self.need_more();
        };
        if at > max_bytes {
            return Err(too_large("the head of a part is too large"));
        }
        self.parts = self.parts.saturating_add(1);
        if self.parts > limits.max_parts {
            return Err(too_large("too many parts"));
        }
        let head = self.buffer.get(LINE_END_BYTES..at + LINE_END_BYTES).unwrap_or_default();
        // Before anything is kept: a field costs more than its bytes.
        self.header_lines = self.header_lines.saturating_add(memchr::memchr_iter(b'\n', head).count());
        if self.header_lines > limits.max_header_lines {
            return Err(too_large("too many header lines in all parts"));
        }
        let head = PartHead::parse(head)?;
        self.buffer.advance(at + LINE_END_BYTES);
        self.state = ParserState::ContentStart;
        Ok(MultipartEvent::Part(head))
    }

    fn content(&mut self) -> Result<MultipartEvent> {
        let found = self.boundary.find(&self.buffer, self.input)?;
        let (ScanResult::Content(end) | ScanResult::Next { at: end, .. } | ScanResult::Last { at: end }) = found;
        // The line end of the head is not of the content.
        let start = if self.state == ParserState::ContentStart { LINE_END_BYTES } else { 0 };
        if end > start {
            self.buffer.advance(start);
            self.state = ParserState::Content;
            return Ok(MultipartEvent::Data(self.buffer.split_to(end - start).freeze()));
        }
        if let ScanResult::Content(_) = found {
            return self.need_more();
        }
        self.pass(&found);
        Ok(MultipartEvent::PartEnd)
    }

    /// Moves past a delimiter.
    fn pass(&mut self, delimiter: &ScanResult) {
        match delimiter {
            ScanResult::Next { line_end, .. } => {
                self.buffer.advance(*line_end);
                self.state = ParserState::Head { scanned: 0 };
            }
            ScanResult::Last { .. } => self.state = ParserState::Epilogue,
            ScanResult::Content(_) => {}
        }
    }

    fn need_more(&self) -> Result<MultipartEvent> {
        match (self.input, self.state) {
            (Input::Open, _) => Ok(MultipartEvent::NeedMore),
            (Input::Ended, ParserState::Preamble) => Err(cut_off("the content has no multipart boundary")),
            (Input::Ended, _) => Err(cut_off("the content ends before its last multipart boundary")),
        }
    }
}

fn too_large(message: &'static str) -> Error {
    Error::new(ErrorKind::BodyTooLarge, message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

fn cut_off(message: &'static str) -> Error {
    Error::new(ErrorKind::CutOff, message).during(Phase::Body).with_status(StatusCode::BAD_REQUEST)
}
