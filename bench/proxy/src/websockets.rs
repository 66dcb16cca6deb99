//! `proxy-websockets PORT CONNECTIONS MESSAGES`: so many WebSockets, each of which sends a message of 64 bytes, awaits
//! it back and sends the next, until there were so many messages on all of them. Prints how many there were a second.
//!
//! With `HOLD` in the environment each sends one message and stays; a line `open` is printed, and when standard input
//! ends each sends one more, so that it is seen that all are still there.

use std::env;
use std::io::{self, Read as _};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ASK: &[u8] = b"GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const CONTENT_BYTES: usize = 64;
/// So many open at a time: what listens has a queue.
const OPENED_TOGETHER: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let numbers: Vec<usize> = env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [port, connections, messages] = numbers[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
    let sockets = open_all(u16::try_from(port).map_err(io::Error::other)?, connections).await?;
    if env::var_os("HOLD").is_some() {
        return hold(sockets).await;
    }
    let begun = Instant::now();
    on_each(sockets, messages / connections).await?;
    println!("{:.0}", messages as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

async fn open_all(port: u16, connections: usize) -> io::Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(connections);
    while sockets.len() < connections {
        let mut opening = JoinSet::new();
        for _ in 0..OPENED_TOGETHER.min(connections - sockets.len()) {
            opening.spawn(open(port));
        }
        while let Some(opened) = opening.join_next().await {
            sockets.push(opened??);
        }
    }
    Ok(sockets)
}

async fn open(port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(ASK).await?;
    let mut answer = Vec::with_capacity(512);
    // Nothing follows the head before there was a message, but the content of a refusal may.
    while memchr::memmem::find(&answer, b"\r\n\r\n").is_none() {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other("it was not switched to WebSocket"));
    }
    Ok(stream)
}

async fn hold(sockets: Vec<TcpStream>) -> io::Result<()> {
    let sockets = on_each(sockets, 1).await?;
    println!("open");
    io::stdin().read_to_end(&mut Vec::new())?;
    let sockets = on_each(sockets, 1).await?;
    println!("{}", sockets.len());
    Ok(())
}

/// So many messages on each, all at the same time.
async fn on_each(sockets: Vec<TcpStream>, messages: usize) -> io::Result<Vec<TcpStream>> {
    let mut sending = JoinSet::new();
    for stream in sockets {
        sending.spawn(send(stream, messages));
    }
    let mut sockets = Vec::with_capacity(sending.len());
    while let Some(sent) = sending.join_next().await {
        sockets.push(sent??);
    }
    Ok(sockets)
}

async fn send(mut stream: TcpStream, messages: usize) -> io::Result<TcpStream> {
    let frame = frame();
    let mut received = vec![0; frame.len()];
    for _ in 0..messages {
        stream.write_all(&frame).await?;
        stream.read_exact(&mut received).await?;
        if received != frame {
            return Err(io::Error::other("another message came back"));
        }
    }
    Ok(stream)
}

/// A whole binary message of a client (RFC 6455 §5.2), masked with zeros. It comes back as it is: what is behind
/// the proxies is no WebSocket server, and they look into no frame.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | CONTENT_BYTES as u8, 0, 0, 0, 0];
    frame.resize(frame.len() + CONTENT_BYTES, b'x');
    frame
}
