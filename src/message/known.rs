//! The field names that mean something to the codec itself, told once when a field is set.

use super::octets::is_token;

/// Which of the fields that the codec acts on this is, if any.
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
    /// Any other token.
    Other,
    /// What no field can be called: it is not sent.
    NotAToken,
}

impl Known {
    /// Of any name.
    pub(crate) fn of(name: &[u8]) -> Known {
        match Known::of_token(name) {
            Known::Other if !is_token(name) => Known::NotAToken,
            known => known,
        }
    }

    /// Of a name that is a token. Length and first letter leave at most one name to compare with;
    /// nearly all fields of a browser are told apart by these two.
    pub(crate) fn of_token(name: &[u8]) -> Known {
        let first = name.first().map_or(0, |b| b | 0x20);
        let (known, is_it) = match (name.len(), first) {
            (4, b'd') => (Known::Date, is(name, b"date")),
            (4, b'h') => (Known::Host, is(name, b"host")),
            (6, b'e') => (Known::Expect, is(name, b"expect")),
            (6, b'p') => (Known::Pragma, is(name, b"pragma")),
            (7, b't') => (Known::Trailer, is(name, b"trailer")),
            (10, b'c') => (Known::Connection, is(name, b"connection")),
            (10, b'k') => (Known::KeepAlive, is(name, b"keep-alive")),
            (12, b'c') => (Known::ContentType, is(name, b"content-type")),
            (13, b'c') => (Known::CacheControl, is(name, b"cache-control")),
            (14, b'c') => (Known::ContentLength, is(name, b"content-length")),
            (16, b'c') => (Known::ContentEncoding, is(name, b"content-encoding")),
            (17, b't') => (Known::TransferEncoding, is(name, b"transfer-encoding")),
            _ => return Known::Other,
        };
        if is_it { known } else { Known::Other }
    }
}

/// Whether a token is this name, in any case. The bit that is set tells a small letter from a capital; a
/// hyphen has it, and no other token byte becomes a letter or a hyphen by it. Of a known length, so that
/// many bytes are compared at once.
fn is<const LEN: usize>(token: &[u8], name: &[u8; LEN]) -> bool {
    let Ok(token) = <&[u8; LEN]>::try_from(token) else { return false };
    token.map(|b| b | 0x20) == *name
}

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
            ("Upgrade", Known::Other),
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
            ("", Known::NotAToken),
            ("no token", Known::NotAToken),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }
}
