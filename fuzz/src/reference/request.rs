//! The head of a request (RFC 9112 §3), as a server reads it that repairs nothing.

use nethttp::Uri;
use nethttp::fuzzing::{FuzzContent, FuzzLimits};

use super::Read;
use super::fields::{self, Fields, LineEnd, values};
use super::{framing, host};

/// A head that may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub consumed: usize,
    pub method: Vec<u8>,
    pub target: String,
    /// What the target names, else what `Host` says.
    pub host: String,
    pub http11: bool,
    pub fields: Fields,
    pub content: FuzzContent,
    pub keep_alive: bool,
}

pub fn head(input: &[u8], limits: FuzzLimits) -> Read<Head> {
    // RFC 9112 §2.2: empty lines ahead of it are skipped; two here.
    let text = input.strip_prefix(b"\r\n").unwrap_or(input);
    let text = if text.len() < input.len() { text.strip_prefix(b"\r\n").unwrap_or(text) } else { text };
    let lines = match fields::lines(text, LineEnd::Crlf) {
        Read::Partial => return Read::Partial,
        Read::Refused => return Read::Refused,
        Read::Whole((lines, rest)) => (lines, input.len() - rest.len()),
    };
    match lines {
        (lines, consumed) if consumed <= limits.max_bytes => {
            of_lines(&lines, consumed, limits).map_or(Read::Refused, Read::Whole)
        }
        _ => Read::Refused,
    }
}

fn of_lines(lines: &[&[u8]], consumed: usize, limits: FuzzLimits) -> Option<Head> {
    let (line, lines) = lines.split_first()?;
    let line = std::str::from_utf8(line).ok().filter(|line| !line.contains(|c: char| c.is_ascii_control()))?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let http11 = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let fields = fields::fields(lines)?;
    if !fields::is_token(method.as_bytes()) || fields::count(&fields) > limits.max_values {
        return None;
    }
    let authority = authority_of(method, target)?;
    let host = host_field(http11, &fields)?;
    Some(Head {
        consumed,
        method: method.into(),
        target: target.to_owned(),
        host: authority.map_or(host, str::to_owned),
        http11,
        content: framing::of_request(http11, &fields)?,
        keep_alive: framing::persists(http11, &fields),
        fields,
    })
}

/// The forms of a target (RFC 9112 §3.2), and the authority that it names. `None` for what is no
/// target of this method.
fn authority_of<'a>(method: &str, target: &'a str) -> Option<Option<&'a str>> {
    let authority = if method == "CONNECT" {
        host::is_host(target.as_bytes(), true).then_some(Some(target))?
    } else if target == "*" {
        (method == "OPTIONS").then_some(None)?
    } else if target.starts_with('/') {
        has_whole_escapes(target).then_some(None)?
    } else {
        let (scheme, rest) = target.split_once("://")?;
        let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let valid = known && host::is_host(authority.as_bytes(), false) && has_whole_escapes(path);
        valid.then_some(Some(authority))?
    };
    // A fragment is never sent (RFC 9110 §7.1), and a user of the library sees a `Uri`.
    (!target.contains('#') && escaped(target).parse::<Uri>().is_ok()).then_some(authority)
}

/// What no URI has is taken, and escaped in what a user of the library sees.
fn escaped(target: &str) -> String {
    let is_raw = |c: char| !c.is_ascii() || "\"<>{}|^`".contains(c);
    let mut text = String::new();
    for c in target.chars() {
        if is_raw(c) {
            text.extend(c.to_string().bytes().map(|b| format!("%{b:02X}")));
        } else {
            text.push(c);
        }
    }
    text
}

/// RFC 3986 §2.1, in the path.
fn has_whole_escapes(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    path.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// RFC 9112 §3.2: one in HTTP/1.1, at most one in HTTP/1.0; it may be empty.
fn host_field(http11: bool, fields: &Fields) -> Option<String> {
    match values(fields, "Host").as_slice() {
        [] if !http11 => Some(String::new()),
        [b""] => Some(String::new()),
        [one] if host::is_host(one, false) => String::from_utf8(one.to_vec()).ok(),
        _ => None,
    }
}
