//! Field lines (RFC 9112 §5): where they end, how one is parsed, and which may follow the content. A
//! head and a trailer section are read by the same rules.

use std::ops::Range;

use http::StatusCode;

use crate::error::Refusal;
use crate::message::{Header, Known, count_controls, is_token, is_token_byte};

/// How much a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes of the whole head, from the request line to the empty line.
    pub(crate) max_bytes: usize,
    /// Field values: one for each line, and one for each name that a `Trailer` field lists.
    pub(crate) max_values: usize,
}

/// The line ends of a section of field lines, found while it arrives: every byte is looked at
/// once, however small the pieces are that it comes in.
#[derive(Debug, Default)]
pub(crate) struct FieldLines {
    /// Where the LF of each line is.
    ends: Vec<u32>,
    scanned: usize,
    /// Control characters among the bytes scanned, other than tabs.
    controls: usize,
    line_ends: LineEnds,
    /// How many of the lines end in a line feed alone.
    bare: usize,
}

/// What ends a line (RFC 9112 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineEnds {
    /// CR and LF, in all that a server reads and within content. A server often stands behind a
    /// proxy, and a line that the two end at different places can hide a second request.
    #[default]
    Crlf,
    /// LF alone too. A client may take it: it forwards nothing to another reader that could see the
    /// lines end elsewhere.
    CrlfOrLf,
}

/// An idle connection keeps room for the ends of this many lines.
const MAX_KEPT_LINE_COUNT: usize = 64;

/// Why a scan stopped.
enum Stop {
    OutOfBytes,
    SectionEnd,
    Refused(Refusal),
}

pub(super) const BARE_LF: Refusal = Refusal::bad("a line feed without a carriage return before it");
const CONTROL: Refusal = Refusal::bad("a control character in a field line");
const TOO_LARGE: Refusal =
    Refusal::with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too large");
pub(super) const TOO_MANY: Refusal =
    Refusal::with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields");

impl FieldLines {
    /// For lines that may end in a line feed alone.
    pub(crate) fn lenient() -> FieldLines {
        FieldLines { line_ends: LineEnds::CrlfOrLf, ..FieldLines::default() }
    }

    /// Looks for the empty line that ends the section. Returns the section's length, with that line.
    ///
    /// Bad line ends, control characters and what is over the limits are refused as soon as they
    /// are seen, and always the first of them: how the bytes were cut changes nothing.
    pub(crate) fn find_end(&mut self, section: &[u8], limits: HeadLimits) -> Result<Option<usize>, Refusal> {
        let window = section.get(..limits.max_bytes.min(u32::MAX as usize)).unwrap_or(section);
        let (seen, stop) = self.find_lines(window, limits.max_values);
        self.check_controls(window, seen, &stop)?;
        self.scanned = seen;
        match stop {
            Stop::SectionEnd => Ok(Some(seen)),
            Stop::Refused(refusal) => Err(refusal),
            Stop::OutOfBytes if section.len() >= limits.max_bytes => Err(TOO_LARGE),
            Stop::OutOfBytes => Ok(None),
        }
    }

    /// The lines of a section whose end was found.
    pub(crate) fn lines<'a>(&self, section: &'a [u8]) -> impl Iterator<Item = Result<FieldLine<'a>, Refusal>> {
        let mut at = 0;
        self.ends.iter().map(move |&end| {
            let end = end as usize;
            let line = section.get(at..end).unwrap_or_default();
            let parsed = FieldLine::parse(line.strip_suffix(b"\r").unwrap_or(line), at);
            at = end + 1;
            parsed
        })
    }

    /// The section with one space in place of each fold (RFC 9112 §5.2), where it has one; the
    /// lines are then those of this text. A line without one before it that it could go on is
    /// left as it is.
    pub(crate) fn unfold(&mut self, section: &[u8]) -> Option<Vec<u8>> {
        let folds = |&end: &u32| section.get(end as usize + 1).is_some_and(|b| is_blank(*b));
        if !self.ends.iter().any(folds) {
            return None;
        }
        let mut text = Vec::with_capacity(section.len());
        let mut at = 0;
        for end in std::mem::take(&mut self.ends) {
            let line = section.get(at..end as usize).unwrap_or_default();
            let mut line = line.strip_suffix(b"\r").unwrap_or(line);
            at = end as usize + 1;
            if line.first().is_some_and(|b| is_blank(*b)) && self.ends.pop().is_some() {
                let kept = trim_end(text.strip_suffix(b"\r\n").unwrap_or(&text)).len();
                text.truncate(kept);
                text.push(b' ');
                line = trim_start(line);
            }
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
            self.ends.push(u32::try_from(text.len() - 1).expect("the text is hardly longer than the section"));
        }
        Some(text)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.ends.len()
    }

    /// Makes it ready for another section.
    pub(crate) fn reset(&mut self) {
        self.ends.clear();
        self.ends.shrink_to(MAX_KEPT_LINE_COUNT);
        self.scanned = 0;
        self.controls = 0;
        self.bare = 0;
    }

    /// Notes the ends of lines. Returns how far the window was scanned, and why not further.
    fn find_lines(&mut self, window: &[u8], max_values: usize) -> (usize, Stop) {
        let mut line_start = self.ends.last().map_or(0, |&end| end as usize + 1);
        for offset in memchr::memchr_iter(b'\n', unseen(window, self.scanned)) {
            let at = self.scanned + offset;
            let has_cr = at.checked_sub(1).and_then(|before| window.get(before)) == Some(&b'\r');
            if has_cr {
                if at - line_start == 1 {
                    return (at + 1, Stop::SectionEnd);
                }
            } else if self.line_ends == LineEnds::Crlf {
                return (at, Stop::Refused(BARE_LF));
            } else if at == line_start {
                self.bare += 1;
                return (at + 1, Stop::SectionEnd);
            }
            if self.ends.len() >= max_values {
                return (at, Stop::Refused(TOO_MANY));
            }
            if !has_cr {
                self.bare += 1;
            }
            self.ends.push(u32::try_from(at).expect("the window is under 4 GiB"));
            line_start = at + 1;
        }
        (window.len(), Stop::OutOfBytes)
    }

    /// Refuses control characters in fields, by counting. Each line end is two of them (CR and LF),
    /// or one where it is a bare LF; a CR at the end of what came may be half a line end. Any more
    /// than that stand where none may be. One count over the whole section costs far less than a
    /// search of each value.
    fn check_controls(&mut self, window: &[u8], seen: usize, stop: &Stop) -> Result<(), Refusal> {
        let fresh = window.get(self.scanned..seen).unwrap_or_default();
        self.controls += count_controls(fresh);
        let at_the_end = match stop {
            Stop::SectionEnd => 2,
            _ => usize::from(window.get(..seen).unwrap_or_default().ends_with(b"\r")),
        };
        if self.controls + self.bare == 2 * self.ends.len() + at_the_end { Ok(()) } else { Err(CONTROL) }
    }
}

/// A field line taken apart.
#[derive(Debug)]
pub(crate) struct FieldLine<'a> {
    /// A token.
    pub(crate) name: &'a [u8],
    /// Without the blanks around it.
    pub(crate) value: &'a [u8],
    name_at: usize,
    value_at: usize,
}

impl<'a> FieldLine<'a> {
    /// Adds it to a header that has this section loaded.
    pub(crate) fn push_to(&self, header: &mut Header, known: Known) {
        header.push_received(known, span(self.name_at, self.name), span(self.value_at, self.value));
    }

    /// Parses a line without its line end, which begins at `at` in its section. The scan has made sure
    /// that it has no control characters.
    fn parse(line: &'a [u8], at: usize) -> Result<FieldLine<'a>, Refusal> {
        let rest = skip_token(line);
        let name = line.get(..line.len() - rest.len()).unwrap_or_default();
        let value = match rest {
            [b':', value @ ..] if !name.is_empty() => trim_start(value),
            _ => return Err(fault(name, rest)),
        };
        let value_at = at + (line.len() - value.len());
        Ok(FieldLine { name, value: trim_end(value), name_at: at, value_at })
    }
}

/// The text after the token at its start. Four bytes are looked up at once, because a third of a head's
/// bytes pass through here.
fn skip_token(mut text: &[u8]) -> &[u8] {
    while let [a, b, c, d, rest @ ..] = text {
        if !(is_token_byte(*a) & is_token_byte(*b) & is_token_byte(*c) & is_token_byte(*d)) {
            break;
        }
        text = rest;
    }
    while let [b, rest @ ..] = text {
        if !is_token_byte(*b) {
            break;
        }
        text = rest;
    }
    text
}

/// The refusal of a line without a colon after a token.
fn fault(name: &[u8], rest: &[u8]) -> Refusal {
    match (name, rest) {
        // RFC 9112 §5.2: folding may be refused, and §2.2: so must be blanks before the first field.
        ([], [b' ' | b'\t', ..]) => Refusal::bad("a field line that starts with a blank"),
        // RFC 9112 §5.1: another recipient might drop the blank and see another field.
        (_, [b' ' | b'\t', ..]) => Refusal::bad("a blank between field name and colon"),
        (_, []) => Refusal::bad("a field line without a colon"),
        _ => Refusal::bad("a field name that is no token"),
    }
}

/// The members of a comma-separated list; empty ones are none (RFC 9110 §5.6.1).
pub(super) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

fn span(at: usize, text: &[u8]) -> Range<usize> {
    at..at + text.len()
}

fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a field of this name may follow the content (RFC 9110 §6.5.1): not one that frames,
/// routes, authenticates or describes the message, for those were needed before it (Go's
/// `ValidTrailerHeader`, and `Cookie`, `Set-Cookie`, `Upgrade` and all of `Proxy-`).
pub(crate) fn may_be_trailer(name: &str) -> bool {
    let name = name.as_bytes();
    let starts_with =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    is_token(name)
        && !starts_with("If-")
        && !starts_with("Proxy-")
        && !NEVER_A_TRAILER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
}

const NEVER_A_TRAILER: [&str; 21] = [
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "Keep-Alive",
    "Max-Forwards",
    "Pragma",
    "Range",
    "Realm",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "WWW-Authenticate",
];

/// The bytes that were not scanned before.
pub(super) fn unseen(window: &[u8], scanned: usize) -> &[u8] {
    let fresh = window.get(scanned..).unwrap_or_default();
    #[cfg(test)]
    SCANNED.with(|total| total.set(total.get() + fresh.len()));
    fresh
}

#[cfg(test)]
thread_local! {
    /// How many bytes were scanned on this thread, for tests of linearity.
    pub(super) static SCANNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_routes_or_authenticates_is_no_trailer() {
        for never in NEVER_A_TRAILER {
            assert!(!may_be_trailer(never), "{never}");
            assert!(!may_be_trailer(&never.to_ascii_lowercase()), "{never}");
        }
        for never in ["If-Match", "if-none-match", "Proxy-Authorization", "proxy-connection", "", "no token", "a:b"] {
            assert!(!may_be_trailer(never), "{never}");
        }
        for allowed in ["X-Sum", "Digest", "ETag", "Server-Timing", "I", "Proxy", "grpc-status"] {
            assert!(may_be_trailer(allowed), "{allowed}");
        }
    }
}
