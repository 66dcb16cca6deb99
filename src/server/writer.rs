//! The answer to a request, as a handler writes it.

use bytes::Bytes;
use http::StatusCode;

use crate::error::Result;
use crate::message::Header;

/// Writes the answer to one request (Go's `ResponseWriter`).
#[derive(Debug)]
pub struct ResponseWriter {
    header: Header,
}

impl ResponseWriter {
    /// The fields of the answer's head, to be changed until it is sent.
    pub fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    /// The fields that follow the content; see `Trailer`.
    pub fn trailer(&mut self) -> &mut Header {
        unimplemented!()
    }

    /// Sets the status, once.
    pub fn write_header(&mut self, _status: StatusCode) {
        unimplemented!()
    }

    /// The status that was set, if one was.
    pub fn status(&self) -> Option<StatusCode> {
        unimplemented!()
    }

    /// Writes content.
    pub async fn write(&mut self, _content: impl AsRef<[u8]>) -> Result<()> {
        unimplemented!()
    }

    /// Writes content that lies in memory anyway, without a copy.
    pub async fn write_bytes(&mut self, _content: Bytes) -> Result<()> {
        unimplemented!()
    }

    /// Sends what was written so far.
    pub async fn flush(&mut self) -> Result<()> {
        unimplemented!()
    }
}
