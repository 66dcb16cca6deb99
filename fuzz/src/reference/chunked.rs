//! Chunked content (RFC 9112 §7.1).

use nethttp::fuzzing::FuzzLimits;

use super::Read;
use super::fields::{self, Fields, LineEnd};

/// Content that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub content: Vec<u8>,
    /// All fields after the content, those that may not stand there included.
    pub trailer: Fields,
    pub consumed: usize,
}

/// The content as far as it came, and whether it came to its end.
pub fn content(input: &[u8], limits: FuzzLimits) -> (Vec<u8>, Read<Whole>) {
    let (mut content, mut rest, mut excess) = (Vec::new(), input, 0_i128);
    let end = loop {
        let (size, line, after) = match size_line(rest) {
            Read::Partial => break Read::Partial,
            Read::Refused => break Read::Refused,
            Read::Whole(line) => line,
        };
        // Framing that outweighs the content by far is an attack (Go's rule).
        let (line, paid_for) = (i128::try_from(line).unwrap_or(i128::MAX), 16 + 2 * i128::from(size));
        excess = (excess + line + 2 - paid_for).max(0);
        if excess > 16 * 1024 {
            break Read::Refused;
        }
        if size == 0 {
            break trailer(after, limits).map_consumed(&content, input.len() - after.len());
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (data, after) = after.split_at(size.min(after.len()));
        content.extend_from_slice(data);
        rest = match after {
            [b'\r', b'\n', next @ ..] => next,
            [] | [b'\r'] => break Read::Partial,
            _ => break Read::Refused,
        };
    };
    (content, end)
}

/// The size, how many bytes its line has with its end, and what follows.
fn size_line(text: &[u8]) -> Read<(u64, usize, &[u8])> {
    let (line, rest) = match fields::line(text, LineEnd::Crlf) {
        Read::Partial => return Read::Partial,
        Read::Refused => return Read::Refused,
        Read::Whole(whole) => whole,
    };
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, behind) = line.split_at(digits);
    let size = std::str::from_utf8(size).ok().and_then(|size| i64::from_str_radix(size, 16).ok());
    let extension = fields::without_blanks(behind);
    let is_extension = extension.is_empty() || extension[0] == b';';
    let len = text.len() - rest.len();
    match size.and_then(|size| u64::try_from(size).ok()) {
        Some(size) if digits <= 16 && len <= 4096 && is_extension && !fields::has_control(behind) => {
            Read::Whole((size, len, rest))
        }
        _ => Read::Refused,
    }
}

fn trailer(text: &[u8], limits: FuzzLimits) -> Read<(Fields, usize)> {
    let (lines, consumed) = match fields::lines(text, LineEnd::Crlf) {
        Read::Partial => return Read::Partial,
        Read::Refused => return Read::Refused,
        Read::Whole((lines, rest)) => (lines, text.len() - rest.len()),
    };
    // The empty line is not a trailer.
    let is_within = lines.is_empty() || (consumed <= limits.max_bytes && lines.len() <= limits.max_values);
    match fields::fields(&lines) {
        Some(fields) if is_within => Read::Whole((fields, consumed)),
        _ => Read::Refused,
    }
}

impl Read<(Fields, usize)> {
    fn map_consumed(self, content: &[u8], before: usize) -> Read<Whole> {
        match self {
            Read::Partial => Read::Partial,
            Read::Refused => Read::Refused,
            Read::Whole((trailer, consumed)) => {
                Read::Whole(Whole { content: content.to_vec(), trailer, consumed: before + consumed })
            }
        }
    }
}
