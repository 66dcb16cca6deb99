//! A graceful shutdown: requests under way are answered, streams are notified, nothing hangs.
//!
//!     cargo run --example shutdown & curl -N localhost:8000/clock   # then Ctrl-C the server

use std::time::Duration;

use nethttp::{Request, ResponseWriter, Result, ServeMux, Server};

/// Streams the time until the server drains or the client leaves.
async fn clock(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    loop {
        w.write(nethttp::header::format_time(std::time::SystemTime::now()) + "\n").await?;
        w.flush().await?;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = r.context().draining() => return w.write("good bye\n").await,
            () = r.context().cancelled() => return Ok(()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("GET /clock", clock);
    let mut server = Server::new(mux);
    server.addr = addr;

    server.shutdown_grace = Duration::from_secs(10);
    println!("{:?}", server.serve_until_signal().await?);
    Ok(())
}
