//! Content made into gzip (RFC 1952), for those who ask for it.

use std::io::Write as _;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::body::{Body, Frame, Source};
use crate::message::header::Header;

/// How much is made at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Deflate, no flags, no time, no hint, an unknown system: what is the same content is the same
/// bytes, always.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The content in the coding `gzip`. What has come goes out when nothing more is there yet, so that
/// a stream of events stays one. The trailer is handed on.
///
/// The length is not known beforehand, and a validator of the content needs to be made weak or be
/// another (RFC 9110 §8.8.3.3): that is for the caller.
pub(crate) fn gzip_encoded(body: Body) -> Body {
    Body::from_source(Encoded {
        body,
        compress: None,
        crc: Crc::new(),
        input: Bytes::new(),
        output: Vec::new(),
        stage: Stage::Content,
    })
}

/// Content in memory in the coding `gzip`.
pub(crate) fn gzip_encoded_bytes(content: &[u8]) -> Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 2), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.into())
}

struct Encoded {
    body: Body,
    /// Made with the first byte: it is a quarter of a MiB.
    compress: Option<Box<Compress>>,
    crc: Crc,
    input: Bytes,
    output: Vec<u8>,
    stage: Stage,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Content,
    /// Something was compressed that the reader does not have yet.
    Unflushed,
    Flush,
    /// The content is over, the compressed bytes are not.
    Finish,
    Over,
}

impl Source for Encoded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        loop {
            if let Err(error) = self.work() {
                return Poll::Ready(Some(Err(error)));
            }
            let is_enough = self.output.len() >= CHUNK_BYTES || matches!(self.stage, Stage::Content | Stage::Over);
            if is_enough && !self.output.is_empty() {
                return Poll::Ready(Some(Ok(Frame::Data(std::mem::take(&mut self.output).into()))));
            }
            if self.stage == Stage::Over {
                let trailer: Option<Header> = self.body.trailer().cloned();
                return Poll::Ready(trailer.map(|trailer| Ok(Frame::Trailer(trailer))));
            }
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.crc.update(&chunk);
                    self.input = chunk;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.stage = Stage::Finish,
                Poll::Pending if self.stage == Stage::Unflushed => self.stage = Stage::Flush,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

impl Encoded {
    /// Compresses what is there, until that is done or there is a chunk of it.
    fn work(&mut self) -> Result<()> {
        while self.output.len() < CHUNK_BYTES {
            let flush = match self.stage {
                _ if !self.input.is_empty() => FlushCompress::None,
                Stage::Flush => FlushCompress::Sync,
                Stage::Finish => FlushCompress::Finish,
                Stage::Content | Stage::Unflushed | Stage::Over => return Ok(()),
            };
            let compress = match &mut self.compress {
                Some(compress) => compress,
                empty => {
                    self.output.extend_from_slice(&HEAD);
                    empty.insert(Box::new(Compress::new(Compression::default(), false)))
                }
            };
            // Twice as much room as is asked for, so that a flush is not cut in small pieces.
            self.output.reserve(2 * CHUNK_BYTES);
            let before = compress.total_in();
            let status = compress
                .compress_vec(&self.input, &mut self.output, flush)
                .map_err(|error| Error::new(ErrorKind::Other, "gzip failed").with_source(error).during(Phase::Body))?;
            let taken = usize::try_from(compress.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
            self.input.advance(taken.min(self.input.len()));
            let has_room = self.output.len() < self.output.capacity();
            match (flush, status) {
                (FlushCompress::Finish, Status::StreamEnd) => {
                    self.output.extend_from_slice(&self.crc.sum().to_le_bytes());
                    self.output.extend_from_slice(&self.crc.amount().to_le_bytes());
                    self.stage = Stage::Over;
                }
                (FlushCompress::Sync, _) if has_room => self.stage = Stage::Content,
                (FlushCompress::None, _) => self.stage = Stage::Unflushed,
                _ => {}
            }
        }
        Ok(())
    }
}
