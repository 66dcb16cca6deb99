//! One connection's bytes: the stream, what was read ahead of use, and two deadlines.
//!
//! Nothing here knows what the bytes mean. Each poll does one step, and the caller decides under which
//! deadline.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::buffers;
use super::deadline::Deadline;
use super::stream::{Rewind, Stream};
use crate::message::Addr;

pub(crate) struct Io {
    pub(super) stream: Box<dyn Stream>,
    /// Bytes that were read and not yet used.
    pub(crate) input: BytesMut,
    /// The peer sends no more: it has said so, or the connection broke.
    pub(crate) ended: bool,
    /// It did not say so: the connection broke, and nothing that is sent reaches it.
    pub(crate) broken: bool,
    pub(crate) read_deadline: Deadline,
    pub(crate) write_deadline: Deadline,
}

/// A buffer of fewer bytes than this saves nothing worth the copy.
const MIN_BUFFER_BYTES: usize = 512;

impl Io {
    pub(crate) fn new(stream: impl Stream) -> Io {
        Io::boxed(Box::new(stream))
    }

    /// Over a stream that is in a box already.
    pub(crate) fn boxed(stream: Box<dyn Stream>) -> Io {
        Io {
            stream,
            input: BytesMut::new(),
            ended: false,
            broken: false,
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
        }
    }

    /// The local address of a TCP connection. Costs a system call.
    pub(crate) fn local_addr(&self) -> Option<Addr> {
        let stream = (*self.stream).as_any().downcast_ref::<TcpStream>()?;
        stream.local_addr().ok().map(Addr::of_socket)
    }

    /// Reads once, and appends to the input. 0 is the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.is_empty() {
            buffers::renew(&mut self.input);
        } else if self.input.capacity() == self.input.len() {
            // Doubles; the head's limit bounds it.
            self.input.reserve(self.input.len().max(MIN_BUFFER_BYTES));
        }
        let read = read_once(&mut self.stream, &mut self.input, cx);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            self.shrink_input();
        }
        self.ended |= matches!(read, Poll::Ready(Ok(0) | Err(_)));
        self.broken |= matches!(read, Poll::Ready(Err(_)));
        read
    }

    /// Whether the peer has sent nothing and has not closed. Does not wait. When it returns `false` a
    /// byte may have been read and lost, so the connection is of no more use.
    #[cfg(feature = "client")]
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        let mut says = || Pin::new(&mut self.stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte));
        !self.ended && self.input.is_empty() && says().is_pending()
    }

    /// Moves input that has to wait for more into a buffer of about its size: a peer that sends a few
    /// bytes and then nothing must not hold a large one.
    fn shrink_input(&mut self) {
        let len = self.input.len();
        if len == 0 {
            buffers::give_back(std::mem::take(&mut self.input));
        } else if self.input.capacity() > 4 * len.max(MIN_BUFFER_BYTES) {
            let small = BytesMut::from(&self.input[..]);
            buffers::give_back(std::mem::replace(&mut self.input, small));
        }
    }

    /// Reads once, past the input (which must be empty), into memory of its own: how large
    /// bodies come in without a copy. Empty is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        if most >= buffers::MIN_LARGE_READ_BYTES {
            return self.poll_read_large(cx, most);
        }
        let mut chunk = BytesMut::with_capacity(most);
        ready!(self.poll_read_into(&mut chunk, cx, most))?;
        Poll::Ready(Ok(if is_small_part(&chunk, most) { Bytes::copy_from_slice(&chunk) } else { chunk.freeze() }))
    }

    /// The same into memory that the thread lends.
    fn poll_read_large(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        let mut memory = buffers::borrow_for_content();
        let read = self.poll_read_into(&mut memory, cx, most);
        let chunk = if is_small_part(&memory, buffers::MIN_LARGE_READ_BYTES) {
            let copy = Bytes::copy_from_slice(&memory);
            memory.clear();
            copy
        } else {
            memory.split().freeze()
        };
        buffers::keep_for_content(memory);
        read.map_ok(|()| chunk)
    }

    fn poll_read_into(&mut self, chunk: &mut BytesMut, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        let room = most.min(chunk.capacity());
        let mut limited = bytes::BufMut::limit(chunk, room);
        let read = ready!(pin!(self.stream.read_buf(&mut limited)).poll(cx));
        self.ended |= matches!(read, Ok(0) | Err(_));
        self.broken |= read.is_err();
        Poll::Ready(read.map(drop))
    }

    /// Writes some of these bytes. A write that takes none is an error.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = match parts {
            [part] => ready!(Pin::new(&mut self.stream).poll_write(cx, part))?,
            parts => ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?,
        };
        Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) })
    }

    /// Sends what a layer below (TLS) still buffers.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Tells the peer that nothing more will be sent.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Closes the stream at once, also where others still hold this: they read its end.
    #[cfg(feature = "server")]
    pub(crate) fn close(&mut self) {
        self.stream = Box::new(tokio::io::empty());
        self.input.clear();
        self.ended = true;
    }

    /// Has the close to come reset a TCP connection: without it, content that ends with its connection
    /// and was cut short would look whole. What the system has not sent yet is lost.
    #[cfg(feature = "server")]
    pub(crate) fn reset_on_close(&self) {
        if let Some(stream) = (*self.stream).as_any().downcast_ref::<TcpStream>() {
            // Where it fails the connection is broken already, and its peer knows.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// The stream, whose reads begin with the bytes that were read ahead.
    pub(crate) fn into_rewind(self) -> Rewind {
        let (stream, ahead) = self.into_parts();
        Rewind::new(stream, ahead)
    }

    /// The stream and what was read ahead of it.
    pub(crate) fn into_parts(mut self) -> (Box<dyn Stream>, BytesMut) {
        let input = std::mem::take(&mut self.input);
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        (stream, input)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        buffers::give_back(std::mem::take(&mut self.input));
    }
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("input", &self.input.len()).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Whether this is a small part of the room. It is copied then, so that keeping it does not keep all of
/// the memory.
fn is_small_part(chunk: &[u8], room: usize) -> bool {
    chunk.len() < room / 4
}

fn read_once(stream: &mut Box<dyn Stream>, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    pin!(stream.read_buf(buffer)).poll(cx)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn nothing_more(io: &mut Io) -> bool {
        poll_fn(|cx| Poll::Ready(io.poll_fill(cx).is_pending())).await
    }

    #[tokio::test]
    async fn bytes_that_wait_for_more_hold_a_buffer_of_about_their_size() {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let mut io = Io::new(stream);
        let mut expected = Vec::new();
        for piece in [&b"GET"[..], b" / HTTP/1.1\r\n", &[b'x'; 5000], &[b'y'; 100_000]] {
            peer.write_all(piece).await.unwrap();
            expected.extend_from_slice(piece);
            while io.input.len() < expected.len() {
                poll_fn(|cx| io.poll_fill(cx)).await.unwrap();
            }
            assert!(nothing_more(&mut io).await);
            assert_eq!(io.input, expected);
            assert!(io.input.capacity() <= 4 * expected.len().max(MIN_BUFFER_BYTES), "{} bytes", io.input.capacity());
        }
    }

    #[tokio::test]
    async fn a_read_without_bytes_keeps_no_buffer() {
        let (_peer, stream) = tokio::io::duplex(64);
        let mut io = Io::new(stream);
        assert!(nothing_more(&mut io).await);
        assert_eq!(io.input.capacity(), 0);
    }
}
