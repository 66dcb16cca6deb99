//! Which fields may follow the content.

use crate::message::is_token;

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
