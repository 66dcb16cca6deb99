//! Content codings by way of what others wrote, on whole content.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// `None` where it cannot be decoded.
pub fn slowly_decoded(coding: &str, coded: &[u8]) -> Option<Vec<u8>> {
    let is_zlib = coded.len() >= 2 && coded[0] & 15 == 8 && u16::from_be_bytes([coded[0], coded[1]]) % 31 == 0;
    match coding {
        "gzip" => all(MultiGzDecoder::new(coded)),
        "deflate" if is_zlib => all(ZlibDecoder::new(coded)),
        "deflate" => all(DeflateDecoder::new(coded)),
        "br" => all(brotli::Decompressor::new(coded, 4096)),
        _ => all(zstd::stream::read::Decoder::new(coded).ok()?),
    }
}

fn all(mut decoder: impl Read) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    decoder.read_to_end(&mut content).ok().map(|_| content)
}

pub fn encoded(coding: &str, content: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).and_then(|()| encoder.finish())
        }
        "br" => {
            let mut coded = Vec::new();
            let params = brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() };
            brotli::BrotliCompress(&mut &content[..], &mut coded, &params).map(|_| coded)
        }
        _ => zstd::stream::encode_all(content, 1),
    }
    .expect("memory takes all that is written")
}
