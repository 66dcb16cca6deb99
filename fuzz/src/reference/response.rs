//! The head of a response (RFC 9112 §4), as a client reads it that takes line feeds alone and
//! folded lines.

use nethttp::fuzzing::{FuzzContent, FuzzLimits, FuzzRequestKind};

use super::Read;
use super::fields::{self, Fields, LineEnd, without_blanks};
use super::framing;

/// A head that the client may act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub consumed: usize,
    pub http11: bool,
    pub status: u16,
    pub fields: Fields,
    pub content: FuzzContent,
    pub keep_alive: bool,
    /// Whether the connection speaks something else after it.
    pub switches: bool,
}

/// With its end a status line is no longer, whatever a head may be.
const MAX_STATUS_LINE_BYTES: usize = 8 * 1024;

pub fn head(input: &[u8], limits: FuzzLimits, asked: FuzzRequestKind) -> Read<Head> {
    let (lines, consumed) = match fields::lines(input, LineEnd::CrlfOrLf) {
        Read::Partial => return Read::Partial,
        Read::Refused => return Read::Refused,
        Read::Whole((lines, rest)) => (lines, input.len() - rest.len()),
    };
    let line_ends_in_time = input.iter().take(MAX_STATUS_LINE_BYTES).any(|b| *b == b'\n');
    let is_within =
        line_ends_in_time && consumed <= limits.max_bytes && lines.len() <= limits.max_values.saturating_add(1);
    match of_lines(&lines, asked).filter(|head| is_within && fields::count(&head.fields) <= limits.max_values) {
        Some(head) => Read::Whole(Head { consumed, ..head }),
        None => Read::Refused,
    }
}

fn of_lines(lines: &[&[u8]], asked: FuzzRequestKind) -> Option<Head> {
    let (line, lines) = lines.split_first()?;
    let (http11, status) = status_line(line)?;
    let fields = fields::fields(&unfolded(lines))?;
    let content = framing::of_response(asked, http11, status, &fields)?;
    let is_tunnel = asked == FuzzRequestKind::Connect && (200..300).contains(&status);
    let switches = match status {
        // RFC 9110 §7.8: only to what was asked for.
        101 => {
            let is_upgrade = asked == FuzzRequestKind::Upgrade && !fields::values(&fields, "Upgrade").is_empty();
            is_upgrade.then_some(true)?
        }
        _ => is_tunnel,
    };
    // A 204 that speaks of content may have some after it.
    let speaks = fields::values(&fields, "Content-Length").iter().any(|value| value.iter().any(|b| *b != b'0'))
        || !fields::values(&fields, "Transfer-Encoding").is_empty();
    let is_clean = content != FuzzContent::UntilClose && !switches && !(status == 204 && speaks);
    let keep_alive = is_clean && framing::persists(http11, &fields);
    Some(Head { consumed: 0, http11, status, fields, content, keep_alive, switches })
}

/// `HTTP-version SP status-code [ SP reason-phrase ]`.
fn status_line(line: &[u8]) -> Option<(bool, u16)> {
    let (start, reason) = line.split_at_checked(b"HTTP/1.1 200".len())?;
    let (version, code) = start.split_at(b"HTTP/1.1 ".len());
    let http11 = match version {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return None,
    };
    let is_code = code.iter().all(u8::is_ascii_digit) && code[0] != b'0';
    let is_reason = (reason.is_empty() || reason[0] == b' ') && !fields::has_control(reason);
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    (is_code && is_reason).then_some((http11, code))
}

/// RFC 9112 §5.2: a line that starts with a blank goes on with the one before it.
fn unfolded(lines: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        match whole.last_mut() {
            Some(last) if matches!(line[0], b' ' | b'\t') => {
                while let Some(b' ' | b'\t') = last.last() {
                    last.pop();
                }
                last.push(b' ');
                last.extend_from_slice(without_blanks(line));
            }
            _ => whole.push(line.to_vec()),
        }
    }
    whole
}
