//! The codec without a connection around it, in types that the fuzz targets may name. It exists only
//! with `--cfg fuzzing`, which `cargo fuzz` sets, and is not part of the public interface. The types
//! begin with `Fuzz`, because the crate has its own of the same names.
#![allow(missing_docs, reason = "nobody but fuzz/ sees it, and each item says what it passes on")]

use std::path::PathBuf;

use http::Uri;

use crate::client;
use crate::error::{self, Refusal};
use crate::files;
use crate::h1::{self, Chunked, ChunkedReader, Framing, HeadLimits, RequestParser, ResponseParser, Switch};
use crate::h2::{checker, hpack};
use crate::message::{Body, Header, Request, Response, coding};

/// How the content after a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuzzContent {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

impl FuzzContent {
    fn of(framing: Framing) -> FuzzContent {
        match framing {
            Framing::Empty => FuzzContent::Empty,
            Framing::Length(length) => FuzzContent::Length(length),
            Framing::Chunked => FuzzContent::Chunked,
            Framing::UntilClose => FuzzContent::UntilClose,
        }
    }
}

/// What a head says about its message and connection, beside the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuzzHead {
    pub consumed: usize,
    pub content: FuzzContent,
    pub keep_alive: bool,
    /// Whether the connection speaks something else after it.
    pub switches: bool,
}

/// The limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct FuzzLimits {
    pub max_bytes: usize,
    pub max_values: usize,
}

impl FuzzLimits {
    fn of_head(self) -> HeadLimits {
        HeadLimits { max_bytes: self.max_bytes, max_values: self.max_values }
    }
}

/// The status of the response to a refused message, and why it was refused.
pub type Refused = (u16, &'static str);

fn refused(refusal: Refusal) -> Refused {
    (refusal.status.as_u16(), refusal.reason)
}

/// Reads heads of requests, as a server's connection does.
#[derive(Debug, Default)]
pub struct RequestHeads(RequestParser);

impl RequestHeads {
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: FuzzLimits,
        request: &mut Request,
    ) -> Result<Option<FuzzHead>, Refused> {
        let parsed = self.0.parse(input, &limits.of_head(), request).map_err(refused)?;
        Ok(parsed.map(|head| FuzzHead {
            consumed: head.consumed,
            content: FuzzContent::of(head.framing),
            keep_alive: head.keep_alive,
            switches: false,
        }))
    }
}

/// What kind of request a response belongs to, as far as its framing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuzzRequestKind {
    Head,
    Connect,
    Upgrade,
    Other,
}

impl FuzzRequestKind {
    fn by(self) -> h1::RequestKind {
        match self {
            FuzzRequestKind::Head => h1::RequestKind::Head,
            FuzzRequestKind::Connect => h1::RequestKind::Connect,
            FuzzRequestKind::Upgrade => h1::RequestKind::Upgrade,
            FuzzRequestKind::Other => h1::RequestKind::Other,
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
        limits: FuzzLimits,
        asked: FuzzRequestKind,
        response: &mut Response,
    ) -> Result<Option<FuzzHead>, Refused> {
        let parsed = self.0.parse(input, &limits.of_head(), asked.by(), response).map_err(refused)?;
        Ok(parsed.map(|head| FuzzHead {
            consumed: head.consumed,
            content: FuzzContent::of(head.framing),
            keep_alive: head.keep_alive,
            switches: head.switch != Switch::No,
        }))
    }
}

/// What is at the start of unread chunked content.
#[derive(Debug, PartialEq, Eq)]
pub enum FuzzPiece {
    NeedMore { consumed: usize },
    Data { skip: usize, len: usize },
    End { consumed: usize, trailer: Option<Header> },
}

/// Reads one chunked content.
#[derive(Debug)]
pub struct FuzzChunks(ChunkedReader);

impl FuzzChunks {
    pub fn new(trailer: FuzzLimits) -> FuzzChunks {
        FuzzChunks(ChunkedReader::new(trailer.max_bytes, trailer.max_values))
    }

    pub fn read(&mut self, input: &[u8]) -> Result<FuzzPiece, Refused> {
        Ok(match self.0.read(input).map_err(refused)? {
            Chunked::NeedMore { consumed } => FuzzPiece::NeedMore { consumed },
            Chunked::Data { skip, len } => FuzzPiece::Data { skip, len },
            Chunked::End { consumed, trailer } => FuzzPiece::End { consumed, trailer },
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

/// The outcome of a `Range` field: start and length of each part.
#[derive(Debug, PartialEq, Eq)]
pub enum FuzzRanges {
    Whole,
    Parts(Vec<(u64, u64)>),
    Refused,
}

/// Reads the value of a `Range` field for content of this size.
pub fn ranges(field: &[u8], size: u64) -> FuzzRanges {
    match files::parse_ranges(field, size) {
        files::Ranges::Whole => FuzzRanges::Whole,
        files::Ranges::Parts(parts) => FuzzRanges::Parts(parts.iter().map(|part| (part.start, part.length)).collect()),
        files::Ranges::Refused(_) => FuzzRanges::Refused,
    }
}

/// Content without its coding, or as it is, where nobody asked for it or this build does not know it.
pub fn decoded(body: Body, coding: &[u8], asked: &[u8]) -> Body {
    let mut header = Header::new();
    header.set("Content-Encoding", coding);
    coding::without_codings(body, &header, asked).unwrap_or_else(|body| body)
}

/// Which names of files are served.
#[derive(Clone, Copy, Debug)]
pub struct FuzzNames {
    /// Those that begin with a dot, too.
    pub hidden: bool,
    /// Those only that every system can have.
    pub portable: bool,
}

/// The path below the root that a request's path leads to.
pub fn requested_path(path: &str, names: FuzzNames) -> Option<PathBuf> {
    files::relative_path(path, names.hidden, names.portable)
}

/// Decodes the header blocks of one connection.
#[derive(Debug)]
pub struct FuzzHpackDecoder(hpack::HpackDecoder);

impl FuzzHpackDecoder {
    /// A decoder whose table may have this size, and had 4,096 bytes until now.
    pub fn new(limit: usize) -> FuzzHpackDecoder {
        let mut decoder = hpack::HpackDecoder::new();
        let first = limit.min(hpack::DEFAULT_TABLE_BYTES);
        let mut no_sink = hpack::KeptFields::default();
        decoder.set_max_table_bytes(limit);
        if first < hpack::DEFAULT_TABLE_BYTES {
            decoder.decode(&hpack::table_size_change(first), hpack::NO_LIMITS, &mut no_sink).expect("it is allowed");
        }
        FuzzHpackDecoder(decoder)
    }

    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, &'static str> {
        let mut kept = hpack::KeptFields::default();
        self.0.decode(block, hpack::NO_LIMITS, &mut kept).map_err(hpack::HpackFault::in_words)?;
        Ok(kept.fields)
    }
}

/// Encodes the header blocks of one connection.
#[derive(Debug)]
pub struct FuzzHpackEncoder(hpack::HpackEncoder);

impl Default for FuzzHpackEncoder {
    fn default() -> FuzzHpackEncoder {
        FuzzHpackEncoder(hpack::HpackEncoder::new())
    }
}

impl FuzzHpackEncoder {
    /// A block of these fields, after the peer has allowed a table of this size.
    pub fn encode(&mut self, fields: &[(Vec<u8>, Vec<u8>)], max_table_bytes: usize) -> Vec<u8> {
        self.0.set_max_table_bytes(max_table_bytes);
        hpack::encoded(&mut self.0, fields)
    }
}

/// A client and a server against each other, by a script.
pub fn http2_pair(script: &[u8]) {
    checker::check_pair(script);
}

/// A server against frames that nobody made with care.
pub fn http2_server_frames(script: &[u8]) {
    checker::check_server_bytes(script);
}

/// A client against the same.
pub fn http2_client_frames(script: &[u8]) {
    checker::check_client_bytes(script);
}
