//! A response of events, written by a handler.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use http::Method;
use tokio::time::{Instant, sleep_until};

use super::event::{Event, push_comment};
use super::queue::EventReceiver;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Context, Header, Request};
use crate::server::ResponseWriter;

/// How long an [`EventStream`] is silent at most, unless it is told otherwise: 15 s, as the specification advises.
/// Proxies give up connections on which nothing happens for a minute.
pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment, and an empty line so that readers which collect whole blocks see one. It is no event to anybody.
pub(super) const KEEP_ALIVE_TEXT: &str = ":\n\n";

/// The id of the last event that the client has had (`Last-Event-ID`): where to go on. `None` on its first
/// connection. It is the client's word.
pub fn last_event_id(request: &Request) -> Option<&str> {
    request.header.get("Last-Event-ID").filter(|id| !id.is_empty())
}

/// A response of server-sent events, written by a handler.
///
/// Each event is sent at once. While the handler [waits](Self::wait) for the next one, a comment goes out every
/// [15 s](DEFAULT_KEEP_ALIVE), so that nobody between takes the connection for dead, and a client that is gone
/// without a word is noticed by the write that fails. The wait ends when the client leaves, and when the server
/// begins to shut down: the handler should return then, which ends the response whole, and the client
/// connects again, to the server's successor.
///
/// A client that reads slowly holds [`send`](Self::send) up, and after
/// [`stall_timeout`](crate::Server::stall_timeout) without any progress the write fails. [`channel`](super::channel)
/// puts a bounded queue between, with a rule for what then happens.
///
/// [`write_timeout`](crate::Server::write_timeout) limits this response as any other, where it is set:
/// [`set_write_deadline`](ResponseWriter::set_write_deadline) takes it away.
/// [`Compression`](crate::middleware::Compression) holds no event back.
///
/// ```
/// use std::time::Duration;
/// use nethttp::sse::{Event, EventStream};
/// use nethttp::{Request, ResponseWriter, Result};
///
/// async fn ticks(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     let mut events = EventStream::start(w, r).await?;
///     let mut interval = tokio::time::interval(Duration::from_secs(1));
///     while events.wait(interval.tick()).await?.is_some() {
///         events.send(&Event::new("tick")).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct EventStream<'w> {
    writer: &'w mut ResponseWriter,
    context: Context,
    is_head: bool,
    keep_alive: Duration,
    last_write: Instant,
}

impl<'w> EventStream<'w> {
    /// Begins the response and sends its head, so that the client knows at once that it listens: with
    /// `Content-Type: text/event-stream`, with `Cache-Control: no-cache` unless the handler has set that field, and
    /// with `X-Accel-Buffering: no`, without which nginx collects what it passes on.
    ///
    /// To HEAD the head is all, and [`wait`](Self::wait) ends at once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where a head is sent already; else as [`ResponseWriter::write`].
    pub async fn start(writer: &'w mut ResponseWriter, request: &Request) -> Result<EventStream<'w>> {
        if writer.is_sent() {
            return Err(Error::new(ErrorKind::Invalid, "the head of a response is sent already"));
        }
        set_fields(writer.header());
        writer.flush().await?;
        Ok(EventStream {
            writer,
            context: request.context().clone(),
            is_head: request.method == Method::HEAD,
            keep_alive: DEFAULT_KEEP_ALIVE,
            last_write: Instant::now(),
        })
    }

    /// Sets after how long a silence a comment is sent. [`Duration::ZERO`]: none is, and a client that is gone
    /// without a word is noticed only when an event is sent.
    pub fn set_keep_alive(&mut self, interval: Duration) {
        self.keep_alive = interval;
    }

    /// Whether the client has left or the server shuts down: then the handler should return.
    pub fn is_over(&self) -> bool {
        self.is_head || self.context.is_cancelled() || self.context.is_draining()
    }

    /// Sends an event.
    ///
    /// # Errors
    /// Those of [`Event::encode`], and then nothing is sent; else as [`ResponseWriter::write`]. Dropped half-way, it
    /// leaves a response that cannot go on.
    pub async fn send(&mut self, event: &Event) -> Result<()> {
        let text = event.encode()?;
        self.write(&text).await
    }

    /// Sends a comment, which no client shows. An empty one is fine.
    ///
    /// # Errors
    /// As [`ResponseWriter::write`].
    pub async fn comment(&mut self, text: &str) -> Result<()> {
        let mut lines = String::new();
        push_comment(&mut lines, text);
        lines.push('\n');
        self.write(&lines).await
    }

    /// Waits for something, and keeps the connection alive meanwhile. `None`, with the future dropped, as soon as the
    /// client has left or the server shuts down.
    ///
    /// # Errors
    /// As [`ResponseWriter::write`], where a comment could not be sent to a client that is still there.
    pub async fn wait<T>(&mut self, future: impl Future<Output = T>) -> Result<Option<T>> {
        if self.is_over() {
            return Ok(None);
        }
        let context = self.context.clone();
        let (mut future, mut ended) = (pin!(future), pin!(ended(&context)));
        loop {
            let keep_alive =
                (!self.keep_alive.is_zero()).then(|| self.last_write.checked_add(self.keep_alive)).flatten();
            let mut silence = pin!(keep_alive.map(sleep_until));
            let waited = poll_fn(|cx| {
                if ended.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Waited::Ended);
                }
                if let Poll::Ready(value) = future.as_mut().poll(cx) {
                    return Poll::Ready(Waited::Value(value));
                }
                let is_silent = silence.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready());
                if is_silent { Poll::Ready(Waited::Silence) } else { Poll::Pending }
            });
            match waited.await {
                Waited::Value(value) => return Ok(Some(value)),
                Waited::Ended => return Ok(None),
                Waited::Silence => match self.write(KEEP_ALIVE_TEXT).await {
                    Err(_) if self.context.is_cancelled() => return Ok(None),
                    written => written?,
                },
            }
        }
    }

    /// Sends all events of a stream, until it ends, the client leaves, or the server shuts down.
    ///
    /// # Errors
    /// As [`send`](Self::send); that the client has left is none.
    pub async fn send_all(&mut self, events: impl Stream<Item = Event>) -> Result<()> {
        let mut events = pin!(events);
        while let Some(Some(event)) = self.wait(poll_fn(|cx| events.as_mut().poll_next(cx))).await? {
            let sent = self.send(&event).await;
            self.unless_left(sent)?;
        }
        Ok(())
    }

    /// Sends the events of a [`channel`](super::channel), until its senders are gone, the client leaves, or the server
    /// shuts down. The queue fills while the client does not take what is sent.
    ///
    /// # Errors
    /// As [`send`](Self::send); that the client has left is none. [`ErrorKind::TimedOut`] when the queue was full
    /// and its rule is [`SlowReader::Disconnect`](super::SlowReader::Disconnect): then the event that is just being
    /// sent is cut off, and the connection with it.
    pub async fn send_from(&mut self, mut events: EventReceiver) -> Result<()> {
        while let Some(Some(event)) = self.wait(events.recv()).await? {
            let sent = {
                let mut send = pin!(self.send(&event));
                poll_fn(|cx| {
                    let is_overrun = events.poll_overrun(cx).is_ready();
                    if is_overrun { Poll::Ready(Err(too_slow())) } else { send.as_mut().poll(cx) }
                })
                .await
            };
            self.unless_left(sent)?;
        }
        if events.is_overrun() && !self.context.is_cancelled() { Err(too_slow()) } else { Ok(()) }
    }

    async fn write(&mut self, text: &str) -> Result<()> {
        self.writer.write(text).await?;
        self.writer.flush().await?;
        self.last_write = Instant::now();
        Ok(())
    }

    /// A write fails for a client that has left: nobody needs to hear of that. The next wait is over.
    fn unless_left(&self, sent: Result<()>) -> Result<()> {
        match sent {
            Err(_) if self.context.is_cancelled() => Ok(()),
            other => other,
        }
    }
}

impl fmt::Debug for EventStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("keep_alive", &self.keep_alive)
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}

enum Waited<T> {
    Value(T),
    Silence,
    Ended,
}

pub(super) fn set_fields(header: &mut Header) {
    header.set("Content-Type", "text/event-stream");
    header.set("X-Accel-Buffering", "no");
    if !header.contains("Cache-Control") {
        header.set("Cache-Control", "no-cache");
    }
}

/// Completes when the client has left or the server shuts down.
async fn ended(context: &Context) {
    let (mut cancelled, mut draining) = (pin!(context.cancelled()), pin!(context.draining()));
    poll_fn(|cx| {
        let is_over = cancelled.as_mut().poll(cx).is_ready() || draining.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn too_slow() -> Error {
    Error::new(ErrorKind::TimedOut, "the client takes events too slowly").during(Phase::Write)
}
