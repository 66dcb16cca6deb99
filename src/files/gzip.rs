//! Content encoded with gzip while it is sent (RFC 1952).

use std::io::Write as _;
use std::mem;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::range::ByteRange;
use super::source::{CHUNK_BYTES, ContentSource, first_chunk, run_blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::server::ResponseWriter;

/// The codings that content can be given while it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnTheFly {
    Gzip,
}

impl OnTheFly {
    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            OnTheFly::Gzip => "gzip",
        }
    }

    /// Writes content of this size, encoded. The encoded length is not known before the end.
    pub(super) async fn send(self, w: &mut ResponseWriter, size: u64, source: &mut impl ContentSource) -> Result<()> {
        let mut encoder = self.encoder();
        let mut rest = ByteRange { start: 0, length: size };
        let mut next = first_chunk(rest);
        while rest.length > 0 {
            let chunk = source.read(next).await?;
            rest = rest.after(chunk.len() as u64);
            let encoded = encoder.encode(chunk).await?;
            if !encoded.is_empty() {
                w.write_bytes(encoded).await?;
            }
            next = rest.first(CHUNK_BYTES);
        }
        w.write_bytes(encoder.finish()?).await
    }

    fn encoder(self) -> Encoder {
        match self {
            OnTheFly::Gzip => Encoder(Some(GzEncoder::new(Vec::new(), Compression::new(COMPRESSION_LEVEL)))),
        }
    }
}

/// Higher levels take much longer and save little.
const COMPRESSION_LEVEL: u32 = 5;

/// Encoding more than this takes longer than the hop to a blocking thread, and would hold up the
/// other connections of this one.
const MAX_INLINE_BYTES: usize = 8 * 1024;

/// Encodes content piece by piece. `None` while a blocking thread has the encoder; it stays `None` if
/// the future that waits for that thread is dropped, and every later call fails.
struct Encoder(Option<GzEncoder<Vec<u8>>>);

impl Encoder {
    /// Encodes a piece. The result may be empty: the encoder keeps some of it back.
    async fn encode(&mut self, content: Bytes) -> Result<Bytes> {
        let encoder = self.0.take().ok_or_else(abandoned)?;
        let (encoder, encoded) = if content.len() <= MAX_INLINE_BYTES {
            step(encoder, &content)?
        } else {
            run_blocking(move || step(encoder, &content)).await??
        };
        self.0 = Some(encoder);
        Ok(encoded)
    }

    /// What is still to be sent after the last piece.
    fn finish(self) -> Result<Bytes> {
        Ok(self.0.ok_or_else(abandoned)?.finish()?.into())
    }
}

fn step(mut encoder: GzEncoder<Vec<u8>>, content: &[u8]) -> Result<(GzEncoder<Vec<u8>>, Bytes)> {
    encoder.write_all(content)?;
    let encoded = mem::take(encoder.get_mut());
    Ok((encoder, encoded.into()))
}

fn abandoned() -> Error {
    Error::new(ErrorKind::Other, "an earlier piece was abandoned half-way")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn decoded(encoded: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        GzDecoder::new(encoded).read_to_end(&mut content).unwrap();
        content
    }

    #[tokio::test]
    async fn what_is_encoded_in_pieces_of_any_size_is_decoded_as_one() {
        let content: Vec<u8> = (0..10_000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        for size in [1000, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, content.len()] {
            let mut encoder = OnTheFly::Gzip.encoder();
            let mut encoded = Vec::new();
            for piece in content.chunks(size) {
                encoded.extend_from_slice(&encoder.encode(Bytes::copy_from_slice(piece)).await.unwrap());
            }
            encoded.extend_from_slice(&encoder.finish().unwrap());
            assert!(encoded.len() < content.len() / 2);
            assert!(decoded(&encoded) == content, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn nothing_is_encoded_as_a_whole_member() {
        assert_eq!(decoded(&OnTheFly::Gzip.encoder().finish().unwrap()), b"");
    }

    #[tokio::test]
    async fn a_piece_that_was_abandoned_leaves_no_encoder_that_goes_on() {
        let mut encoder = OnTheFly::Gzip.encoder();
        // Takes a thread far longer than it takes to be asked once.
        let large = Bytes::from(vec![b'x'; 256 * 1024]);
        assert!(tokio::time::timeout(std::time::Duration::ZERO, encoder.encode(large)).await.is_err());
        assert!(encoder.encode(Bytes::from_static(b"more")).await.is_err());
        assert!(encoder.finish().is_err());
    }
}
