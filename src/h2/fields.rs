//! Converts header fields to those of the `h2` crate, and back.

use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, TRAILER};

use crate::h1::may_be_trailer;
use crate::message::{Header, Known, has_control};

/// Which fields a message has set itself.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) content_type: bool,
    pub(crate) date: bool,
}

/// The most fields of a trailer section; of more, the first ones are taken.
const MAX_TRAILER_FIELD_COUNT: usize = 500;

/// Appends fields for a message to be sent: without those that speak of a connection, which
/// HTTP/2 forbids (RFC 9113 §8.2.2), and without `Content-Length`, which is written from what the
/// content is.
pub(crate) fn append_fields(map: &mut HeaderMap, header: &Header, status: StatusCode) -> Seen {
    let mut seen = Seen::default();
    for (known, name, value) in header.iter_known() {
        match known {
            Known::NotAToken
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Connection
            | Known::KeepAlive => {}
            Known::Trailer => append_trailer_names(map, value),
            // RFC 9110 §15.4.5: a 304 describes what the client has, and that has its type.
            Known::ContentType if status == StatusCode::NOT_MODIFIED => {}
            Known::ContentType => {
                seen.content_type = true;
                append(map, Some(CONTENT_TYPE), value);
            }
            Known::Date => {
                seen.date = true;
                append(map, Some(DATE), value);
            }
            _ if is_connection_specific(name) => {}
            _ => append(map, HeaderName::from_bytes(name).ok(), value),
        }
    }
    seen
}

/// Appends a trailer. Fields that may be none are left out.
pub(crate) fn append_trailer(map: &mut HeaderMap, trailer: &Header) {
    for (name, value) in trailer.iter().filter(|(name, _)| may_be_trailer(name)) {
        append(map, HeaderName::from_bytes(name.as_bytes()).ok(), value);
    }
}

/// A trailer that came. Fields that may be none are left out.
pub(crate) fn to_trailer(fields: &HeaderMap) -> Header {
    let mut trailer = Header::new();
    for (name, value) in fields.iter().take(MAX_TRAILER_FIELD_COUNT) {
        if may_be_trailer(name.as_str()) {
            trailer.add(name, value.as_bytes().trim_ascii());
        }
    }
    trailer
}

/// Those of RFC 9113 §8.2.2 that the codec of HTTP/1 does not know by name.
fn is_connection_specific(name: &[u8]) -> bool {
    [&b"upgrade"[..], b"proxy-connection", b"http2-settings"].iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn append_trailer_names(map: &mut HeaderMap, value: &[u8]) {
    let names = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    let allowed: Vec<_> = names.filter(|name| std::str::from_utf8(name).is_ok_and(may_be_trailer)).collect();
    if !allowed.is_empty() {
        append(map, Some(TRAILER), &allowed.join(&b", "[..]));
    }
}

/// As on HTTP/1: controls in a value become spaces (RFC 9110 §5.5), and blanks around it go.
fn append(map: &mut HeaderMap, name: Option<HeaderName>, value: &[u8]) {
    let value = if let Some(common) = common_value(value) {
        Ok(common)
    } else if has_control(value) {
        let spaced: Vec<u8> = value.iter().map(|&b| if has_control(&[b]) { b' ' } else { b }).collect();
        HeaderValue::from_bytes(spaced.trim_ascii())
    } else {
        HeaderValue::from_bytes(value.trim_ascii())
    };
    if let (Some(name), Ok(value)) = (name, value) {
        // A map holds 24,576 names; who sets more than that sends what fits.
        let _ = map.try_append(name, value);
    }
}

/// Values that many answers have: these are made once, not copied for each.
fn common_value(value: &[u8]) -> Option<HeaderValue> {
    Some(match value {
        b"text/plain" => const { HeaderValue::from_static("text/plain") },
        b"text/plain; charset=utf-8" => const { HeaderValue::from_static("text/plain; charset=utf-8") },
        b"text/html" => const { HeaderValue::from_static("text/html") },
        b"text/html; charset=utf-8" => const { HeaderValue::from_static("text/html; charset=utf-8") },
        b"text/css; charset=utf-8" => const { HeaderValue::from_static("text/css; charset=utf-8") },
        b"text/javascript; charset=utf-8" => const { HeaderValue::from_static("text/javascript; charset=utf-8") },
        b"application/json" => const { HeaderValue::from_static("application/json") },
        b"application/octet-stream" => const { HeaderValue::from_static("application/octet-stream") },
        b"nosniff" => const { HeaderValue::from_static("nosniff") },
        b"no-cache" => const { HeaderValue::from_static("no-cache") },
        b"no-store" => const { HeaderValue::from_static("no-store") },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)], status: StatusCode) -> Vec<String> {
        let mut map = HeaderMap::new();
        append_fields(&mut map, &fields.iter().copied().collect(), status);
        map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn what_speaks_of_a_connection_is_not_sent() {
        let fields = [
            ("Connection", "close"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "x"),
            ("Proxy-Connection", "keep-alive"),
            ("Content-Length", "7"),
            ("no token", "x"),
            ("X-Kept", "y"),
        ];
        assert_eq!(sent(&fields, StatusCode::OK), ["x-kept: y"]);
    }

    #[test]
    fn values_that_are_not_copied_are_the_same() {
        for value in ["text/plain", "text/html; charset=utf-8", "application/json", "nosniff", "text/plain;"] {
            assert_eq!(sent(&[("X", value)], StatusCode::OK), [format!("x: {value}")]);
        }
    }

    #[test]
    fn no_value_can_become_another_field() {
        assert_eq!(sent(&[("X", " a\r\nB: c\0 ")], StatusCode::OK), ["x: a  B: c"]);
    }

    #[test]
    fn a_304_has_no_type_and_a_trailer_field_names_only_what_may_be_one() {
        let fields = [("Content-Type", "text/plain"), ("Trailer", "X-Sum, Host")];
        assert_eq!(sent(&fields, StatusCode::NOT_MODIFIED), ["trailer: X-Sum"]);
    }
}
