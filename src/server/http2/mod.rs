//! HTTP/2 on a server's connection, with the same handlers, limits and registry as HTTP/1.
//!
//! ```text
//!  connection (one task):  read ▶ engine ▶ request ▶ handler ▶ writer ▶ StreamIo ▶ engine ▶ write
//!                                             └ a task of its own, where the handler waits ┘
//! ```
//!
//! The connection's task moves the bytes and polls each handler for the first time; no more than
//! `max_concurrent_streams` run. An exchange whose handler waits becomes a task, so that handlers of one
//! connection run beside each other. They end with the connection's task, which holds them.

mod connection;
mod deadlines;
mod exchange;
mod exchanges;
mod free_streams;
mod input;
mod output;
mod request;
mod response_head;
mod stream_in;
mod stream_io;
mod stream_out;
mod stream_state;
mod timing;
mod tunnel;

pub(crate) use connection::serve;
pub(crate) use response_head::StreamHead;
pub(crate) use stream_io::StreamIo;
pub(crate) use tunnel::StreamTunnel;

use crate::h2::frame::CONNECTION_PREFACE;

/// Whether the first bytes of a connection are the preface of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preface {
    /// They are not.
    Other,
    /// They are a part of it, and may still become a request of HTTP/1.
    Partial,
    Whole,
}

/// RFC 9113 §3.3: a client that knows beforehand begins with the preface. `PRI` is no method that
/// a request could have.
pub(crate) fn preface(input: &[u8]) -> Preface {
    if input.starts_with(CONNECTION_PREFACE) {
        Preface::Whole
    } else if CONNECTION_PREFACE.starts_with(input) {
        Preface::Partial
    } else {
        Preface::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_known_by_its_last_byte_and_another_request_by_its_first_other_one() {
        for end in 0..CONNECTION_PREFACE.len() {
            assert_eq!(preface(&CONNECTION_PREFACE[..end]), Preface::Partial);
        }
        assert_eq!(preface(&[CONNECTION_PREFACE, b"more"].concat()), Preface::Whole);
        for other in ["POST / HTTP/1.1\r\n", "PRI * HTTP/1.1", "pri", "PRI * HTTP/2.0\r\n\r\nSN", "\r\nPRI * "] {
            assert_eq!(preface(other.as_bytes()), Preface::Other, "{other:?}");
        }
    }
}
