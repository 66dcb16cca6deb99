//! Events as the content of a response that is a value.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::event::Event;
use super::stream::{DEFAULT_KEEP_ALIVE, KEEP_ALIVE_TEXT, set_fields};
use crate::error::Result;
use crate::message::{Body, Frame, Request, Response, Source};

/// The response to this request with the events of a stream, for a handler of [`respond`](crate::respond). It is
/// what [`EventStream`](super::EventStream) writes: with the same fields, a comment after a silence of
/// [15 s](DEFAULT_KEEP_ALIVE), an end when the server shuts down; and the stream is dropped when the client leaves.
///
/// A stream that is an [`EventReceiver`](super::EventReceiver) fills its queue while the client does not take what is
/// sent. With [`SlowReader::Disconnect`](super::SlowReader::Disconnect) the response ends when that client takes
/// something again, or is cut off by [`stall_timeout`](crate::Server::stall_timeout);
/// [`EventStream::send_from`](super::EventStream::send_from) cuts it off at once.
///
/// ```
/// use nethttp::sse::{self, Event, SlowReader};
/// use nethttp::{Request, Response, respond};
///
/// async fn countdown(r: &mut Request) -> Response {
///     let (sender, events) = sse::channel(16, SlowReader::Wait);
///     tokio::spawn(async move {
///         for left in (0..3).rev() {
///             // An error: the client has left.
///             if sender.send(Event::new(left.to_string())).await.is_err() {
///                 return;
///             }
///         }
///     });
///     sse::response(r, events)
/// }
///
/// let mux = nethttp::ServeMux::new();
/// mux.handle("GET /countdown", respond(countdown));
/// ```
pub fn response(request: &Request, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    response_with_keep_alive(request, events, DEFAULT_KEEP_ALIVE)
}

/// The same with another silence after which a comment is sent. [`Duration::ZERO`]: none is.
pub fn response_with_keep_alive(
    request: &Request,
    events: impl Stream<Item = Event> + Send + 'static,
    keep_alive: Duration,
) -> Response {
    let context = request.context().clone();
    let mut response = Response::new(Body::from_source(EventContent {
        events: Mutex::new(Box::pin(events)),
        draining: Mutex::new(Box::pin(async move { context.draining().await })),
        keep_alive,
        silence: None,
    }));
    set_fields(&mut response.header);
    response
}

/// Mutexes that are never locked (`get_mut` is enough): they only make the content `Sync`.
struct EventContent {
    events: Mutex<Pin<Box<dyn Stream<Item = Event> + Send>>>,
    draining: Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>,
    keep_alive: Duration,
    /// `None` until there was something to wait for.
    silence: Option<Pin<Box<Sleep>>>,
}

impl EventContent {
    /// Whether it is time for a comment. The time counts anew after each piece.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = Instant::now().checked_add(self.keep_alive).filter(|_| !self.keep_alive.is_zero()) else {
            return Poll::Pending;
        };
        self.silence.get_or_insert_with(|| Box::pin(sleep_until(until))).as_mut().poll(cx)
    }
}

impl Source for EventContent {
    /// What ends the stream is asked first: a stream that always has an event would else hold up a shutdown.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let draining = self.draining.get_mut().unwrap_or_else(PoisonError::into_inner);
        if draining.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let events = self.events.get_mut().unwrap_or_else(PoisonError::into_inner);
        let text = match events.as_mut().poll_next(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(event)) => event.encode(),
            Poll::Pending => {
                std::task::ready!(self.poll_silence(cx));
                Ok(KEEP_ALIVE_TEXT.to_owned())
            }
        };
        self.silence = None;
        Poll::Ready(Some(text.map(|text| Frame::Data(Bytes::from(text)))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}
