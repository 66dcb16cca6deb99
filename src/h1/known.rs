//! The field names that mean something to the codec itself.

use crate::message::is_token;

/// A field that the codec acts on, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Date,
    Expect,
    Host,
    KeepAlive,
    Pragma,
    Trailer,
    TransferEncoding,
    Upgrade,
    Other,
}

impl Known {
    /// Length and first letter leave at most one name to compare with; nearly all fields of a
    /// browser are told apart by these two. Means what it says for tokens; what is none is not sent.
    pub(crate) fn of(name: &[u8]) -> Known {
        let first = name.first().map_or(0, |b| b | 0x20);
        let (known, spelling): (Known, &[u8]) = match (name.len(), first) {
            (4, b'd') => (Known::Date, b"date"),
            (4, b'h') => (Known::Host, b"host"),
            (6, b'e') => (Known::Expect, b"expect"),
            (6, b'p') => (Known::Pragma, b"pragma"),
            (7, b't') => (Known::Trailer, b"trailer"),
            (7, b'u') => (Known::Upgrade, b"upgrade"),
            (10, b'c') => (Known::Connection, b"connection"),
            (10, b'k') => (Known::KeepAlive, b"keep-alive"),
            (12, b'c') => (Known::ContentType, b"content-type"),
            (13, b'c') => (Known::CacheControl, b"cache-control"),
            (14, b'c') => (Known::ContentLength, b"content-length"),
            (16, b'c') => (Known::ContentEncoding, b"content-encoding"),
            (17, b't') => (Known::TransferEncoding, b"transfer-encoding"),
            _ => return Known::Other,
        };
        // The bit that tells a small letter from a capital; a hyphen has it, and no other token byte
        // becomes a letter or a hyphen by it.
        if name.iter().zip(spelling).all(|(b, s)| b | 0x20 == *s) { known } else { Known::Other }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_any_case_and_whole_only() {
        for (name, known) in [
            ("Host", Known::Host),
            ("hOST", Known::Host),
            ("Date", Known::Date),
            ("expect", Known::Expect),
            ("PRAGMA", Known::Pragma),
            ("Trailer", Known::Trailer),
            ("Upgrade", Known::Upgrade),
            ("Connection", Known::Connection),
            ("Keep-Alive", Known::KeepAlive),
            ("Content-Type", Known::ContentType),
            ("Cache-Control", Known::CacheControl),
            ("CONTENT-LENGTH", Known::ContentLength),
            ("transfer-encoding", Known::TransferEncoding),
            ("Content-Encoding", Known::ContentEncoding),
            ("Content_Length", Known::Other),
            ("Content-Lengths", Known::Other),
            ("Hast", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

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
