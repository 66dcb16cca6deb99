//! Bodies of the `http-body` crate as ours, and ours as one of them.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::body::{Body, Frame, Source};
use crate::error::{Error, Result};

impl Body {
    /// A body out of any other crate's, read piece by piece as it comes: its length is known where the other knows it,
    /// and its trailer follows it.
    ///
    /// ```
    /// use nethttp::Body;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nethttp::Result<()> {
    /// // One of ours stands for any `http_body::Body`.
    /// let mut body = Body::from_http_body(Body::from("hello"));
    /// assert_eq!((body.remaining(), body.text().await?), (Some(5), "hello".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_http_body<B>(body: B) -> Body
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut body = Some(body);
        // One of our own is taken as it is.
        if let Some(ours) = (&mut body as &mut dyn Any).downcast_mut::<Option<Body>>() {
            return ours.take().unwrap_or_default();
        }
        match body {
            Some(body) if !body.is_end_stream() => Body::from_source(HttpBodySource(Mutex::new(Box::pin(body)))),
            _ => Body::empty(),
        }
    }
}

/// Another crate's body. The mutex makes it `Sync`, and is locked only to ask for its length.
struct HttpBodySource<B>(Mutex<Pin<Box<B>>>);

impl<B> Source for HttpBodySource<B>
where
    B: http_body::Body + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            let frame = match std::task::ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::from(error.into())))),
                None => return Poll::Ready(None),
            };
            let other = match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::Data(data))));
                    }
                    continue;
                }
                Err(other) => other,
            };
            // What is neither content nor a trailer has no place in HTTP.
            if let Ok(trailer) = other.into_trailers() {
                return Poll::Ready(Some(Ok(Frame::Trailer(trailer.into()))));
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint().exact()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>>>> {
        Poll::Ready(match std::task::ready!(self.poll_chunk(cx)) {
            Some(chunk) => Some(chunk.map(http_body::Frame::data)),
            None => self.take_trailer().map(|trailer| Ok(http_body::Frame::trailers(trailer.into()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty() && self.trailer().is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.remaining().map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::message::Header;

    /// Another crate's body: its frames, and its length where it says one.
    struct Frames(Vec<http_body::Frame<&'static [u8]>>, Option<u64>);

    impl http_body::Body for Frames {
        type Data = &'static [u8];
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<http_body::Frame<&'static [u8]>>>> {
            Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
        }

        fn size_hint(&self) -> http_body::SizeHint {
            self.1.map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
        }
    }

    #[tokio::test]
    async fn length_content_and_trailer_come_through_in_both_directions() {
        let trailer = Header::from_iter([("X-End", "yes")]);
        let data = http_body::Frame::data;
        let frames = vec![data(&b"one"[..]), data(b""), data(b"two"), http_body::Frame::trailers(trailer.into())];
        let mut body = Body::from_http_body(Frames(frames, Some(6)));
        assert_eq!(body.remaining(), Some(6));
        assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
        assert_eq!(body.chunk().await.unwrap().unwrap(), "two");
        assert_eq!(body.chunk().await.unwrap(), None);
        assert_eq!(body.trailer().unwrap().get("X-End"), Some("yes"));

        let mut body = Body::from_http_body(body);
        let mut theirs = Pin::new(&mut body);
        let frame = poll_fn(|cx| http_body::Body::poll_frame(theirs.as_mut(), cx)).await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["x-end"], "yes");
        assert!(poll_fn(|cx| http_body::Body::poll_frame(theirs.as_mut(), cx)).await.is_none());
    }
}
