//! Events that a server sends as they happen: `new EventSource("/events")` in a browser reads them. A client that
//! connects again goes on where it was.
//!
//!     cargo run --example sse & curl -N localhost:8000/events

use std::time::Duration;

use nethttp::sse::{Event, EventStream, last_event_id};
use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};

async fn events(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let mut number: u64 = last_event_id(r).and_then(|id| id.parse().ok()).unwrap_or(0);
    let mut interval = tokio::time::interval(Duration::from_millis(500));
    let mut events = EventStream::start(w, r).await?;
    // `None` once the client has left or the server shuts down.
    while events.wait(interval.tick()).await?.is_some() {
        number = number.saturating_add(1);
        let event = Event { id: Some(number.to_string()), ..Event::new(format!("tick {number}")) };
        events.send(&event).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("GET /events", events);
    listen_and_serve(addr, mux).await
}
