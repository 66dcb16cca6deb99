//! Events that a server sends as they happen: `new EventSource("/events")` in a browser reads them.
//!
//!     cargo run --example sse & curl -N localhost:8000/events

use std::time::Duration;

use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};

async fn events(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/event-stream");
    w.header().set("Cache-Control", "no-store");
    for id in 1_u64.. {
        w.write(format!("id: {id}\ndata: tick {id}\n\n")).await?;
        // Without this the event stays in the buffer until there is more.
        w.flush().await?;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            // The client has left, or the server shuts down.
            () = r.context().cancelled() => break,
            () = r.context().draining() => break,
        }
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
