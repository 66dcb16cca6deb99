//! The stream below a session, which looks at the first bytes that come.
//!
//! A peer that does not speak TLS must get no alert from rustls: it could not read it. Its first bytes
//! are kept, so that one can see what it speaks instead, and respond in that.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::net::stream::{Stream, delegate_write};

pub(super) struct Peek {
    stream: Box<dyn Stream>,
    /// The first bytes, as many as a record's head has (RFC 8446 §5.1).
    first: [u8; 5],
    /// How many of them were read, and how many of those were passed on.
    seen: u8,
    passed: u8,
    stage: PeekStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeekStage {
    /// Not all of the first bytes were passed on yet.
    Looking,
    /// They were a record's; all that follows passes by.
    Passing,
}

impl Peek {
    pub(super) fn new(stream: Box<dyn Stream>) -> Peek {
        Peek { stream, first: [0; 5], seen: 0, passed: 0, stage: PeekStage::Looking }
    }

    /// The bytes read so far of the first five.
    pub(super) fn first(&self) -> &[u8] {
        self.first.get(..usize::from(self.seen)).unwrap_or_default()
    }

    pub(super) fn into_inner(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Waits for the first byte, and reads as far as is needed to see what the peer speaks. What
    /// is not TLS is an error.
    pub(super) async fn look(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_look(cx)).await
    }

    /// Reads until it is clear what the peer speaks. What is not TLS is read as far as is needed to
    /// tell what it is.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_foreign = self.first().first().is_some_and(|&kind| !is_record_type(kind));
            if self.first().len() == self.first.len() || (!self.first().is_empty() && !is_foreign) {
                let result = if is_foreign { Err(not_tls()) } else { Ok(()) };
                return Poll::Ready(result);
            }
            let room = self.first.get_mut(usize::from(self.seen)..).unwrap_or_default();
            let mut buf = ReadBuf::new(room);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            let came = buf.filled().len();
            match read {
                Ok(()) if came == 0 && is_foreign => return Poll::Ready(Err(not_tls())),
                Ok(()) if came == 0 => return Poll::Ready(Ok(())),
                // Five bytes at most.
                Ok(()) => self.seen += u8::try_from(came).unwrap_or_default(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Whether a TLS record may begin so (RFC 8446 §5.1): no letter is among them.
fn is_record_type(byte: u8) -> bool {
    (20..=24).contains(&byte)
}

fn not_tls() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak TLS")
}

impl AsyncRead for Peek {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stage == PeekStage::Passing {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        ready!(self.poll_look(cx))?;
        let left = self.first().get(usize::from(self.passed)..).unwrap_or_default();
        let taken = left.len().min(buf.remaining());
        buf.put_slice(left.get(..taken).unwrap_or_default());
        // Five bytes at most.
        self.passed += u8::try_from(taken).unwrap_or_default();
        if self.passed == self.seen {
            self.stage = PeekStage::Passing;
        }
        Poll::Ready(Ok(()))
    }
}

delegate_write!(Peek, stream);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_tls_passes_whole_at_every_cut_and_into_any_room() {
        let sent = *b"\x16\x03\x01 and all that follows";
        for cut in 0..sent.len() {
            for room in [1, 2, 5, 100] {
                let (mut peer, stream) = duplex(64);
                let mut peek = Peek::new(Box::new(stream));
                let sending = tokio::spawn(async move {
                    peer.write_all(&sent[..cut]).await.unwrap();
                    tokio::task::yield_now().await;
                    peer.write_all(&sent[cut..]).await.unwrap();
                });
                let mut heard = Vec::new();
                let mut buffer = vec![0; room];
                loop {
                    match peek.read(&mut buffer).await.unwrap() {
                        0 => break,
                        read => heard.extend_from_slice(&buffer[..read]),
                    }
                }
                assert_eq!(heard, sent, "cut at {cut}, room for {room}");
                sending.await.unwrap();
            }
        }
    }
}
