//! Connects to a stream of events, reads it, and connects again when it is lost.
//!
//! ```text
//!             200 of the right type            an event
//!  Connecting ───────────────────▶ Open ───▶ (returned)
//!   ▲   │  │                         │
//!   │   │  └── 204 ──▶ Closed        │ the stream ends or is cut off
//!   │   │                            ▼
//!   │   └── no connection ──▶  Waiting: the server's `retry`; longer after each failure in a row
//!   └──────────────────────────────┘
//! ```
//!
//! Any other response is an error to the caller. All state is in the struct: the future of `next` may be dropped at any
//! await.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, sleep_until, timeout};

use super::event::Event;
use super::parser::EventParser;
use crate::client::{Client, IntoUrl};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Body, Header, Request, Response, has_control};

/// The most bytes that an event may have, unless told otherwise: 1 MiB.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1 << 20;

/// How long to wait before connecting again, until the server says otherwise. Chromium's value.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);

/// Where the server asks for less: it would be a busy loop.
const MIN_RETRY: Duration = Duration::from_millis(100);

/// Where the server asks for more: a number too many in it must not silence a client for good.
const MAX_RETRY: Duration = Duration::from_secs(3600);

/// What the doubling after failures leads to at most, unless the server asks for more.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

const DEFAULT_MAX_FAILURES: u32 = 10;

/// Reads server-sent events, and connects again when the connection is lost (a browser's `EventSource`).
///
/// What a server is asked for again begins behind the last event that came whole: its id is sent as `Last-Event-ID`. A
/// stream that ends, or is cut off, is followed by a wait as long as the server has said (`retry`; 3 s if it has not,
/// 100 ms to an hour) and a new connection. Where none can be made the wait doubles with each failure in a row, up to
/// a minute, with a quarter of chance added, so that a server that comes back does not get all of its clients at once.
///
/// - **204** ends it: [`next`](Self::next) returns `None`. So says a server that wants no more connections.
/// - **Any other status than 200, and another type** than `text/event-stream`, is an error. A browser gives up then;
///   here the caller decides, as another call connects again after the wait.
/// - The client's [`timeout`](Client::timeout) limits each connection up to the head of its response, and not how long
///   events come. A connection that died without a word is found by
///   [`Timeouts::stall`](crate::client::Timeouts::stall) of the [request](Self::with_request): set it to some times
///   the interval at which the server sends comments, where it does (15 s is usual). By default there is no such limit.
///
/// ```no_run
/// use nethttp::{Client, Result};
/// use nethttp::sse::EventSource;
///
/// # async fn example() -> Result<()> {
/// let mut events = EventSource::new(&Client::new(), "https://example.com/prices")?;
/// events.header().set("Authorization", "Bearer secret");
/// while let Some(event) = events.next().await? {
///     match event.name.as_str() {
///         "price" => println!("{}", event.data),
///         other => println!("passed over: {other}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct EventSource {
    client: Client,
    /// Without content, to be made anew for each connection.
    request: Request,
    state: SourceState,
    last_id: String,
    retry: Duration,
    /// Connections in a row that could not be made.
    failures: u32,
    max_failures: u32,
    max_event_bytes: usize,
}

enum SourceState {
    /// Before this moment nothing is sent.
    Waiting(Option<Instant>),
    Open(Box<OpenStream>),
    Closed,
}

struct OpenStream {
    body: Body,
    parser: EventParser,
    /// What was received and is not parsed yet.
    input: Bytes,
}

impl EventSource {
    /// Events of this URL. Nothing is sent before the first [`next`](Self::next).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a URL that is none.
    pub fn new(client: &Client, url: impl IntoUrl) -> Result<EventSource> {
        EventSource::with_request(client, Request::get(url)?)
    }

    /// Events that this request asks for, with its fields, its [`Timeouts`](crate::client::Timeouts) and its context:
    /// it is sent again for each connection. Its method may be another than GET.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where its content cannot be sent more than once.
    pub fn with_request(client: &Client, request: Request) -> Result<EventSource> {
        if !request.body.is_replayable() {
            let text = "the content of a request for events has to be one that can be sent again";
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        Ok(EventSource {
            client: client.clone(),
            request,
            state: SourceState::Waiting(None),
            last_id: String::new(),
            retry: DEFAULT_RETRY,
            failures: 0,
            max_failures: DEFAULT_MAX_FAILURES,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
        })
    }

    /// The fields that are sent with each connection from now on. `Accept`, `Cache-Control` and `Last-Event-ID` are
    /// added.
    pub fn header(&mut self) -> &mut Header {
        &mut self.request.header
    }

    /// The id of the last event: where another `EventSource` could go on. Empty if there is none.
    pub fn last_event_id(&self) -> &str {
        &self.last_id
    }

    /// Goes on behind the event of this id: of effect from the next connection on. An id with control characters is
    /// not sent, as it is no field value.
    pub fn set_last_event_id(&mut self, id: impl Into<String>) {
        self.last_id = id.into();
    }

    /// Sets how long to wait before connecting again, until the server says otherwise. 3 s by default; 100 ms
    /// at least, an hour at most.
    pub fn set_retry(&mut self, wait: Duration) {
        self.retry = wait.clamp(MIN_RETRY, MAX_RETRY);
    }

    /// Sets how many connections in a row may fail before [`next`](Self::next) returns the error of the last one. 10 by
    /// default, which takes some minutes; 0: it never gives up.
    pub fn set_max_failures(&mut self, count: u32) {
        self.max_failures = count;
    }

    /// Sets how many bytes an event may have, comments and a single line too.
    /// [`DEFAULT_MAX_EVENT_BYTES`] by default.
    pub fn set_max_event_bytes(&mut self, bytes: usize) {
        self.max_event_bytes = bytes;
    }

    /// The next event, from this connection or another one; `None` once the server has ended it with 204, or after
    /// [`close`](Self::close). Cancel safe.
    ///
    /// # Errors
    /// After each of them another call connects again.
    ///
    /// - [`ErrorKind::Status`] for a status of 400 or above, [`ErrorKind::Malformed`] for another response that is no
    ///   stream of events, [`ErrorKind::BodyTooLarge`] for an event that is too long.
    /// - As [`Client::send`] for what another attempt would not better (a certificate that is not trusted, a redirect
    ///   that cannot be followed, a request that may not be sent), and when
    ///   [too many](Self::set_max_failures) connections have failed in a row.
    /// - [`ErrorKind::Cancelled`] when the request's context has ended.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            match &mut self.state {
                SourceState::Closed => return Ok(None),
                SourceState::Open(stream) => {
                    let read = stream.next().await;
                    if let Some(wait) = stream.parser.take_retry() {
                        self.retry = wait.clamp(MIN_RETRY, MAX_RETRY);
                    }
                    stream.parser.last_id().clone_into(&mut self.last_id);
                    match read {
                        Ok(Some(event)) => return Ok(Some(event)),
                        Ok(None) => self.wait(),
                        Err(error) => {
                            self.wait();
                            unless_final(error)?;
                        }
                    }
                }
                SourceState::Waiting(until) => {
                    if let Some(until) = *until {
                        sleep_until(until).await;
                    }
                    self.connect().await?;
                }
            }
        }
    }

    /// Closes the connection. Every further [`next`](Self::next) returns `None`.
    pub fn close(&mut self) {
        self.state = SourceState::Closed;
    }

    /// Makes one attempt. Its outcome is the new state, and an error for the caller where there is one.
    async fn connect(&mut self) -> Result<()> {
        match self.send().await.and_then(|response| response.map(events_of).transpose()) {
            Ok(None) => self.state = SourceState::Closed,
            Ok(Some(body)) => {
                self.failures = 0;
                let parser = EventParser::new(self.max_event_bytes, self.last_id.clone());
                self.state = SourceState::Open(Box::new(OpenStream { body, parser, input: Bytes::new() }));
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.wait();
                let is_last = self.max_failures != 0 && self.failures >= self.max_failures;
                if is_last {
                    self.failures = 0;
                    return Err(error);
                }
                unless_final(error)?;
            }
        }
        Ok(())
    }

    /// The response, of which only the head is limited in time; `None` for 204.
    async fn send(&self) -> Result<Option<Response>> {
        let Some(mut request) = self.request.try_clone()? else {
            return Err(Error::new(ErrorKind::Invalid, "the content of a request for events cannot be sent again"));
        };
        for (name, value) in [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")] {
            if !request.header.contains(name) {
                request.header.set(name, value);
            }
        }
        if !self.last_id.is_empty() && !has_control(self.last_id.as_bytes()) {
            request.header.set("Last-Event-ID", &self.last_id);
        }
        let limit = request.timeouts.total.replace(Duration::ZERO).unwrap_or(self.client.timeout);
        let sent = self.client.send(request);
        let response = if limit.is_zero() {
            sent.await?
        } else {
            timeout(limit, sent).await.map_err(|_| Error::over_limit(Phase::Head, "timeout", limit))??
        };
        Ok(Some(response).filter(|response| response.status != StatusCode::NO_CONTENT))
    }

    /// Leaves the connection, and connects again after a while.
    fn wait(&mut self) {
        let wait = back_off(self.retry, self.failures, RandomState::new().hash_one(self.failures));
        self.state = SourceState::Waiting(Instant::now().checked_add(wait));
    }
}

impl OpenStream {
    /// `None` where the stream ends; what of an event came until then is dropped.
    async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let mut input = &self.input[..];
            let event = self.parser.next(&mut input)?;
            self.input = self.input.split_off(self.input.len().saturating_sub(input.len()));
            if event.is_some() {
                return Ok(event);
            }
            match self.body.chunk().await? {
                Some(chunk) => self.input = chunk,
                None => return Ok(None),
            }
        }
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            SourceState::Waiting(_) => "waiting",
            SourceState::Open(_) => "open",
            SourceState::Closed => "closed",
        };
        f.debug_struct("EventSource")
            .field("state", &state)
            .field("failures", &self.failures)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// The events of a response, if it is one that has some.
fn events_of(response: Response) -> Result<Body> {
    let response = response.error_for_status()?;
    if response.status != StatusCode::OK {
        return Err(Error::new(ErrorKind::Malformed, format!("{} is no stream of events", response.status)));
    }
    let media_type = response.header.get("Content-Type").unwrap_or_default();
    let essence = media_type.split_once(';').map_or(media_type, |(essence, _)| essence).trim();
    if !essence.eq_ignore_ascii_case("text/event-stream") {
        return Err(Error::new(ErrorKind::Malformed, "the response is not of the type text/event-stream"));
    }
    Ok(response.body)
}

/// The error, where another attempt would end in the same way or the caller has to know.
fn unless_final(error: Error) -> Result<()> {
    let is_final = matches!(
        error.kind(),
        ErrorKind::Invalid
            | ErrorKind::Unsupported
            | ErrorKind::Tls
            | ErrorKind::Redirect
            | ErrorKind::Status
            | ErrorKind::Malformed
            | ErrorKind::BodyTooLarge
            | ErrorKind::Cancelled
            | ErrorKind::Decode
    );
    if is_final { Err(error) } else { Ok(()) }
}

/// How long to wait, after so many failures in a row.
fn back_off(retry: Duration, failures: u32, random: u64) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return retry };
    let wait = retry.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_BACK_OFF.max(retry));
    let quarter = u64::try_from((wait / 4).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    wait.saturating_add(Duration::from_millis(random.checked_rem(quarter).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_servers_and_doubles_with_each_failure() {
        let secs = Duration::from_secs;
        assert_eq!(back_off(secs(3), 0, 99), secs(3));
        assert_eq!([1, 2, 3, 6, 40].map(|failures| back_off(secs(3), failures, 0)), [3, 6, 12, 60, 60].map(secs));
        assert_eq!(back_off(secs(600), 5, 0), secs(600), "what the server asks for is no less");
        assert_eq!(back_off(secs(4), 1, 1000), secs(5), "a quarter of chance at most");
        assert_eq!(back_off(secs(4), 1, 1001), secs(4));
    }
}
