//! What a field's name means to HTTP/2, and which names and values may come.

use crate::message::{Known, has_control, is_token_byte};

/// What a name stands for. It is found once: when the name is decoded, or when it enters a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    /// RFC 8441 §4.
    Protocol,
    /// A name with a colon that is none of the above (RFC 9113 §8.3).
    UnknownPseudo,
    /// A field that speaks of a connection of HTTP/1 (RFC 9113 §8.2.2).
    ConnectionSpecific,
    /// The only value that it may have here is `trailers` (RFC 9113 §8.2.2).
    Te,
    /// It may come in several pieces, which belong together (RFC 9113 §8.2.3).
    Cookie,
    /// RFC 9218 §5.
    Priority,
    /// Any other field, by what it means to the codec of both protocols.
    Field(Known),
    /// No token in lower case: no field name (RFC 9113 §8.2.1).
    Malformed,
}

impl FieldKind {
    pub(crate) fn of(name: &[u8]) -> FieldKind {
        if name.first() == Some(&b':') {
            return FieldKind::of_pseudo(name);
        }
        if name.is_empty() || !name.iter().all(|&b| LOWER_TOKEN[usize::from(b)]) {
            return FieldKind::Malformed;
        }
        match name {
            b"te" => FieldKind::Te,
            b"cookie" => FieldKind::Cookie,
            b"priority" => FieldKind::Priority,
            b"upgrade" | b"proxy-connection" => FieldKind::ConnectionSpecific,
            _ => match Known::of_token(name) {
                Known::Connection | Known::KeepAlive | Known::TransferEncoding => FieldKind::ConnectionSpecific,
                known => FieldKind::Field(known),
            },
        }
    }

    fn of_pseudo(name: &[u8]) -> FieldKind {
        match name {
            b":method" => FieldKind::Method,
            b":scheme" => FieldKind::Scheme,
            b":authority" => FieldKind::Authority,
            b":path" => FieldKind::Path,
            b":status" => FieldKind::Status,
            b":protocol" => FieldKind::Protocol,
            _ => FieldKind::UnknownPseudo,
        }
    }

    pub(crate) fn is_pseudo(self) -> bool {
        matches!(
            self,
            FieldKind::Method
                | FieldKind::Scheme
                | FieldKind::Authority
                | FieldKind::Path
                | FieldKind::Status
                | FieldKind::Protocol
                | FieldKind::UnknownPseudo
        )
    }
}

/// Whether a value may come. RFC 9113 §8.2.1 forbids the ends of lines and NUL. The other controls are
/// refused with them, as in HTTP/1 (RFC 9110 §5.5).
pub(crate) fn is_value(value: &[u8]) -> bool {
    !has_control(value)
}

static LOWER_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_token_byte(byte as u8) && !(byte as u8).is_ascii_uppercase();
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token_in_lower_case() {
        for name in ["", "A", "x-A", "a b", "a:", "a\0", "\u{e9}", "a\r"] {
            assert_eq!(FieldKind::of(name.as_bytes()), FieldKind::Malformed, "{name:?}");
        }
        assert_eq!(FieldKind::of(b"x-a_1.z~"), FieldKind::Field(Known::Other));
    }

    #[test]
    fn names_mean_what_the_rfcs_say() {
        for (name, kind) in [
            (&b":method"[..], FieldKind::Method),
            (b":protocol", FieldKind::Protocol),
            (b":", FieldKind::UnknownPseudo),
            (b":Method", FieldKind::UnknownPseudo),
            (b"connection", FieldKind::ConnectionSpecific),
            (b"keep-alive", FieldKind::ConnectionSpecific),
            (b"proxy-connection", FieldKind::ConnectionSpecific),
            (b"transfer-encoding", FieldKind::ConnectionSpecific),
            (b"upgrade", FieldKind::ConnectionSpecific),
            (b"te", FieldKind::Te),
            (b"cookie", FieldKind::Cookie),
            (b"priority", FieldKind::Priority),
            (b"content-length", FieldKind::Field(Known::ContentLength)),
        ] {
            assert_eq!(FieldKind::of(name), kind, "{}", name.escape_ascii());
            assert_eq!(kind.is_pseudo(), name.first() == Some(&b':'));
        }
    }

    #[test]
    fn a_value_has_no_control_but_a_tab() {
        for byte in 0..=255 {
            let allowed = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(is_value(&[b'a', byte, b'b']), allowed, "{byte}");
        }
    }
}
