//! The head of a response: found while it arrives, then read in one go.

use http::{StatusCode, Version};

use super::field_lines::{FieldLines, HeadLimits, TOO_MANY, members, unseen};
use super::framing::{Framing, Values};
use super::response_framing::{AskedBy, ResponseFacts, response_framing, speaks_of_content};
use super::status_line::{START, StatusLine};
use crate::error::Refusal;
use crate::message::{Known, Response, has_control};

/// Reads the heads of one connection, one after the other: informational ones as all others.
#[derive(Debug)]
pub(crate) struct ResponseParser {
    /// How far the status line was looked at, until its end is found.
    scanned: usize,
    /// The status line, once it is complete, and where the field lines start.
    line: Option<(StatusLine, usize)>,
    fields: FieldLines,
}

/// What a head says about its message, beside what went into the [`Response`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReceivedHead {
    /// The bytes of the head.
    pub(crate) consumed: usize,
    pub(crate) framing: Framing,
    /// Whether version, `Connection` and framing allow another exchange on this connection
    /// (RFC 9112 §9.3). Of no meaning in an informational head.
    pub(crate) keep_alive: bool,
    pub(crate) switch: Switch,
}

/// Whether the connection speaks something else behind this head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    No,
    /// 101, to a request with an `Upgrade` (RFC 9110 §7.8).
    Upgrade,
    /// 2xx to CONNECT (RFC 9110 §9.3.6).
    Tunnel,
}

/// RFC 9112 §3 asks for 8000 bytes where a request has its target; a reason needs less.
const MAX_STATUS_LINE: usize = 8 * 1024;

impl Default for ResponseParser {
    fn default() -> ResponseParser {
        ResponseParser { scanned: 0, line: None, fields: FieldLines::lenient() }
    }
}

impl ResponseParser {
    /// Looks at all unread bytes of the connection: the same each time, with more behind them.
    /// New bytes are looked at once.
    ///
    /// Once the head is complete, status, version, fields and length of `response` are filled and
    /// the parser is ready for the next one. `Transfer-Encoding` is told by the framing and is not
    /// among the fields.
    ///
    /// # Errors
    /// What cannot become a response, as soon as that is certain. The status is 502: it is for who
    /// asked on behalf of another.
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        asked: AskedBy,
        response: &mut Response,
    ) -> Result<Option<ReceivedHead>, Refusal> {
        let parsed = self.parse_head(input, limits, asked, response);
        parsed.map_err(|refusal| Refusal::with(StatusCode::BAD_GATEWAY, refusal.reason))
    }

    /// Whether any byte of a head was seen since the last complete one: no empty lines stand
    /// before a status line.
    pub(crate) fn has_begun(&self, input: &[u8]) -> bool {
        !input.is_empty()
    }

    /// Forgets a head that was begun.
    pub(crate) fn reset(&mut self) {
        self.scanned = 0;
        self.line = None;
        self.fields.reset();
    }

    fn parse_head(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        asked: AskedBy,
        response: &mut Response,
    ) -> Result<Option<ReceivedHead>, Refusal> {
        let Some((line, fields_at)) = self.find_status_line(input, limits)? else { return Ok(None) };
        let section = input.get(fields_at..).unwrap_or_default();
        let max_bytes = limits.max_bytes.saturating_sub(fields_at);
        let Some(len) = self.fields.find_end(section, HeadLimits { max_bytes, ..*limits })? else { return Ok(None) };

        let section = section.get(..len).unwrap_or_default();
        let unfolded = self.fields.unfold(section);
        let section = unfolded.as_deref().unwrap_or(section);
        let mut head = read_head(line, asked, section, &self.fields, limits, response)?;
        head.consumed = fields_at + len;
        self.reset();
        Ok(Some(head))
    }

    /// The status line, once it is there, and where it ends. A peer that speaks something else is
    /// found out by its first bytes.
    fn find_status_line(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<(StatusLine, usize)>, Refusal> {
        if self.line.is_some() {
            return Ok(self.line);
        }
        if input.iter().zip(START).any(|(b, expected)| b != expected) {
            return Err(Refusal::bad("what came does not start as an HTTP/1 response does"));
        }
        let longest = limits.max_bytes.min(MAX_STATUS_LINE);
        let window = input.get(..longest).unwrap_or(input);
        let fresh = unseen(window, self.scanned);
        let end = memchr::memchr(b'\n', fresh);
        let fresh = fresh.get(..end.unwrap_or(fresh.len())).unwrap_or_default();
        let text = fresh.strip_suffix(b"\r").unwrap_or(fresh);
        if has_control(text) {
            return Err(Refusal::bad("a control character in the status line"));
        }
        match end {
            Some(end) => {
                let line = StatusLine::parse(window.get(..self.scanned + text.len()).unwrap_or_default())?;
                self.line = Some((line, self.scanned + end + 1));
                Ok(self.line)
            }
            None if input.len() >= longest => Err(Refusal::bad("the status line is too long")),
            None => {
                self.scanned += text.len();
                Ok(None)
            }
        }
    }
}

/// Fills the response. `consumed` is left to the caller.
fn read_head(
    line: StatusLine,
    asked: AskedBy,
    section: &[u8],
    fields: &FieldLines,
    limits: &HeadLimits,
    response: &mut Response,
) -> Result<ReceivedHead, Refusal> {
    let mut facts = Facts { values: fields.line_count(), ..Facts::default() };
    response.header.load(section);
    for field in fields.fields(section) {
        let field = field?;
        let known = Known::of_token(field.name);
        facts.note(known, field.value);
        if known != Known::TransferEncoding {
            field.push_to(&mut response.header, known);
        }
    }
    if facts.values > limits.max_values {
        return Err(TOO_MANY);
    }
    let StatusLine { version, status } = line;
    let (framing, length) = response_framing(ResponseFacts { asked, version, status }, &facts.lengths, &facts.codings)?;
    let switch = switch(asked, status, response)?;
    response.status = status;
    response.proto = version;
    response.content_length = if switch == Switch::No { length } else { None };
    // Go's rule: HTTP/1.0 caches know no Cache-Control.
    if facts.pragma == Some(b"no-cache") && !facts.cache_control {
        response.header.add("Cache-Control", "no-cache");
    }
    let keep_alive = switch == Switch::No && framing != Framing::UntilClose && facts.keep_alive(line);
    Ok(ReceivedHead { consumed: 0, framing, keep_alive, switch })
}

/// A switch is one only where it was asked for: else whoever answers would choose what the bytes
/// behind the head are.
fn switch(asked: AskedBy, status: StatusCode, response: &Response) -> Result<Switch, Refusal> {
    match (status, asked) {
        // RFC 9110 §15.2.2: the field says what to.
        (StatusCode::SWITCHING_PROTOCOLS, AskedBy::Upgrade) if response.header.contains("Upgrade") => {
            Ok(Switch::Upgrade)
        }
        (StatusCode::SWITCHING_PROTOCOLS, AskedBy::Upgrade) => Err(Refusal::bad("101 without an Upgrade field")),
        (StatusCode::SWITCHING_PROTOCOLS, _) => Err(Refusal::bad("101 to a request without an Upgrade field")),
        (status, AskedBy::Connect) if status.is_success() => Ok(Switch::Tunnel),
        _ => Ok(Switch::No),
    }
}

/// What the fields of a head say to the codec itself.
#[derive(Default)]
struct Facts<'a> {
    values: usize,
    lengths: Values<'a>,
    codings: Values<'a>,
    pragma: Option<&'a [u8]>,
    cache_control: bool,
    close: bool,
    keep_alive: bool,
}

impl<'a> Facts<'a> {
    fn note(&mut self, known: Known, value: &'a [u8]) {
        match known {
            Known::ContentLength => self.lengths.add(value),
            Known::TransferEncoding => self.codings.add(value),
            Known::Connection => members(value).for_each(|option| {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }),
            // Each name becomes an entry of its own for whoever reads trailers.
            Known::Trailer => self.values += memchr::memchr_iter(b',', value).count(),
            Known::Pragma => _ = self.pragma.get_or_insert(value),
            Known::CacheControl => self.cache_control = true,
            _ => {}
        }
    }

    /// RFC 9112 §9.3. Content may follow a 204 that speaks of some: nothing else is asked behind it.
    fn keep_alive(&self, line: StatusLine) -> bool {
        let is_kept = !self.close && (line.version == Version::HTTP_11 || self.keep_alive);
        is_kept && !(line.status == StatusCode::NO_CONTENT && speaks_of_content(&self.lengths, &self.codings))
    }
}
