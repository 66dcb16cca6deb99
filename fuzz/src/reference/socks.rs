//! A SOCKS proxy's side of the conversation (RFC 1928 and RFC 1929), on all that it sent.

use nethttp::fuzzing::FuzzRequestKind;

use super::{Read, response};
use crate::heads::LIMITS;

/// Where the bytes of the tunnel begin; `None` where the proxy opened none.
pub fn tunnel(sent: &[u8], has_user: bool) -> Option<usize> {
    let rest = match sent {
        [5, 0, rest @ ..] => rest,
        [5, 2, 1, 0, rest @ ..] if has_user => rest,
        _ => return None,
    };
    let [5, 0, 0, kind, address @ ..] = rest else { return None };
    let address_len = match kind {
        1 => 4,
        3 => 1 + usize::from(*address.first()?),
        4 => 16,
        _ => return None,
    };
    let tunnel = address.get(address_len + 2..)?;
    Some(sent.len() - tunnel.len())
}

/// The status of the final response in these bytes.
pub fn status(mut bytes: &[u8]) -> Option<u16> {
    while let Read::Whole(head) = response::head(bytes, LIMITS, FuzzRequestKind::Other) {
        if head.status >= 200 || head.switches {
            return Some(head.status);
        }
        bytes = &bytes[head.consumed..];
    }
    None
}
