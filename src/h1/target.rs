//! The request target in its four forms (RFC 9112 §3.2), and its `http::Uri`.

use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::host::{Port, escapes_are_whole, is_host};
use crate::error::Refusal;
use crate::message::has;

/// A target that is of a form its method allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestTarget<'a> {
    /// As received: no blanks, no control characters.
    pub(super) text: &'a str,
    /// The authority that the target itself names; it overrides `Host` (RFC 9112 §3.2.2).
    pub(super) authority: Option<&'a str>,
    /// Whether it has characters that are not allowed in a URI.
    has_raw: bool,
}

/// What an `http::Uri` holds: it counts its bytes in 16 bits. A longer target is 414, whatever the
/// limit on heads is.
pub(super) const MAX_TARGET_BYTES: usize = 65_534;

/// Characters that no URI has (RFC 3986 §2), and that clients send unescaped all the same: JSON in a
/// query, templates, links with letters of other languages. In path and query they are taken as nginx
/// and Node.js take them. All that is not ASCII belongs to them.
const RAW: AsciiSet = CONTROLS.add(b'"').add(b'<').add(b'>').add(b'{').add(b'}').add(b'|').add(b'^').add(b'`');

const NO_URI: Refusal = Refusal::bad("the request target is no URI");
const TOO_LONG: Refusal = Refusal::with(StatusCode::URI_TOO_LONG, "the request target is too long");

impl<'a> RequestTarget<'a> {
    /// The target of a request line.
    pub(super) fn parse(method: &[u8], text: &'a [u8]) -> Result<RequestTarget<'a>, Refusal> {
        if text.len() > MAX_TARGET_BYTES {
            return Err(TOO_LONG);
        }
        let is_plain = method != b"CONNECT" && is_plain_path(text);
        let is_visible = is_plain || !has(text, |b| (b <= b' ') | (b == 0x7f));
        let text = std::str::from_utf8(text).ok().filter(|_| is_visible).ok_or(NO_URI)?;
        if is_plain {
            return Ok(RequestTarget { text, authority: None, has_raw: false });
        }
        if memchr::memchr(b'#', text.as_bytes()).is_some() {
            return Err(Refusal::bad("a fragment in the request target"));
        }
        let authority = match (method, text.as_bytes()) {
            // RFC 9112 §3.2.3: authority-form is for CONNECT only, and CONNECT for it only.
            (b"CONNECT", bytes) if is_host(bytes, Port::Required) => Some(text),
            (b"CONNECT", _) => return Err(Refusal::bad("CONNECT wants host:port as its target")),
            // §3.2.1: a path, also when it starts with two slashes.
            (_, [b'/', ..]) => check_path(text).map(|()| None)?,
            // §3.2.4.
            (b"OPTIONS", b"*") => None,
            (_, b"*") => return Err(Refusal::bad("the target * is for OPTIONS only")),
            _ => Some(check_absolute(text)?),
        };
        // A host has none of them, so they stand in path and query.
        Ok(RequestTarget { text, authority, has_raw: has(text.as_bytes(), is_raw) })
    }

    /// The target as a URI, in which raw characters are escaped.
    ///
    /// # Errors
    /// What the `http` crate does not take for a URI.
    pub(super) fn uri(&self) -> Result<Uri, Refusal> {
        match self.text {
            // No allocation for the commonest of all targets.
            "/" => Ok(Uri::default()),
            "*" => Ok(Uri::from_static("*")),
            text if self.has_raw => {
                let escaped = utf8_percent_encode(text, &RAW).to_string();
                if escaped.len() > MAX_TARGET_BYTES {
                    return Err(TOO_LONG);
                }
                Uri::try_from(escaped).map_err(|_| NO_URI)
            }
            text => Uri::try_from(text).map_err(|_| NO_URI),
        }
    }
}

/// Reads a target that a request has beside its host (RFC 9113 §8.3.1): a path, or `*` for OPTIONS. Returns
/// it as text, and as a URI, in which raw characters are escaped.
///
/// # Errors
/// The refusal of what is neither.
pub(crate) fn parse_path_target<'a>(method: &[u8], text: &'a [u8]) -> Result<(&'a str, Uri), Refusal> {
    if !(text.starts_with(b"/") || text == b"*") || method == b"CONNECT" {
        return Err(NO_URI);
    }
    let target = RequestTarget::parse(method, text)?;
    Ok((target.text, target.uri()?))
}

/// Whether this is a path that needs no further check, as nearly all are: no fragment, no escape,
/// nothing raw. The conditions are written so that the compiler looks at many bytes at once.
fn is_plain_path(text: &[u8]) -> bool {
    text.first() == Some(&b'/') && !has(text, |b| (b <= b' ') | (b == b'#') | (b == b'%') | is_raw(b))
}

/// Whether a byte belongs to a character of [`RAW`], or is DEL.
fn is_raw(b: u8) -> bool {
    // `{`, `|`, `}` and all from DEL on; `<` and `>` differ in one bit.
    ((b >= b'{') & (b != b'~')) | ((b | 2) == b'>') | (b == b'"') | (b == b'^') | (b == b'`')
}

/// RFC 9112 §3.2.2: `http://authority/path?query`. Returns the authority.
fn check_absolute(text: &str) -> Result<&str, Refusal> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| strip_prefix_of_any_case(text, scheme));
    let Some(rest) = rest else { return Err(Refusal::bad("the request target is neither a path nor an http URI")) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // No userinfo either: `@` is in no host. RFC 9110 §4.2.4 calls it a way to mislead.
    if !is_host(authority.as_bytes(), Port::Optional) {
        return Err(Refusal::bad("the request target has no valid host"));
    }
    check_path(path).map(|()| authority)
}

/// A query may have a percent sign anywhere: there is more than one way to read a query.
fn check_path(path_and_query: &str) -> Result<(), Refusal> {
    let bytes = path_and_query.as_bytes();
    let path = bytes.get(..memchr::memchr(b'?', bytes).unwrap_or(bytes.len())).unwrap_or(bytes);
    if escapes_are_whole(path) {
        Ok(())
    } else {
        Err(Refusal::bad("a percent sign without two hexadecimal digits in the path"))
    }
}

fn strip_prefix_of_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}
