//! Contents in all codings of this build: whole, cut at every byte, cut off, and corrupt.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::Header;
use crate::message::body::{Body, Frame, Source};

const ALL: &[u8] = b"gzip, deflate, br, zstd";

/// Chunks, then perhaps a trailer; it counts how often it was asked. `None` is a pause.
struct CodedChunks {
    chunks: VecDeque<Option<Bytes>>,
    trailer: Option<Header>,
    asked: Arc<AtomicUsize>,
}

impl Source for CodedChunks {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.chunks.pop_front() {
            Some(Some(chunk)) => Poll::Ready(Some(Ok(Frame::Data(chunk)))),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(self.trailer.take().map(|trailer| Ok(Frame::Trailer(trailer)))),
        }
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn body_of(chunks: impl IntoIterator<Item = Option<Bytes>>) -> Body {
    Body::from_source(CodedChunks { chunks: chunks.into_iter().collect(), trailer: None, asked: Arc::default() })
}

fn in_pieces(bytes: &[u8], size: usize) -> Body {
    body_of(bytes.chunks(size).map(|piece| Some(Bytes::copy_from_slice(piece))))
}

async fn decode(body: Body, coding: &str) -> Result<Vec<u8>> {
    let coding = decoder_for(coding.as_bytes(), ALL).expect("this build decodes it");
    decoded(body, coding).bytes(u64::MAX).await.map(Into::into)
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zlibbed(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bare(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[cfg(feature = "brotli")]
fn brotlied(content: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let mut encoder = ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    encoder.write_all(content).unwrap();
    Some(("br", encoder.into_inner()))
}

#[cfg(not(feature = "brotli"))]
fn brotlied(_: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    None
}

#[cfg(feature = "zstd")]
fn zstandarded(content: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    Some(("zstd", ::zstd::encode_all(content, 3).unwrap()))
}

#[cfg(not(feature = "zstd"))]
fn zstandarded(_: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    None
}

/// The content in every coding of this build.
fn in_all(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let always = [("gzip", gzipped(content)), ("deflate", zlibbed(content)), ("deflate", bare(content))];
    always.into_iter().chain(brotlied(content)).chain(zstandarded(content)).collect()
}

/// Text that is neither all the same nor all different.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|n| b"the quick brown fox "[(n * n / 7 + n) % 20]).collect()
}

#[tokio::test]
async fn content_is_the_same_however_it_is_cut() {
    for content in [text(0), text(1), text(300), text(2000)] {
        for (coding, bytes) in in_all(&content) {
            for size in [1, 2, 3, 7, 100, usize::MAX >> 1] {
                assert_eq!(decode(in_pieces(&bytes, size), coding).await.unwrap(), content, "{coding} by {size}");
            }
            for at in 1..bytes.len().min(100) {
                let (first, second) = bytes.split_at(at);
                let body = body_of([Some(Bytes::copy_from_slice(first)), None, Some(Bytes::copy_from_slice(second))]);
                assert_eq!(decode(body, coding).await.unwrap(), content, "{coding} cut at {at}");
            }
        }
    }
}

fn assert_decode_error(error: &Error, coding: &str, reason: &str) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Decode, Some(Phase::Decode)));
    assert_eq!(error.message(), format!("the content is not the {coding} that it is said to be: {reason}"));
}

#[tokio::test]
async fn content_that_ends_early_is_an_error_wherever_it_ends() {
    let content = text(200);
    for (coding, bytes) in in_all(&content) {
        for length in 1..bytes.len() {
            for size in [1, 1000] {
                let error = decode(in_pieces(&bytes[..length], size), coding).await.unwrap_err();
                assert_decode_error(&error, coding, "it ends in the middle");
            }
        }
    }
}

#[tokio::test]
async fn what_is_behind_the_end_is_an_error() {
    for (coding, mut bytes) in in_all(&text(400)) {
        bytes.extend_from_slice(b"trailing garbage");
        for size in [1, 1000] {
            let error = decode(in_pieces(&bytes, size), coding).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{coding}");
        }
    }
}

#[tokio::test]
async fn an_error_is_reported_again_and_comes_behind_what_was_right() {
    let mut bytes = gzipped(&text(100));
    *bytes.last_mut().unwrap() ^= 1;
    let mut body = decoded(in_pieces(&bytes, bytes.len() - 1), decoder_for(b"gzip", ALL).unwrap());
    assert_eq!(body.chunk().await.unwrap().unwrap(), text(100));
    for _ in 0..2 {
        assert_decode_error(&body.chunk().await.unwrap_err(), "gzip", "its checksum is wrong");
    }
}

#[tokio::test]
async fn every_flipped_bit_of_a_gzip_is_an_error_or_means_nothing() {
    let content = text(60);
    let bytes = gzipped(&content);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            // Time, hint and system of the head mean nothing, nor does the flag for text, nor do the
            // bits after the last code, up to the checksum.
            let means_nothing = (4..10).contains(&at) || (at, bit) == (3, 0) || at == bytes.len() - 9;
            let result = decode(in_pieces(&flipped, 1000), "gzip").await;
            match result {
                Ok(same) => assert!(means_nothing && same == content, "byte {at}, bit {bit}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Decode, "byte {at}, bit {bit}");
                    assert!(!means_nothing || at == bytes.len() - 9, "byte {at}, bit {bit}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_gzip_is_refused_at_once() {
    for bytes in [&b"not gzip at all"[..], b"\x1f\x8c", b"\x1f\x8b\x07", b"\x1f\x8b\x08\xff"] {
        let error = decode(in_pieces(bytes, 1000), "gzip").await.unwrap_err();
        assert_decode_error(&error, "gzip", "it does not begin as it must");
    }
}

#[tokio::test]
async fn nothing_has_no_coding() {
    for coding in ["gzip", "deflate"] {
        assert_eq!(decode(body_of([]), coding).await.unwrap(), b"");
        assert_eq!(decode(Body::empty(), coding).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn members_follow_one_another() {
    let both = [gzipped(b"one, "), gzipped(b""), gzipped(b"two")].concat();
    for size in 1..both.len() {
        assert_eq!(decode(in_pieces(&both, size), "gzip").await.unwrap(), b"one, two");
    }
    let error = decode(in_pieces(&both[..both.len() - 5], 9), "gzip").await.unwrap_err();
    assert_decode_error(&error, "gzip", "it ends in the middle");
}

#[tokio::test]
async fn fifty_thousand_empty_members_are_nothing() {
    let members = gzipped(b"").repeat(50_000);
    assert_eq!(decode(in_pieces(&members, 16 * 1024), "gzip").await.unwrap(), b"");
    assert_eq!(decode(Body::from(members), "gzip").await.unwrap(), b"");
}

/// A head with all that RFC 1952 §2.3 allows, and its checksum.
fn full_head() -> Vec<u8> {
    let mut head = vec![0x1f, 0x8b, 8, 0b1_1111, 1, 2, 3, 4, 0, 3, 3, 0, b'a', 0, b'b'];
    head.extend_from_slice(b"name\0comment\0");
    let mut crc = flate2::Crc::new();
    crc.update(&head);
    head.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
    head
}

#[tokio::test]
async fn a_head_may_have_everything_and_is_checked() {
    let whole = [full_head(), gzipped(b"hello")[10..].to_vec()].concat();
    for size in [1, 2, 1000] {
        assert_eq!(decode(in_pieces(&whole, size), "gzip").await.unwrap(), b"hello");
    }
    for length in 1..whole.len() {
        assert!(decode(in_pieces(&whole[..length], 1000), "gzip").await.is_err(), "{length}");
    }
    for at in 12..full_head().len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 0x20;
        assert!(decode(in_pieces(&wrong, 1000), "gzip").await.is_err(), "byte {at} of the head");
    }
    let no_extra = [vec![0x1f, 0x8b, 8, 0b100, 0, 0, 0, 0, 0, 3, 0, 0], gzipped(b"hi")[10..].to_vec()].concat();
    assert_eq!(decode(in_pieces(&no_extra, 1), "gzip").await.unwrap(), b"hi");
}

#[tokio::test]
async fn a_bomb_comes_in_chunks_of_64_kib_as_it_is_asked_for() {
    let zeros = vec![0; 1 << 20];
    for (coding, bytes) in in_all(&zeros) {
        let asked = Arc::new(AtomicUsize::new(0));
        let pieces = bytes.chunks(1024).map(|piece| Some(Bytes::copy_from_slice(piece))).collect();
        let source = CodedChunks { chunks: pieces, trailer: None, asked: asked.clone() };
        let mut body = decoded(Body::from_source(source), decoder_for(coding.as_bytes(), ALL).unwrap());
        let first = body.chunk().await.unwrap().unwrap();
        assert!(asked.load(Ordering::Relaxed) <= 2, "{coding}: no more is read than is needed");
        let mut length = first.len();
        while let Some(chunk) = body.chunk().await.unwrap() {
            assert!(!chunk.is_empty() && chunk.len() <= 64 * 1024, "{coding}: {}", chunk.len());
            length += chunk.len();
        }
        assert_eq!(length, zeros.len(), "{coding}");
        let limited = decoded(Body::from(bytes), decoder_for(coding.as_bytes(), ALL).unwrap()).bytes(1 << 19).await;
        assert_eq!(limited.unwrap_err().kind(), ErrorKind::BodyTooLarge, "the limit is on what was decoded");
    }
}

#[tokio::test]
async fn the_body_is_read_to_its_end_and_its_trailer_is_handed_on() {
    let asked = Arc::new(AtomicUsize::new(0));
    let trailer: Header = [("X-Sum", "5")].into_iter().collect();
    let chunks = [Some(gzipped(b"hello").into()), None].into_iter().collect();
    let source = CodedChunks { chunks, trailer: Some(trailer.clone()), asked: asked.clone() };
    let mut body = decoded(Body::from_source(source), decoder_for(b"gzip", ALL).unwrap());
    assert_eq!(body.remaining(), None);
    assert_eq!(body.bytes(100).await.unwrap(), "hello");
    assert_eq!((asked.load(Ordering::Relaxed), body.trailer()), (3, Some(&trailer)));
}

#[tokio::test]
async fn an_error_of_the_body_is_no_error_of_its_coding() {
    struct Failing;
    impl Source for Failing {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
            Poll::Ready(Some(Err(Error::cut_off(Phase::Body))))
        }
        fn remaining(&self) -> Option<u64> {
            None
        }
    }
    let error = decode(Body::from_source(Failing), "gzip").await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::CutOff, Some(Phase::Body)));
}

#[test]
fn only_what_was_asked_for_is_decoded() {
    let name = |coding: &str, asked: &str| decoder_for(coding.as_bytes(), asked.as_bytes()).map(|coding| coding.name);
    assert_eq!(name("gzip", accept_encoding()), Some("gzip"));
    assert_eq!(name(" GZip ", "br , gzip"), Some("gzip"));
    assert_eq!(name("x-gzip", "gzip"), Some("gzip"));
    assert_eq!(name("deflate", "gzip, deflate"), Some("deflate"));
    for (coding, asked) in [
        ("deflate", "gzip"),
        ("gzip", ""),
        ("gzip, gzip", "gzip"),
        ("identity", "identity"),
        ("", ""),
        ("br", "gzip"),
        ("compress", "compress"),
    ] {
        assert_eq!(name(coding, asked), None, "{coding} where {asked} was asked for");
    }
}

#[cfg(not(any(feature = "brotli", feature = "zstd")))]
#[test]
fn gzip_is_what_is_asked_for() {
    assert_eq!(accept_encoding(), "gzip");
}

#[cfg(all(feature = "brotli", feature = "zstd"))]
#[test]
fn all_that_is_decoded_is_asked_for_but_deflate() {
    assert_eq!(accept_encoding(), "gzip, br, zstd");
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn frames_of_zstandard_follow_one_another() {
    let both = [zstandarded(b"one, ").unwrap().1, zstandarded(b"two").unwrap().1].concat();
    for size in 1..both.len() {
        assert_eq!(decode(in_pieces(&both, size), "zstd").await.unwrap(), b"one, two");
    }
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn a_window_of_zstandard_is_of_8_mib_at_most() {
    let encoded = |log: u32| {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&text(1000)).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(decode(Body::from(encoded(23)), "zstd").await.unwrap(), text(1000));
    let error = decode(Body::from(encoded(24)), "zstd").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn codings_are_taken_off_in_turn_and_more_than_five_are_left() {
    for (values, layers, is_decoded) in [
        (&["gzip"][..], 1, true),
        (&["gzip, gzip"], 2, true),
        (&["gzip", "x-gzip ,, GZIP"], 3, true),
        (&["identity, gzip"], 1, true),
        (&["gzip, gzip, gzip, gzip, gzip"], 5, true),
        (&["gzip, gzip, gzip, gzip, gzip, gzip"], 6, false),
        (&["gzip, rot13"], 1, false),
        (&["rot13, gzip"], 1, false),
        (&["identity"], 0, false),
        (&[""], 0, false),
        (&[], 0, false),
    ] {
        let coded = (0..layers).fold(b"hello".to_vec(), |content, _| gzipped(&content));
        let header: Header = values.iter().map(|value| ("Content-Encoding", *value)).collect();
        let body = without_codings(Body::from(coded.clone()), &header, b"gzip");
        assert_eq!(body.is_ok(), is_decoded, "{values:?}");
        let expected = if is_decoded { b"hello".to_vec() } else { coded };
        let content = body.unwrap_or_else(|as_it_is| as_it_is).bytes(u64::MAX).await.unwrap();
        assert_eq!(content, expected, "{values:?}");
    }
}

/// What an encoder makes of these pieces, each of which is flushed if `flushes`.
fn encoded(coding: ContentCoding, level: CompressionLevel, pieces: &[&[u8]], flushes: bool) -> Vec<u8> {
    let mut encoder = encoder(coding, level).expect("this build makes it");
    let mut out = Vec::new();
    for piece in pieces {
        encoder.encode(piece, &mut out).unwrap();
        if flushes {
            encoder.flush(&mut out).unwrap();
        }
    }
    encoder.end(&mut out).unwrap();
    out
}

#[tokio::test]
async fn what_is_encoded_in_pieces_of_any_size_is_decoded_as_one() {
    let content = text(50_000);
    for coding in encodings() {
        for level in [CompressionLevel::Fastest, CompressionLevel::Default, CompressionLevel::Best] {
            for size in [500, 4096, content.len()] {
                let pieces: Vec<&[u8]> = content.chunks(size).collect();
                for flushes in [false, true] {
                    let coded = encoded(coding, level, &pieces, flushes);
                    assert!(flushes || coded.len() < content.len(), "{coding:?} {level:?} {}", coded.len());
                    let decoded = decode(in_pieces(&coded, 1000), coding.name()).await.unwrap();
                    assert!(decoded == content, "{coding:?} {level:?} in pieces of {size}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_was_flushed_can_be_decoded_before_more_comes() {
    for coding in encodings() {
        let mut encoder = encoder(coding, CompressionLevel::Default).unwrap();
        let mut out = Vec::new();
        let mut so_far = Vec::new();
        for n in 0..5 {
            let piece = format!("data: event number {n}\n\n");
            encoder.encode(piece.as_bytes(), &mut out).unwrap();
            encoder.flush(&mut out).unwrap();
            so_far.extend_from_slice(piece.as_bytes());
            let mut body = decoded(in_pieces(&out, 7), decoder_for(coding.name().as_bytes(), ALL).unwrap());
            let mut arrived = Vec::new();
            // The content ends in the middle, which is an error behind all that could be decoded.
            while let Ok(Some(chunk)) = body.chunk().await {
                arrived.extend_from_slice(&chunk);
            }
            assert_eq!(arrived, so_far, "{coding:?}");
        }
    }
}

#[tokio::test]
async fn no_content_is_encoded_as_a_whole_and_an_encoder_that_was_used_begins_anew() {
    for coding in encodings() {
        for _ in 0..3 {
            for content in [&b""[..], b"hello"] {
                let coded = encoded(coding, CompressionLevel::Default, &[content], false);
                assert_eq!(decode(in_pieces(&coded, 3), coding.name()).await.unwrap(), content);
            }
            // One that is dropped in the middle leaves nothing behind.
            encoder(coding, CompressionLevel::Default).unwrap().encode(b"left", &mut Vec::new()).unwrap();
        }
    }
}

#[test]
fn content_that_cannot_be_compressed_grows_little() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
    .take(100_000)
    .collect();
    for coding in encodings() {
        let coded = encoded(coding, CompressionLevel::Default, &[&noise], false);
        assert!(coded.len() < noise.len() + 1000, "{coding:?} {}", coded.len());
    }
}

#[tokio::test]
async fn what_a_client_sent_may_not_become_larger_than_the_bound_allows() {
    let large = vec![b'a'; 4 << 20];
    for (coding, bytes) in in_all(&large) {
        let times = (large.len() / bytes.len()) as u64;
        for (max_ratio, is_whole) in [(times + 1, true), (times / 2, false), (0, false), (u64::MAX, true)] {
            let coding_of = decoder_for(coding.as_bytes(), ALL).unwrap();
            let mut body = decoded_within(in_pieces(&bytes, bytes.len()), coding_of, max_ratio);
            match body.bytes(u64::MAX).await {
                Ok(content) => assert!(is_whole && content.len() == large.len(), "{coding} {max_ratio}"),
                Err(error) => {
                    assert_eq!((error.kind(), is_whole), (ErrorKind::BodyTooLarge, false), "{coding} {max_ratio}");
                    assert_eq!(error.status().unwrap(), 413);
                }
            }
        }
        // A mebibyte of the same letter is nothing that harms.
        let short = in_all(&large[..1 << 20]).into_iter().find(|(of, _)| *of == coding).unwrap().1;
        let mut body = decoded_within(Body::from(short), decoder_for(coding.as_bytes(), ALL).unwrap(), 1);
        assert_eq!(body.bytes(u64::MAX).await.unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn what_lies_between_two_codings_is_limited_though_nothing_comes_of_it() {
    // The head of a gzip member whose file name goes on and on.
    let endless_name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &vec![b'a'; 5 << 20]].concat();
    let header: Header = [("Content-Encoding", "gzip, gzip")].into_iter().collect();
    let mut body = decoded_request(Body::from(gzipped(&endless_name)), &header, u64::MAX, 1000).unwrap();
    assert_eq!(body.bytes(1000).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
}

#[tokio::test]
async fn a_requests_codings_are_all_taken_off_or_none_is() {
    let twice = gzipped(&zlibbed(b"hello"));
    for (lines, content) in [
        (&["deflate, gzip"][..], &b"hello"[..]),
        (&["Deflate", "X-GZIP, identity"], b"hello"),
        (&["identity"], &twice),
        (&["", ","], &twice),
    ] {
        let header: Header = lines.iter().map(|value| ("Content-Encoding", *value)).collect();
        let mut body = decoded_request(Body::from(twice.clone()), &header, 100, 1 << 20).unwrap();
        assert_eq!(body.bytes(1000).await.unwrap(), content, "{lines:?}");
    }
    for refused in ["compress", "gzip, aes128gcm", "gzip, gzip, gzip, gzip, gzip, gzip", "*", "gzip;q=1"] {
        let header: Header = [("Content-Encoding", refused)].into_iter().collect();
        let mut body = decoded_request(Body::from("kept"), &header, 100, 1 << 20).unwrap_err();
        assert_eq!(body.bytes(1000).await.unwrap(), "kept", "{refused}");
    }
    let header: Header = [("Content-Encoding", "gzip")].into_iter().collect();
    assert!(decoded_request(Body::empty(), &header, 100, 1 << 20).unwrap().is_empty());
    let mut corrupt = decoded_request(Body::from("no gzip"), &header, 100, 1 << 20).unwrap();
    assert_eq!(corrupt.bytes(1000).await.unwrap_err().status().unwrap(), 400);
}
