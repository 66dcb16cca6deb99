//! Where a delimiter stands in multipart content, and where one may begin.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use memchr::memmem::Finder;

use crate::error::Result;
use crate::message::form::malformed;

/// The line between two parts, made ready to be searched for.
///
/// A delimiter is a whole line: CRLF, two hyphens, the boundary, blanks, and the next CRLF. After
/// the last one two more hyphens stand before the blanks, and the content may end instead of the
/// line. A line that goes on otherwise is content, as in Go: the boundary of a multipart message
/// inside a part may begin with that of the outer one.
#[derive(Debug)]
pub(in crate::message) struct Boundary {
    /// CRLF, two hyphens, the boundary.
    finder: Finder<'static>,
}

/// Whether more bytes may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Open,
    Ended,
}

/// What comes next in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanResult {
    /// This many bytes are content, whatever follows them.
    Content(usize),
    /// A part follows. Its delimiter begins at `at`; the CRLF that ends it begins at `line_end`.
    Next { at: usize, line_end: usize },
    /// No part follows.
    Last { at: usize },
}

pub(in crate::message) const BAD_BOUNDARY: &str =
    "a multipart boundary that is empty, over 70 bytes, or of other than the bytes allowed";

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;

/// Blanks after a boundary: mail gateways of old added some. Their number is bounded, because
/// they are looked at again with every piece of content while the line is not whole.
const MAX_PADDING_BYTES: usize = 64;

impl Boundary {
    /// `None` where RFC 2046 §5.1.1 does not allow it.
    pub(in crate::message) fn new(text: &[u8]) -> Option<Boundary> {
        let allowed = |&b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        if text.is_empty() || text.len() > MAX_BOUNDARY_BYTES || text.ends_with(b" ") || !text.iter().all(allowed) {
            return None;
        }
        let line = [b"\r\n--", text].concat();
        Some(Boundary { finder: Finder::new(&line).into_owned() })
    }

    /// Looks for the first delimiter.
    pub(super) fn find(&self, bytes: &[u8], input: Input) -> Result<ScanResult> {
        let found = self.first_delimiter(bytes, input)?;
        #[cfg(test)]
        super::tests::count_scanned(match found {
            ScanResult::Next { line_end: end, .. } | ScanResult::Last { at: end } => end,
            ScanResult::Content(_) => bytes.len(),
        });
        Ok(found)
    }

    fn first_delimiter(&self, bytes: &[u8], input: Input) -> Result<ScanResult> {
        for at in self.finder.find_iter(bytes) {
            let line_at = at + self.finder.needle().len();
            match rest_of_line(bytes.get(line_at..).unwrap_or_default(), input)? {
                DelimiterLine::Next { padding } => return Ok(ScanResult::Next { at, line_end: line_at + padding }),
                DelimiterLine::Last => return Ok(ScanResult::Last { at }),
                DelimiterLine::Undecided => return Ok(ScanResult::Content(at)),
                DelimiterLine::Content => {}
            }
        }
        Ok(ScanResult::Content(match input {
            Input::Open => bytes.len() - self.begun(bytes),
            Input::Ended => bytes.len(),
        }))
    }

    /// How many of the last bytes may be the beginning of a delimiter: from the last CR on, as
    /// there is none in a boundary.
    fn begun(&self, bytes: &[u8]) -> usize {
        let near = bytes.len().saturating_sub(self.finder.needle().len() - 1);
        let tail = bytes.get(near..).unwrap_or_default();
        let begun = memchr::memrchr(b'\r', tail).and_then(|at| tail.get(at..)).unwrap_or_default();
        if self.finder.needle().starts_with(begun) { begun.len() } else { 0 }
    }
}

/// A boundary that cannot be predicted, so that no content can be made to contain it.
pub(crate) fn random_boundary() -> String {
    format!("{:016x}{:016x}", random_number(), random_number())
}

/// The standard library has no other source of random numbers: each `RandomState` has random keys.
pub(crate) fn random_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What a line is that begins like a delimiter.
enum DelimiterLine {
    Next { padding: usize },
    Last,
    Content,
    Undecided,
}

fn rest_of_line(rest: &[u8], input: Input) -> Result<DelimiterLine> {
    let (last, rest) = match rest {
        [b'-', b'-', rest @ ..] => (true, rest),
        [b'-'] if input == Input::Open => return Ok(DelimiterLine::Undecided),
        _ => (false, rest),
    };
    let padding = rest.iter().take_while(|&&b| b == b' ' || b == b'\t').count();
    if padding > MAX_PADDING_BYTES {
        return Err(malformed("too many blanks behind a multipart boundary"));
    }
    Ok(match (rest.get(padding..).unwrap_or_default(), input) {
        ([b'\r', b'\n', ..], _) | ([], Input::Ended) if last => DelimiterLine::Last,
        ([b'\r', b'\n', ..], _) => DelimiterLine::Next { padding },
        ([] | [b'\r'], Input::Open) => DelimiterLine::Undecided,
        _ => DelimiterLine::Content,
    })
}
