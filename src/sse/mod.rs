//! Server-sent events: text that a server sends as things happen, over one response that stays
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>; `new EventSource("/events")` in a browser).
//!
//! On the server an [`EventStream`] goes out of a handler, and [`response`] is one as a value:
//!
//! ```
//! use nethttp::sse::{Event, EventStream};
//! use nethttp::{Request, ResponseWriter, Result, ServeMux};
//! use tokio::sync::broadcast;
//!
//! async fn listen(news: &broadcast::Sender<String>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
//!     let mut news = news.subscribe();
//!     let mut events = EventStream::start(w, r).await?;
//!     // `None` once the client has left or the server shuts down.
//!     while let Some(Ok(text)) = events.wait(news.recv()).await? {
//!         events.send(&Event::new(text)).await?;
//!     }
//!     Ok(())
//! }
//!
//! let mux = ServeMux::new();
//! mux.handle("GET /news", nethttp::handle_with(broadcast::Sender::new(100), listen));
//! ```
//!
//! On the client an [`EventSource`] reads them, and connects again when the connection is lost:
//!
//! ```no_run
//! use nethttp::sse::EventSource;
//!
//! # async fn example(client: &nethttp::Client) -> nethttp::Result<()> {
//! let mut events = EventSource::new(client, "https://example.com/news")?;
//! while let Some(event) = events.next().await? {
//!     println!("{}: {}", event.name, event.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The guide has a page on it: `docs/guide/live.md`.

// event     what both sides speak of, and how it is written
// stream    a response of events, written by a handler           (server)
//   content   the same as the content of a response that is a value
//   queue     events between tasks, bounded, with a rule for readers that are slow
// parser    bytes in, events out                                 (client)
//   source    connects, reads, waits, connects again

#[cfg(feature = "server")]
mod content;
mod event;
#[cfg(any(feature = "client", test))]
mod parser;
#[cfg(feature = "server")]
mod queue;
#[cfg(feature = "client")]
mod source;
#[cfg(feature = "server")]
mod stream;

#[cfg(feature = "server")]
pub use content::{response, response_with_keep_alive};
pub use event::Event;
#[cfg(feature = "server")]
pub use queue::{EventReceiver, EventSender, SlowReader, channel};
#[cfg(feature = "client")]
pub use source::{DEFAULT_MAX_EVENT_BYTES, EventSource};
#[cfg(feature = "server")]
pub use stream::{DEFAULT_KEEP_ALIVE, EventStream, last_event_id};
