//! The content of a message, on both sides and for every protocol.

// Here is the state of a body, and what changes it. `limit` and `whole` only ask for that, and `stream` makes bodies
// of streams.

mod limit;
mod stream;
mod whole;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::StatusCode;

use crate::error::{Error, ErrorKind, Result};
use crate::message::header::Header;

/// What [`Body::text`] and [`Body::json`] read at most, unless told otherwise: 10 MiB.
pub const DEFAULT_MAX_TEXT_BYTES: u64 = 10 << 20;

/// The content of a request or a response: nothing, bytes in memory, or bytes that arrive piece by
/// piece.
///
/// Read it with [`chunk`](Body::chunk), or whole with [`bytes`](Body::bytes),
/// [`text`](Body::text) and [`json`](Body::json). It is also an
/// [`AsyncRead`](tokio::io::AsyncRead) and an [`http_body::Body`]. All of these are cancel safe:
/// a read that is dropped has taken nothing, except that the whole-body helpers lose what they
/// had collected.
///
/// An error is final: it is reported again by every later read. A body that ends early is an
/// error ([`ErrorKind::CutOff`]), never a shorter body.
///
/// A request's body belongs to its exchange: kept after the handler returned, it reads as an error
/// ([`ErrorKind::RequestOver`]).
#[derive(Default)]
pub struct Body {
    state: BodyState,
    /// Bytes that were taken from the source and not returned yet.
    ready: Bytes,
    /// How many more bytes may come.
    allowed: Option<BodyAllowance>,
    trailer: Option<Box<Header>>,
    /// Makes the same body again. `None` where that is impossible, and where it is not needed because the
    /// bytes are in memory.
    maker: Option<Maker>,
}

type Maker = Arc<dyn Fn() -> Result<Body> + Send + Sync>;

#[derive(Default)]
enum BodyState {
    #[default]
    Ended,
    Streaming(Box<dyn Source>),
    Failed(Error),
    /// It was taken to be sent, and something else reads it.
    Spent,
}

/// What a limit leaves to be read.
#[derive(Clone, Copy)]
pub(crate) struct BodyAllowance {
    limit: u64,
    left: u64,
    origin: LimitOrigin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LimitOrigin {
    /// A layer that an inner one takes the place of (`BodyLimit`).
    Layer,
    /// Anybody else: it holds whatever comes after it.
    Caller,
}

/// Where the bytes of a body come from. Only one method is required, so that a source is easy to write.
pub(crate) trait Source: Send + Sync {
    /// The next piece: never an empty `Data`; `None` at the end. Not called again after the end
    /// or an error.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>>;

    /// How many bytes are still to come, where that is known.
    fn remaining(&self) -> Option<u64>;

    /// Goes on with what runs beside it and takes no piece: the body of a response sends what is left of its
    /// request. For a reader that cannot take another piece yet.
    fn poll_beside(&mut self, _cx: &mut Context<'_>) {}
}

/// A piece of a body: bytes, or the trailer that ends it.
pub(crate) enum Frame {
    Data(Bytes),
    Trailer(Header),
}

impl Body {
    /// No content at all (Go's `NoBody`).
    pub const fn empty() -> Body {
        Body { state: BodyState::Ended, ready: Bytes::new(), allowed: None, trailer: None, maker: None }
    }

    /// A body that a client can send more than once (Go's `GetBody`): for a redirect with 307 or
    /// 308, or on another connection when the first was dead. `make` is called now, and again
    /// each time. Bodies in memory need none of this.
    ///
    /// ```
    /// use nethttp::{Body, Bytes};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nethttp::Result<()> {
    /// let chunks = || stream_of(vec!["one, ", "two"]);
    /// let mut body = Body::from_fn(move || Ok(Body::from_stream(chunks())))?;
    /// let mut other = body.try_clone()?.expect("it can be made again");
    /// assert_eq!(body.text().await?, other.text().await?);
    /// # Ok(())
    /// # }
    /// # fn stream_of(items: Vec<&'static str>) -> impl futures_core::Stream<Item = Result<Bytes, std::io::Error>> {
    /// #     struct Items(std::vec::IntoIter<&'static str>);
    /// #     impl futures_core::Stream for Items {
    /// #         type Item = Result<Bytes, std::io::Error>;
    /// #         fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
    /// #             std::task::Poll::Ready(self.0.next().map(|item| Ok(Bytes::from_static(item.as_bytes()))))
    /// #         }
    /// #     }
    /// #     Items(items.into_iter())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `make`.
    pub fn from_fn(make: impl Fn() -> Result<Body> + Send + Sync + 'static) -> Result<Body> {
        let mut body = make()?;
        body.maker = Some(Arc::new(make));
        Ok(body)
    }

    /// The same content once more, from its start: for a body in memory that nothing was read
    /// of, and for one made with [`from_fn`](Body::from_fn). `None` for all others. Limits are
    /// not taken over.
    ///
    /// # Errors
    /// Those of the function that makes the body.
    pub fn try_clone(&self) -> Result<Option<Body>> {
        match (&self.maker, &self.state) {
            (Some(make), _) => {
                let mut body = make()?;
                body.maker = Some(make.clone());
                Ok(Some(body))
            }
            (None, BodyState::Ended) if self.trailer.is_none() => Ok(Some(Body::from(self.ready.clone()))),
            (None, _) => Ok(None),
        }
    }

    /// Whether [`try_clone`](Body::try_clone) can give the content again.
    pub fn is_replayable(&self) -> bool {
        self.maker.is_some() || matches!(self.state, BodyState::Ended)
    }

    /// Whether all content is in memory, so that reading never waits.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.state, BodyState::Ended)
    }

    pub(crate) fn take_trailer(&mut self) -> Option<Header> {
        self.trailer.take().map(|trailer| *trailer)
    }

    /// All of the content at once, where it is in memory and no limit is set.
    pub(crate) fn take_memory(&mut self) -> Option<Bytes> {
        let whole = matches!(self.state, BodyState::Ended) && self.allowed.is_none() && self.trailer.is_none();
        whole.then(|| self.take_ready())
    }

    /// Takes the body out, and leaves in its place what is needed to make it again.
    pub(crate) fn take_replayable(&mut self) -> Body {
        let left = match (&self.maker, &self.state) {
            (Some(make), _) => Body { state: BodyState::Spent, maker: Some(make.clone()), ..Body::empty() },
            (None, BodyState::Ended) => Body { ready: self.ready.clone(), ..Body::empty() },
            (None, _) => Body { state: BodyState::Spent, ..Body::empty() },
        };
        std::mem::replace(self, left)
    }

    pub(crate) fn from_source(source: impl Source + 'static) -> Body {
        Body { state: BodyState::Streaming(Box::new(source)), ..Body::empty() }
    }

    /// The next bytes, as they come; `None` at the end.
    ///
    /// # Errors
    /// A fault of the connection, a deadline, a limit, or framing that the peer broke. After an
    /// error the body is over and its connection is not used again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// Puts a trailer behind content that is in memory.
    pub(crate) fn set_trailer(&mut self, trailer: Option<Header>) {
        self.trailer = trailer.map(Box::new);
    }

    /// How many bytes are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        let ready = self.ready.len() as u64;
        match &self.state {
            BodyState::Ended => Some(ready),
            BodyState::Streaming(source) => source.remaining()?.checked_add(ready),
            BodyState::Failed(_) | BodyState::Spent => None,
        }
    }

    /// Whether nothing is left to read. `false` may still turn out to be the end.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && matches!(self.state, BodyState::Ended)
    }

    /// The trailer fields that came after the content, once it has been read to its end.
    pub fn trailer(&self) -> Option<&Header> {
        self.trailer.as_deref()
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.allowed.is_some() && self.announced_too_much() {
            return Poll::Ready(Some(Err(self.fail(too_large(self.allowed)))));
        }
        let next =
            if self.ready.is_empty() { std::task::ready!(self.poll_source(cx)) } else { Some(Ok(self.take_ready())) };
        Poll::Ready(match next {
            Some(Ok(chunk)) => Some(self.count(chunk)),
            other => other,
        })
    }

    /// Goes on with what runs beside it; see [`Source::poll_beside`].
    pub(crate) fn poll_beside(&mut self, cx: &mut Context<'_>) {
        if let BodyState::Streaming(source) = &mut self.state {
            source.poll_beside(cx);
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let source = match &mut self.state {
            BodyState::Streaming(source) => source,
            BodyState::Ended => return Poll::Ready(None),
            BodyState::Failed(error) => return Poll::Ready(Some(Err(error.again()))),
            BodyState::Spent => return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the body was sent")))),
        };
        match std::task::ready!(source.poll_frame(cx)) {
            Some(Ok(Frame::Data(chunk))) => Poll::Ready(Some(Ok(chunk))),
            Some(Ok(Frame::Trailer(trailer))) => {
                self.trailer = Some(Box::new(trailer));
                self.state = BodyState::Ended;
                Poll::Ready(None)
            }
            None => {
                self.state = BodyState::Ended;
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(self.fail(error)))),
        }
    }

    /// Cuts a chunk at the limit. The error comes after the bytes that are allowed.
    fn count(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let Some(allowed) = &mut self.allowed else { return Ok(chunk) };
        let len = chunk.len() as u64;
        if len <= allowed.left {
            allowed.left -= len;
            return Ok(chunk);
        }
        let error = too_large(self.allowed);
        let left = self.allowed.map_or(0, |allowed| allowed.left);
        let first = self.fail(error);
        if left == 0 {
            return Err(first);
        }
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(chunk)
    }

    fn announced_too_much(&self) -> bool {
        let left = self.allowed.map_or(u64::MAX, |allowed| allowed.left);
        self.remaining().is_some_and(|remaining| remaining > left)
    }

    /// Ends the body with this error. The source is dropped, by which its connection learns that the body is
    /// over.
    fn fail(&mut self, error: Error) -> Error {
        self.ready = Bytes::new();
        self.state = BodyState::Failed(error.again());
        error
    }

    fn take_ready(&mut self) -> Bytes {
        std::mem::take(&mut self.ready)
    }

    /// Reads into a slice: what [`AsyncRead`](tokio::io::AsyncRead) does with this body.
    pub(crate) fn poll_copy(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Option<Result<Bytes>>> {
        let mut chunk = match std::task::ready!(self.poll_chunk(cx)) {
            Some(Ok(chunk)) => chunk,
            other => return Poll::Ready(other),
        };
        if chunk.len() > room {
            let taken = chunk.copy_to_bytes(room);
            self.put_back(chunk);
            chunk = taken;
        }
        Poll::Ready(Some(Ok(chunk)))
    }

    fn put_back(&mut self, rest: Bytes) {
        if let Some(allowed) = &mut self.allowed {
            allowed.left += rest.len() as u64;
        }
        self.ready = rest;
    }
}

fn too_large(allowed: Option<BodyAllowance>) -> Error {
    let limit = allowed.map_or(0, |allowed| allowed.limit);
    Error::too_large(limit, format!("the body is over its limit of {limit} bytes"))
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

macro_rules! body_from_memory {
    ($($memory:ty),*) => {$(
        impl From<$memory> for Body {
            fn from(content: $memory) -> Body {
                Body { ready: Bytes::from(content), ..Body::empty() }
            }
        }
    )*};
}

body_from_memory!(Bytes, &'static str, &'static [u8], String, Vec<u8>);

impl From<()> for Body {
    fn from((): ()) -> Body {
        Body::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of known chunks, with or without an announced length.
    struct Chunks(Vec<Result<&'static str>>, Option<u64>);

    impl Source for Chunks {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
            if self.0.is_empty() {
                return Poll::Ready(None);
            }
            Poll::Ready(Some(self.0.remove(0).map(|text| Frame::Data(Bytes::from_static(text.as_bytes())))))
        }

        fn remaining(&self) -> Option<u64> {
            self.1
        }
    }

    fn streaming(chunks: &[&'static str]) -> Body {
        Body::from_source(Chunks(chunks.iter().map(|chunk| Ok(*chunk)).collect(), None))
    }

    #[tokio::test]
    async fn a_body_is_read_whole() {
        assert_eq!(streaming(&["he", "llo", " you"]).text().await.unwrap(), "hello you");
        assert_eq!(Body::from("memory").text().await.unwrap(), "memory");
        assert_eq!(Body::empty().text().await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_limit_lets_as_much_through_and_then_fails_for_good() {
        let mut body = streaming(&["hello", "world"]);
        body.limit(7);
        assert_eq!(body.chunk().await.unwrap().unwrap(), "hello");
        assert_eq!(body.chunk().await.unwrap().unwrap(), "wo");
        for _ in 0..2 {
            let error = body.chunk().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
            assert_eq!((error.status(), error.limit_bytes()), (Some(StatusCode::PAYLOAD_TOO_LARGE), Some(7)));
        }
    }

    #[tokio::test]
    async fn a_limit_that_is_just_reached_is_the_end_and_no_error() {
        let mut body = streaming(&["hello"]);
        assert_eq!(body.bytes(5).await.unwrap(), "hello");
        let mut empty = streaming(&[]);
        assert_eq!(empty.bytes(0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_fails_at_the_first_read() {
        let mut body = Body::from_source(Chunks(vec![Ok("hello")], Some(5)));
        assert_eq!(body.bytes(4).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
    }

    #[tokio::test]
    async fn of_two_limits_the_smaller_one_holds() {
        let mut body = streaming(&["hello"]);
        body.limit(3);
        body.limit(100);
        assert_eq!(body.bytes(50).await.unwrap_err().to_string(), "the body is over its limit of 3 bytes");
    }

    #[tokio::test]
    async fn an_error_is_reported_again() {
        let mut body = Body::from_source(Chunks(vec![Err(Error::cut_off(crate::error::Phase::Body))], None));
        assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff);
        assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff);
    }

    #[tokio::test]
    async fn a_small_reader_gets_a_large_chunk_in_pieces() {
        let mut body = streaming(&["hello"]);
        body.limit(5);
        let mut got = Vec::new();
        while let Some(piece) = poll_fn(|cx| body.poll_copy(cx, 2)).await {
            got.push(piece.unwrap());
        }
        assert_eq!(got, ["he", "ll", "o"]);
    }
}
