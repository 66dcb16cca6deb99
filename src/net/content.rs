//! Reads a message's content from its connection.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::io::Io;
use crate::error::{Error, Phase, Refusal, Result};
use crate::h1::{Chunked, ChunkedReader, Framing};
use crate::message::{Frame, Header};

/// How much of the present message's content is still to be read.
pub(crate) enum ContentReader {
    Over,
    Length(u64),
    Chunked(Box<ChunkedReader>),
    /// All that comes, until the peer closes.
    UntilClose,
    /// It cannot be read further: the peer broke the framing, closed, or was too slow.
    Broken,
}

/// The most that one read of a large body asks for.
const MAX_BODY_READ_BYTES: u64 = 256 * 1024;
/// Content up to this size is copied out of the read buffer, so that the buffer can be used again.
const MAX_COPIED_BYTES: usize = 2048;
/// Content up to this size is taken in one piece, and held in memory whether it is read or not.
const MAX_AT_ONCE_BYTES: u64 = 64 * 1024;
/// The limits of a trailer section.
const MAX_TRAILER_BYTES: usize = 16 * 1024;
const MAX_TRAILER_VALUE_COUNT: usize = 500;

impl ContentReader {
    pub(crate) fn framed(framing: &Framing) -> ContentReader {
        match framing {
            Framing::Empty | Framing::Length(0) => ContentReader::Over,
            Framing::Length(length) => ContentReader::Length(*length),
            Framing::Chunked => {
                ContentReader::Chunked(Box::new(ChunkedReader::new(MAX_TRAILER_BYTES, MAX_TRAILER_VALUE_COUNT)))
            }
            Framing::UntilClose => ContentReader::UntilClose,
        }
    }

    /// How many bytes are still to come, where that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            ContentReader::Over => Some(0),
            ContentReader::Length(left) => Some(*left),
            ContentReader::Chunked(_) | ContentReader::UntilClose | ContentReader::Broken => None,
        }
    }

    /// All of the content in one piece and without waiting, where its length is known, it is small
    /// and lies in the input already. It is over then.
    pub(crate) fn over_at_once(&mut self, io: &mut Io) -> Option<Bytes> {
        let left = self.remaining().filter(|left| *left <= MAX_AT_ONCE_BYTES)?;
        let len = usize::try_from(left).ok().filter(|len| *len <= io.input.len())?;
        *self = ContentReader::Over;
        Some(take(io, len))
    }

    /// The next piece.
    pub(crate) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        match self {
            ContentReader::Over => Poll::Ready(None),
            ContentReader::Broken => Poll::Ready(Some(Err(Error::cut_off(Phase::Body)))),
            ContentReader::Length(left) => {
                let chunk = not_empty(ready!(poll_some(io, cx, *left))?)?;
                *left = left.saturating_sub(chunk.len() as u64);
                if *left == 0 {
                    *self = ContentReader::Over;
                }
                Poll::Ready(Some(Ok(Frame::Data(chunk))))
            }
            ContentReader::UntilClose => {
                let chunk = ready!(poll_some(io, cx, u64::MAX))?;
                if chunk.is_empty() {
                    *self = ContentReader::Over;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(Frame::Data(chunk))))
            }
            ContentReader::Chunked(reader) => {
                let piece = ready!(poll_chunked(reader, io, cx))?;
                Poll::Ready(match piece {
                    Piece::Data(chunk) => Some(Ok(Frame::Data(chunk))),
                    Piece::End(trailer) => {
                        *self = ContentReader::Over;
                        trailer.map(|trailer| Ok(Frame::Trailer(trailer)))
                    }
                })
            }
        }
    }
}

/// Content without framing of its own: what was read already, else a read of its own. Empty is the
/// end of the stream.
fn poll_some(io: &mut Io, cx: &mut Context<'_>, left: u64) -> Poll<Result<Bytes>> {
    if io.input.is_empty() && left > MAX_COPIED_BYTES as u64 {
        let most = usize::try_from(left.min(MAX_BODY_READ_BYTES)).unwrap_or(usize::MAX);
        return io.poll_read(cx, most).map_err(broken);
    }
    if io.input.is_empty() && ready!(io.poll_fill(cx)).map_err(broken)? == 0 {
        return Poll::Ready(Ok(Bytes::new()));
    }
    let here = usize::try_from(left).map_or(io.input.len(), |left| left.min(io.input.len()));
    Poll::Ready(Ok(take(io, here)))
}

enum Piece {
    Data(Bytes),
    End(Option<Header>),
}

fn poll_chunked(reader: &mut ChunkedReader, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<Piece>> {
    loop {
        if io.input.is_empty() && reader.chunk_left() > MAX_COPIED_BYTES as u64 {
            let most = usize::try_from(reader.chunk_left().min(MAX_BODY_READ_BYTES)).unwrap_or(usize::MAX);
            let chunk = not_empty(ready!(io.poll_read(cx, most)).map_err(broken)?)?;
            reader.took(chunk.len() as u64);
            return Poll::Ready(Ok(Piece::Data(chunk)));
        }
        match reader.read(&io.input).map_err(in_content)? {
            Chunked::Data { skip, len } => {
                io.input.advance(skip.min(io.input.len()));
                let len = len.min(io.input.len());
                return Poll::Ready(Ok(Piece::Data(take(io, len))));
            }
            Chunked::End { consumed, trailer } => {
                io.input.advance(consumed.min(io.input.len()));
                return Poll::Ready(Ok(Piece::End(trailer)));
            }
            Chunked::NeedMore { consumed } => {
                io.input.advance(consumed.min(io.input.len()));
                if ready!(io.poll_fill(cx)).map_err(broken)? == 0 {
                    return Poll::Ready(Err(Error::cut_off(Phase::Body)));
                }
            }
        }
    }
}

/// The first bytes of the input: copied when they are few, so that the buffer's memory stays its
/// own, else cut off.
fn take(io: &mut Io, len: usize) -> Bytes {
    if len > MAX_COPIED_BYTES {
        return io.input.split_to(len).freeze();
    }
    let copy = io.input.get(..len).map(Bytes::copy_from_slice).unwrap_or_default();
    io.input.advance(copy.len());
    copy
}

fn not_empty(chunk: Bytes) -> Result<Bytes> {
    if chunk.is_empty() { Err(Error::cut_off(Phase::Body)) } else { Ok(chunk) }
}

fn broken(error: std::io::Error) -> Error {
    Error::from(error).during(Phase::Body)
}

fn in_content(refusal: Refusal) -> Error {
    Error::from(refusal).during(Phase::Body)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::error::ErrorKind;

    /// A connection, its peer, and that so much of what the peer sent lies in the input.
    async fn connection(sent: &[u8]) -> (DuplexStream, Io) {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let mut io = Io::new(stream);
        peer.write_all(sent).await.unwrap();
        while io.input.len() < sent.len() {
            poll_fn(|cx| io.poll_fill(cx)).await.unwrap();
        }
        (peer, io)
    }

    /// The bytes of all pieces, and the error or the trailer that ended them.
    async fn read(content: &mut ContentReader, io: &mut Io) -> (Vec<u8>, Option<Result<Header>>) {
        let mut bytes = Vec::new();
        loop {
            match poll_fn(|cx| content.poll(io, cx)).await {
                Some(Ok(Frame::Data(chunk))) => {
                    assert!(!chunk.is_empty());
                    bytes.extend_from_slice(&chunk);
                }
                Some(Ok(Frame::Trailer(trailer))) => return (bytes, Some(Ok(trailer))),
                Some(Err(error)) => return (bytes, Some(Err(error))),
                None => return (bytes, None),
            }
        }
    }

    #[tokio::test]
    async fn content_without_framing_goes_on_until_the_peer_closes() {
        for size in [0, 1, 3000, 200_000] {
            let (mut peer, mut io) = connection(b"head").await;
            let mut content = ContentReader::framed(&Framing::UntilClose);
            assert_eq!(content.remaining(), None);
            let sent = vec![b'x'; size];
            peer.write_all(&sent).await.unwrap();
            drop(peer);
            let (bytes, end) = read(&mut content, &mut io).await;
            assert_eq!((bytes.len(), &bytes[..4]), (4 + size, &b"head"[..]));
            assert!(end.is_none() && matches!(content, ContentReader::Over));
            assert_eq!(content.remaining(), Some(0));
        }
    }

    #[tokio::test]
    async fn content_with_framing_that_ends_early_is_cut_off() {
        for (framing, sent) in
            [(Framing::Length(5), "hell"), (Framing::Chunked, "5\r\nhell"), (Framing::Length(5000), "hell")]
        {
            for sent in [sent, ""] {
                let (peer, mut io) = connection(sent.as_bytes()).await;
                drop(peer);
                let (bytes, end) = read(&mut ContentReader::framed(&framing), &mut io).await;
                assert_eq!(bytes, if sent.is_empty() { "" } else { "hell" }.as_bytes());
                assert_eq!(end.unwrap().unwrap_err().kind(), ErrorKind::CutOff, "{framing:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_follows_the_content_stays_in_the_input() {
        for (framing, sent, has_trailer) in [
            (Framing::Empty, "next", false),
            (Framing::Length(5), "hellonext", false),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\nnext", false),
            (Framing::Chunked, "5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\nnext", true),
        ] {
            let (_peer, mut io) = connection(sent.as_bytes()).await;
            let (bytes, end) = read(&mut ContentReader::framed(&framing), &mut io).await;
            assert_eq!(bytes, if framing == Framing::Empty { "" } else { "hello" }.as_bytes());
            assert_eq!((&io.input[..], end.is_some()), (&b"next"[..], has_trailer));
        }
    }

    #[tokio::test]
    async fn content_that_is_here_already_is_taken_in_one_piece() {
        for size in [0usize, 1, 2048, 2049, 64 * 1024] {
            let sent = [vec![b'x'; size], b"next".to_vec()].concat();
            let (_peer, mut io) = connection(&sent).await;
            let mut content = ContentReader::framed(&Framing::Length(size as u64));
            assert_eq!(content.over_at_once(&mut io).unwrap(), sent[..size]);
            assert!(matches!(content, ContentReader::Over));
            assert_eq!(io.input, "next");
        }
    }

    #[tokio::test]
    async fn content_that_is_not_here_is_too_large_or_of_unknown_length_is_left_alone() {
        let large = 64 * 1024 + 1;
        for (framing, size) in [
            (Framing::Length(5), 4),
            (Framing::Length(u64::MAX), 4),
            (Framing::Length(large), large),
            (Framing::UntilClose, 4),
            (Framing::Chunked, 4),
        ] {
            let size = usize::try_from(size).unwrap();
            let (_peer, mut io) = connection(&vec![b'5'; size]).await;
            let mut content = ContentReader::framed(&framing);
            assert!(content.over_at_once(&mut io).is_none() && !matches!(content, ContentReader::Over), "{framing:?}");
            assert_eq!(io.input.len(), size);
        }
        let (_peer, mut io) = connection(b"").await;
        assert!(ContentReader::Broken.over_at_once(&mut io).is_none());
    }
}
