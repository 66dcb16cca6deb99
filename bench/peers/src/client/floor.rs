//! The lower bound for clients: directly on tokio, a connection for each task, the request as bytes
//! that are encoded once; of the response it finds the end, and reads nothing else. It shares no
//! connections and knows what the server sends: it is not an HTTP client.

use std::io;
use std::rc::Rc;

use memchr::memmem;
use peers::client::{Lap, Load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::LocalSet;

/// The size of one read.
const BUFFER_BYTES: usize = 64 << 10;

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    request: Vec<u8>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let load = Load::from_arguments();
    let mut connections = Vec::new();
    for _ in 0..load.concurrency {
        connections.push(Rc::new(Mutex::new(Connection::open(&load.url).await?)));
    }
    LocalSet::new()
        .run_until(load.measure(async |lap: Lap| {
            let times = load.each(lap);
            let tasks: Vec<_> = connections
                .iter()
                .cloned()
                .map(|connection| {
                    // Ends with its last answer.
                    tokio::task::spawn_local(async move { connection.lock().await.ask(times).await })
                })
                .collect();
            for task in tasks {
                task.await.expect("no task panics").expect("every request is answered");
            }
        }))
        .await;
    Ok(())
}

impl Connection {
    async fn open(url: &str) -> io::Result<Connection> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        Ok(Connection { stream, received: Vec::with_capacity(BUFFER_BYTES), request })
    }

    async fn ask(&mut self, times: usize) -> io::Result<()> {
        for _ in 0..times {
            self.stream.write_all(&self.request).await?;
            self.read_answer().await?;
        }
        Ok(())
    }

    async fn read_answer(&mut self) -> io::Result<()> {
        let mut left = loop {
            self.read().await?;
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break (end + 4 + peers::content_length(&self.received[..end])).saturating_sub(self.received.len());
            }
        };
        self.received.clear();
        while left > 0 {
            left = left.saturating_sub(self.read().await?);
            self.received.clear();
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<usize> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}
