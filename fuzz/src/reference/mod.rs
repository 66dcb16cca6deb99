//! A slow reference reader of HTTP/1.1, which the targets compare the library with.
//!
//! Written from RFC 9110 and RFC 9112, on whole messages, with no state between calls and with
//! copies wherever they make a rule easier to see. It shares no code with the library.

pub mod believed;
pub mod chunked;
pub mod coding;
pub mod cookie;
pub mod fields;
pub mod framing;
pub mod header;
pub mod host;
pub mod hpack;
pub mod jar;
pub mod mux;
pub mod no_proxy;
pub mod path;
pub mod proxy_protocol;
pub mod range;
pub mod request;
pub mod resolve;
pub mod response;
pub mod served;
pub mod socks;
pub mod url;

/// What came of bytes that may be the start of something longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// More bytes could make it whole.
    Partial,
    Refused,
    Whole(T),
}

impl<T> Read<T> {
    pub fn whole(self) -> Option<T> {
        match self {
            Read::Whole(it) => Some(it),
            Read::Partial | Read::Refused => None,
        }
    }
}
