//! Which fields stay when another response takes the place of one that was not sent.

use http::StatusCode;

use crate::message::{Header, list_has};

/// What the fields of an abandoned response are to its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldRole {
    /// They say something of the content that is no longer sent, or how it is framed.
    Content,
    /// They let caches keep the response. A failure is not what was meant by them.
    Caching,
    /// They mean something with some statuses alone.
    Status,
    /// Everything else: what was set around the handler (CORS, a request's number, security), cookies,
    /// a challenge, `Retry-After`.
    Response,
}

impl FieldRole {
    fn of(name: &str) -> FieldRole {
        let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is(CONTENT_FIELDS) {
            FieldRole::Content
        } else if is(CACHING_FIELDS) {
            FieldRole::Caching
        } else if is(STATUS_FIELDS) {
            FieldRole::Status
        } else {
            FieldRole::Response
        }
    }
}

/// RFC 9110 §8 (representations, validators) and §14 (ranges), RFC 9112 §6 (framing), RFC 9530 and its
/// forerunners (digests), RFC 6266. `Content-Security-Policy` is not among them: it protects whatever is
/// shown. Not a prefix, for that reason.
const CONTENT_FIELDS: &[&str] = &[
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Content-Length",
    "Content-Disposition",
    "Content-Digest",
    "Repr-Digest",
    "Digest",
    "Content-MD5",
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Transfer-Encoding",
    "Trailer",
    // They name the content to a server in front, which sends it whatever the status is.
    "X-Accel-Redirect",
    "X-Sendfile",
    "X-LIGHTTPD-send-file",
];

/// RFC 9111 §5, RFC 9213, and what caches of the trade know beside them.
const CACHING_FIELDS: &[&str] =
    &["Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Expires", "Age", "X-Accel-Expires"];

/// RFC 9110 §10.2.2 (201 and 3xx), §14.4 (206 and 416), §15.5.22 (101 and 426).
const STATUS_FIELDS: &[&str] = &["Location", "Content-Range", "Upgrade"];

/// The fields that stay for a response of this status.
pub(super) fn kept_fields(header: &Header, status: Option<StatusCode>) -> Header {
    header.iter().filter(|(name, value)| is_kept(name, value, status)).collect()
}

fn is_kept(name: &str, value: &[u8], status: Option<StatusCode>) -> bool {
    match FieldRole::of(name) {
        FieldRole::Response => true,
        FieldRole::Content => false,
        // What forbids a cache to keep anything holds all the more for a failure.
        FieldRole::Caching => list_has(value, "no-store"),
        FieldRole::Status => match status {
            Some(StatusCode::RANGE_NOT_SATISFIABLE) => name.eq_ignore_ascii_case("Content-Range"),
            Some(StatusCode::UPGRADE_REQUIRED) => name.eq_ignore_ascii_case("Upgrade"),
            Some(status) if status.is_redirection() => name.eq_ignore_ascii_case("Location"),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[(&str, &str)], status: u16) -> Vec<String> {
        let header: Header = pairs.iter().copied().collect();
        let status = StatusCode::from_u16(status).ok();
        kept_fields(&header, status).iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn what_is_not_about_the_content_stays_in_order_with_all_its_values() {
        let fields = [
            ("Access-Control-Allow-Origin", "*"),
            ("content-type", "text/html"),
            ("X-Request-Id", "7"),
            ("ETAG", "\"a\""),
            ("Set-Cookie", "a=1"),
            ("Content-Encoding", "gzip"),
            ("X-Accel-Redirect", "/protected"),
            ("Set-Cookie", "b=2"),
            ("Content-Security-Policy", "default-src 'self'"),
            ("Vary", "Origin"),
            ("Connection", "close"),
        ];
        let stay = [
            "Access-Control-Allow-Origin",
            "X-Request-Id",
            "Set-Cookie",
            "Set-Cookie",
            "Content-Security-Policy",
            "Vary",
            "Connection",
        ];
        assert_eq!(kept(&fields, 500), stay);
    }

    #[test]
    fn a_failure_is_cached_no_longer_than_what_it_replaces_and_not_by_its_leave() {
        for (value, stays) in
            [("max-age=60", false), ("no-store", true), ("private, No-Store", true), ("no-storey", false)]
        {
            assert_eq!(!kept(&[("cache-control", value)], 500).is_empty(), stays, "{value}");
        }
        assert!(kept(&[("Expires", "0"), ("Age", "1"), ("CDN-Cache-Control", "max-age=1")], 404).is_empty());
    }

    #[test]
    fn a_field_that_belongs_to_a_status_stays_with_that_one_alone() {
        let fields = [("Location", "/a"), ("Content-Range", "bytes */5"), ("Upgrade", "websocket")];
        for (status, stays) in [(303, "Location"), (416, "Content-Range"), (426, "Upgrade")] {
            assert_eq!(kept(&fields, status), [stays], "{status}");
        }
        assert!(kept(&fields, 500).is_empty() && kept(&fields, 0).is_empty());
    }
}
