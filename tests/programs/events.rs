//! What happens, to everybody who listens, as server-sent events; nobody who listens holds up a shutdown.

use nethttp::{Request, ResponseWriter, Result, ServeMux, StatusCode, handle_with};
use tokio::sync::broadcast::{self, error::RecvError};

#[derive(Clone)]
struct Channel(broadcast::Sender<String>);

impl Channel {
    async fn publish(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let text = r.body.text().await?;
        let listeners = self.0.send(text).unwrap_or(0);
        w.write_header(StatusCode::ACCEPTED);
        w.write(format!("{listeners}\n")).await
    }

    async fn listen(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let mut events = self.0.subscribe();
        w.header().set("Content-Type", "text/event-stream");
        w.header().set("Cache-Control", "no-store");
        w.flush().await?; // the client knows at once that it listens
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = r.context().cancelled() => return Ok(()),
                () = r.context().draining() => return Ok(()),
            };
            match event {
                Ok(text) => w.write(as_event(&text)).await?,
                Err(RecvError::Lagged(count)) => w.write(format!("event: missed\ndata: {count}\n\n")).await?,
                Err(RecvError::Closed) => return Ok(()),
            }
            w.flush().await?;
        }
    }
}

/// Each line of the text is a line of the event, or it would end the event or begin another field.
fn as_event(text: &str) -> String {
    text.lines().map(|line| format!("data: {line}\n")).chain(["\n".to_owned()]).collect()
}

fn service() -> ServeMux {
    let (mux, channel) = (ServeMux::new(), Channel(broadcast::channel(100).0));
    mux.handle("GET /events", handle_with(channel.clone(), Channel::listen));
    mux.handle("POST /events", handle_with(channel, Channel::publish));
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn an_event_is_there_when_it_happens_and_a_shutdown_ends_the_stream_whole() {
    let server = nethttp::testing::Server::in_memory(service());
    let (client, url) = (server.client(), format!("{}/events", server.url()));
    let mut stream = client.get(&*url).await.unwrap();
    let publish = async |text: &str| client.post(&*url, "text/plain", text.to_owned()).await.unwrap();
    assert_eq!(publish("one\ntwo").await.text().await.unwrap(), "1\n");
    assert_eq!(stream.body.chunk().await.unwrap().unwrap(), "data: one\ndata: two\n\n");
    let (report, end) = tokio::join!(server.close(), async { stream.body.chunk().await });
    assert_eq!((report.connections.cut, end.unwrap()), (0, None));
}
