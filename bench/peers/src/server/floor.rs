//! The lower bound: a server directly on tokio that only finds the end of each message. Nothing that
//! reads and writes sockets on tokio can cost less, so it shows what tokio and the system take. It
//! knows the requests that it gets: it is not an HTTP server.

use std::env;
use std::io::{self, IoSlice};

use memchr::memmem;
use peers::{HELLO, address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Holds the largest request of a workload, so that one read brings it whole.
const BUFFER_BYTES: usize = 32 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let big = peers::big();
    let hello = ready_made("text/plain", HELLO.as_bytes());
    let listener = TcpListener::bind(address()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // Ends with its connection; a peer that leaves is not reported.
        tokio::spawn(async move { serve(stream, hello, big).await.ok() });
    }
}

/// The response. With `CLOSE` set it has `Connection: close`, and the connection closes.
fn ready_made(kind: &str, content: &[u8]) -> &'static [u8] {
    let length = content.len();
    let close = if closes() { "Connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{close}Content-Length: {length}\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
    );
    [head.as_bytes(), content].concat().leak()
}

fn closes() -> bool {
    env::var_os("CLOSE").is_some()
}

async fn serve(mut stream: TcpStream, hello: &[u8], big: &[u8]) -> io::Result<()> {
    let closes = closes();
    let mut received = Vec::with_capacity(BUFFER_BYTES);
    let mut answers = Vec::new();
    while stream.read_buf(&mut received).await? > 0 {
        let mut used = 0;
        while let Some(end) = memmem::find(&received[used..], b"\r\n\r\n") {
            let head = &received[used..used + end + 4];
            used += head.len();
            match head {
                [b'G', _, _, _, b'/', b' ', ..] => answers.extend_from_slice(hello),
                [b'P', ..] => used += echo(&mut stream, head, &received[used..]).await?,
                _ => send_big(&mut stream, big).await?,
            }
        }
        received.drain(..used);
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
        if closes {
            break;
        }
    }
    Ok(())
}

async fn send_big(stream: &mut TcpStream, big: &[u8]) -> io::Result<()> {
    let length = big.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n");
    write_both(stream, head.as_bytes(), big).await
}

/// Sends content back as it comes. Returns how much of `received` was content.
async fn echo(stream: &mut TcpStream, head: &[u8], received: &[u8]) -> io::Result<usize> {
    let length = peers::content_length(head);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n");
    let used = received.len().min(length);
    write_both(stream, head.as_bytes(), &received[..used]).await?;
    let mut left = length - used;
    let mut chunk = Vec::with_capacity(left.min(BUFFER_BYTES));
    while left > 0 {
        let read = (&mut *stream).take(left as u64).read_buf(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&chunk).await?;
        chunk.clear();
        left -= read;
    }
    Ok(used)
}

async fn write_both(stream: &mut TcpStream, first: &[u8], second: &[u8]) -> io::Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).await?;
    if written < first.len() {
        stream.write_all(&first[written..]).await?;
    }
    stream.write_all(&second[written.saturating_sub(first.len())..]).await
}
