//! Streams that take all that is written and pass it on only when they were flushed to the end, as
//! TLS does when its peer or its task's budget makes it wait: nothing stays behind in one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::error::Phase;
use nethttp::net::{DialedStream, dial_fn};
use nethttp::server::ServerEvent;
use nethttp::{Body, Client, ErrorKind, Handler, Request, ResponseWriter, Server, Transport};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use crate::fake::{URL, fed};
use crate::handed::Handed;

/// A stream whose flushes take so many polls, or never end. It takes one part of a write, and of that a
/// byte where they are odd in number.
struct Holding {
    stream: DuplexStream,
    held: Vec<u8>,
    /// How often a flush is sent away, and how often this one still is.
    polls: usize,
    left: usize,
}

const NEVER: usize = usize::MAX - 1;

impl Holding {
    fn new(stream: DuplexStream, polls: usize) -> Holding {
        Holding { stream, held: Vec::new(), polls, left: polls }
    }

    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() && self.left > 0 {
            if self.left != NEVER {
                self.left -= 1;
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            self.held.drain(..written);
        }
        self.left = self.polls;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Holding {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Holding {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = if self.polls % 2 == 1 { bytes.get(..1).unwrap_or_default() } else { bytes };
        self.held.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_pass_on(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A client of a server, with such streams at both ends. No exchange takes it a second.
fn client_of(handler: impl Handler, protocols: ClientProtocols, polls: usize) -> Client {
    let mut client = Client::with_transport(transport_to(handler, protocols, polls));
    client.timeout = SECOND;
    client
}

fn transport_to(handler: impl Handler, protocols: ClientProtocols, polls: usize) -> Transport {
    let (given, incoming) = unbounded_channel();
    let mut server = Server::new(handler);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    tokio::spawn(async move { server.serve(Handed(incoming)).await });
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.expect_continue_timeout = 100 * SECOND;
    transport.protocols = protocols;
    transport.dial = Arc::new(dial_fn(move |_, _| {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        given.send(Holding::new(theirs, polls)).unwrap();
        async move { Ok(DialedStream::new(Holding::new(ours, polls))) }
    }));
    transport
}

/// A client for each protocol, with flushes of so many polls.
fn clients<H: Handler>(handler: impl Fn() -> H) -> impl Iterator<Item = (Client, String)> {
    [ClientProtocols::Http1, ClientProtocols::Http2].into_iter().flat_map(move |protocols| {
        let clients: Vec<_> = (0..4)
            .map(|polls| (client_of(handler(), protocols, polls), format!("{protocols:?}, {polls} polls")))
            .collect();
        clients
    })
}

fn post(body: Body) -> Request {
    Request::post(URL, body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_leaves_while_its_connection_is_kept() {
    let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await;
    for (client, with) in clients(|| hello) {
        for round in 0..3 {
            let mut response = client.get(URL).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "hello", "{with}");
            assert_eq!(response.is_reused(), round > 0, "{with}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_leaves_while_its_handler_waits() {
    let begins = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        std::future::pending().await
    };
    for (client, with) in clients(|| begins) {
        let mut response = client.get(URL).await.unwrap();
        assert_eq!(response.body.chunk().await.expect(&with).unwrap(), "begun");
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_of_who_waits_for_a_100_leaves_and_so_does_the_100() {
    let echo = async |w: &mut ResponseWriter, r: &mut Request| w.write(r.body.text().await?).await;
    for (client, with) in clients(|| echo) {
        let mut request = post(Body::from("content"));
        request.header.set("Expect", "100-continue");
        let answer = client.send(request).await.expect(&with).text().await;
        assert_eq!(answer.unwrap(), "content", "{with}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_leaves_before_the_next_one_is_there() {
    let stream_back = async |w: &mut ResponseWriter, r: &mut Request| {
        while let Some(chunk) = r.body.chunk().await? {
            w.write_bytes(chunk).await?;
            w.flush().await?;
        }
        Ok(())
    };
    for (client, with) in clients(|| stream_back) {
        let (feed, body) = fed();
        feed.send(Ok("0".into())).unwrap();
        let mut response = client.send(post(body)).await.expect(&with);
        for number in 0..5 {
            assert_eq!(response.body.chunk().await.expect(&with).unwrap(), number.to_string(), "{with}");
            feed.send(Ok((number + 1).to_string().into())).unwrap();
        }
        drop(feed);
        assert_eq!(response.text().await.expect(&with), "5", "{with}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_never_ends_is_a_stall() {
    let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await;
    let (feed, fed) = fed();
    feed.send(Ok("a piece".into())).unwrap();
    for body in [Body::empty(), Body::from("content"), fed] {
        let mut transport = transport_to(hello, ClientProtocols::Http1, NEVER);
        transport.stall_timeout = SECOND;
        let began = Instant::now();
        let error = Client::with_transport(transport).send(post(body)).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Write)));
        assert_eq!((error.limit(), began.elapsed()), (Some("stall_timeout"), SECOND));
    }
}
