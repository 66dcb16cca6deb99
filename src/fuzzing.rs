//! The codec without a connection around it, in words that the fuzz targets may name. It exists
//! only with `--cfg fuzzing`, which `cargo fuzz` sets, and is no part of the interface.
#![allow(missing_docs, reason = "nobody but fuzz/ sees it, and each item says what it passes on")]

use http::Uri;

use crate::client;
use crate::error::{self, Refusal};
use crate::files;
use crate::h1::{self, Chunked, ChunkedReader, Framing, HeadLimits, RequestParser, ResponseParser, Switch};
use crate::message::{Header, Request, Response};

/// How the content behind a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Content {
    fn of(framing: Framing) -> Content {
        match framing {
            Framing::Empty => Content::Empty,
            Framing::Length(length) => Content::Length(length),
            Framing::Chunked => Content::Chunked,
            Framing::UntilClose => Content::UntilClose,
        }
    }
}

/// What a head says beside what is in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub consumed: usize,
    pub content: Content,
    pub keep_alive: bool,
    /// Whether the connection speaks something else behind it.
    pub switches: bool,
}

/// The limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_bytes: usize,
    pub max_values: usize,
}

impl Limits {
    fn of_head(self) -> HeadLimits {
        HeadLimits { max_bytes: self.max_bytes, max_values: self.max_values }
    }
}

/// The status that answers a refused message, and why it was refused.
pub type Refused = (u16, &'static str);

fn refused(refusal: Refusal) -> Refused {
    (refusal.status.as_u16(), refusal.reason)
}

/// Reads heads of requests, as a server's connection does.
#[derive(Debug, Default)]
pub struct RequestHeads(RequestParser);

impl RequestHeads {
    pub fn parse(&mut self, input: &[u8], limits: Limits, request: &mut Request) -> Result<Option<Head>, Refused> {
        let parsed = self.0.parse(input, &limits.of_head(), request).map_err(refused)?;
        Ok(parsed.map(|head| Head {
            consumed: head.consumed,
            content: Content::of(head.framing),
            keep_alive: head.keep_alive,
            switches: false,
        }))
    }
}

/// What a response answers, as far as its framing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Head,
    Connect,
    Upgrade,
    Other,
}

impl Asked {
    fn by(self) -> h1::AskedBy {
        match self {
            Asked::Head => h1::AskedBy::Head,
            Asked::Connect => h1::AskedBy::Connect,
            Asked::Upgrade => h1::AskedBy::Upgrade,
            Asked::Other => h1::AskedBy::Other,
        }
    }
}

/// Reads heads of responses, as a client's connection does.
#[derive(Debug, Default)]
pub struct ResponseHeads(ResponseParser);

impl ResponseHeads {
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: Limits,
        asked: Asked,
        response: &mut Response,
    ) -> Result<Option<Head>, Refused> {
        let parsed = self.0.parse(input, &limits.of_head(), asked.by(), response).map_err(refused)?;
        Ok(parsed.map(|head| Head {
            consumed: head.consumed,
            content: Content::of(head.framing),
            keep_alive: head.keep_alive,
            switches: head.switch != Switch::No,
        }))
    }
}

/// What is at the start of unread chunked content.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    NeedMore { consumed: usize },
    Data { skip: usize, len: usize },
    End { consumed: usize, trailer: Option<Header> },
}

/// Reads one chunked content.
#[derive(Debug)]
pub struct Chunks(ChunkedReader);

impl Chunks {
    pub fn new(trailer: Limits) -> Chunks {
        Chunks(ChunkedReader::new(trailer.max_bytes, trailer.max_values))
    }

    pub fn read(&mut self, input: &[u8]) -> Result<Piece, Refused> {
        Ok(match self.0.read(input).map_err(refused)? {
            Chunked::NeedMore { consumed } => Piece::NeedMore { consumed },
            Chunked::Data { skip, len } => Piece::Data { skip, len },
            Chunked::End { consumed, trailer } => Piece::End { consumed, trailer },
        })
    }
}

/// Whether the text is a host, with a port that may be left out or one that may not.
pub fn is_host(text: &[u8], needs_port: bool) -> bool {
    h1::is_host(text, if needs_port { h1::Port::Required } else { h1::Port::Optional })
}

/// Where a `Location` leads from here.
pub fn join(base: &Uri, reference: &[u8]) -> error::Result<Uri> {
    client::join(base, reference)
}

/// What the client sends as `Host`.
pub fn host_field(uri: &Uri) -> &str {
    client::host_field(uri)
}

/// What a `Range` field comes to: start and length of each part.
#[derive(Debug, PartialEq, Eq)]
pub enum Ranges {
    Whole,
    Parts(Vec<(u64, u64)>),
    Refused,
}

/// Reads the value of a `Range` field for content of this size.
pub fn ranges(field: &[u8], size: u64) -> Ranges {
    match files::parse_ranges(field, size) {
        files::Ranges::Whole => Ranges::Whole,
        files::Ranges::Parts(parts) => Ranges::Parts(parts.iter().map(|part| (part.start, part.length)).collect()),
        files::Ranges::Refused(_) => Ranges::Refused,
    }
}
