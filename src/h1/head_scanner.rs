//! What the heads of requests and of responses have in common: a first line, then a section of field
//! lines, both found while they arrive; and what the fields mean to the codec itself.

use super::field_lines::{FieldLines, HeadLimits, TOO_MANY, members, unseen};
use super::framing::FieldValues;
use crate::error::Refusal;
use crate::message::{Header, Known};

/// Finds the parts of one head after the other.
///
/// Each call gets all unread bytes of the connection: those of the call before, and more after them.
/// Every byte is examined once, however small the pieces are that a head comes in.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// Where the first line starts, after empty lines that are skipped.
    start: usize,
    /// How far the first line was looked at, until its end is found.
    scanned: usize,
    /// Where the field lines start, once the first line is complete.
    fields_at: Option<usize>,
    fields: FieldLines,
}

/// The first line, as far as it is there.
pub(super) enum FirstLine<'a> {
    /// The whole of it, without its line end.
    Whole { line: &'a [u8], has_cr: bool },
    /// A part of it. `new` are its bytes that were not there in the call before, `line` are all that
    /// have come; both are without a CR at their end, which may be half a line end.
    Begun { new: &'a [u8], line: &'a [u8], is_too_long: bool },
}

impl HeadScanner {
    /// With these rules for the ends of field lines.
    pub(super) fn new(fields: FieldLines) -> HeadScanner {
        HeadScanner { fields, ..HeadScanner::default() }
    }

    /// Where the field lines start, once the first line is complete.
    pub(super) fn fields_at(&self) -> Option<usize> {
        self.fields_at
    }

    /// The first line again, once it was found: it ends with CR and LF where the
    /// [field lines](Self::fields_at) start.
    pub(super) fn known_line<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        let end = self.fields_at.unwrap_or_default().saturating_sub(2);
        input.get(self.start..end).unwrap_or_default()
    }

    /// Skips empty lines before the first line, up to `max_bytes` of them.
    pub(super) fn skip_empty_lines(&mut self, input: &[u8], max_bytes: usize) {
        while self.scanned == self.start
            && self.start < max_bytes
            && input.get(self.start..).is_some_and(|rest| rest.starts_with(b"\r\n"))
        {
            self.start += 2;
            self.scanned = self.start;
        }
    }

    /// Looks for the end of the first line. With its line end it may have `max_line_bytes`, and never
    /// more than the limit on the whole head.
    pub(super) fn find_first_line<'a>(
        &mut self,
        input: &'a [u8],
        max_line_bytes: usize,
        limits: &HeadLimits,
    ) -> FirstLine<'a> {
        let longest = limits.max_bytes.min(self.start.saturating_add(max_line_bytes));
        let window = input.get(..longest).unwrap_or(input);
        let fresh = unseen(window, self.scanned);
        let end = memchr::memchr(b'\n', fresh);
        let fresh = fresh.get(..end.unwrap_or(fresh.len())).unwrap_or_default();
        let text = fresh.strip_suffix(b"\r").unwrap_or(fresh);
        let text_end = self.scanned + text.len();
        match end {
            Some(end) => {
                self.fields_at = Some(self.scanned + end + 1);
                let line = window.get(self.start..text_end).unwrap_or_default();
                FirstLine::Whole { line, has_cr: text.len() != fresh.len() }
            }
            None => {
                self.scanned = text_end;
                FirstLine::Begun {
                    new: text,
                    line: window.get(self.start..text_end).unwrap_or_default(),
                    is_too_long: input.len() >= longest,
                }
            }
        }
    }

    /// The field lines with the empty line that ends them, once that is there.
    pub(super) fn find_fields<'a>(
        &mut self,
        input: &'a [u8],
        limits: &HeadLimits,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        let fields_at = self.fields_at.unwrap_or_default();
        let section = input.get(fields_at..).unwrap_or_default();
        let max_bytes = limits.max_bytes.saturating_sub(fields_at);
        let end = self.fields.find_end(section, HeadLimits { max_bytes, ..*limits })?;
        Ok(end.map(|len| section.get(..len).unwrap_or_default()))
    }

    /// See [`FieldLines::unfold`].
    pub(super) fn unfold(&mut self, section: &[u8]) -> Option<Vec<u8>> {
        self.fields.unfold(section)
    }

    /// Fills the header from the section that was found, except for the fields that `hides` names, and
    /// returns what all of them mean to the codec.
    pub(super) fn read_fields<'a>(
        &self,
        section: &'a [u8],
        limits: &HeadLimits,
        header: &mut Header,
        hides: impl Fn(Known) -> bool,
    ) -> Result<FieldFacts<'a>, Refusal> {
        let count = self.fields.line_count();
        let mut facts = FieldFacts { value_count: count, ..FieldFacts::default() };
        header.load(section, count);
        for line in self.fields.lines(section) {
            let line = line?;
            let known = Known::of_token(line.name);
            facts.note(known, line.value);
            if !hides(known) {
                line.push_to(header, known);
            }
        }
        if facts.value_count > limits.max_values {
            return Err(TOO_MANY);
        }
        // Go's rule: caches of HTTP/1.0 know no Cache-Control.
        if facts.pragma == Some(b"no-cache") && !facts.has_cache_control {
            header.add("Cache-Control", "no-cache");
        }
        Ok(facts)
    }

    /// Makes it ready for another head, whether this one was complete or not.
    pub(super) fn reset(&mut self) {
        self.start = 0;
        self.scanned = 0;
        self.fields_at = None;
        self.fields.reset();
    }
}

/// What the fields of a head mean to the codec.
#[derive(Default)]
pub(super) struct FieldFacts<'a> {
    value_count: usize,
    pub(super) hosts: FieldValues<'a>,
    pub(super) lengths: FieldValues<'a>,
    pub(super) codings: FieldValues<'a>,
    pragma: Option<&'a [u8]>,
    has_cache_control: bool,
    /// `Connection` has the option `close`.
    pub(super) close: bool,
    /// `Connection` has the option `keep-alive`.
    pub(super) keep_alive: bool,
    /// `Connection` has the option `upgrade`.
    pub(super) upgrade: bool,
    /// `Expect` asks for `100-continue`.
    pub(super) expects_continue: bool,
    /// `Expect` asks for something else.
    pub(super) expects_else: bool,
}

impl<'a> FieldFacts<'a> {
    fn note(&mut self, known: Known, value: &'a [u8]) {
        match known {
            Known::Host => self.hosts.add(value),
            Known::ContentLength => self.lengths.add(value),
            Known::TransferEncoding => self.codings.add(value),
            Known::Connection => members(value).for_each(|option| {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }),
            Known::Expect => members(value).for_each(|expectation| {
                let is_continue = expectation.eq_ignore_ascii_case(b"100-continue");
                self.expects_continue |= is_continue;
                self.expects_else |= !is_continue;
            }),
            // Each name becomes an entry of its own where trailers are read, so it counts as one value.
            Known::Trailer => self.value_count += memchr::memchr_iter(b',', value).count(),
            Known::Pragma => _ = self.pragma.get_or_insert(value),
            Known::CacheControl => self.has_cache_control = true,
            Known::ContentEncoding
            | Known::ContentType
            | Known::Date
            | Known::KeepAlive
            | Known::Other
            | Known::NotAToken => {}
        }
    }
}
