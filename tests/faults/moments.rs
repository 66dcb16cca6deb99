//! What a client has said when it dies, as bytes in each mode, and the handlers that it dies on.

use std::time::Duration;

use nethttp::error::Phase;
use nethttp::{ErrorKind, Request, ResponseWriter, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedSender;

use crate::paths::{Stream, connect_tls};
use crate::site::Mode;

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Connected, and nothing said.
    Accepted,
    /// Within the TLS handshake.
    Handshake,
    /// Within the head of its first request.
    Head,
    /// Within the content, which the handler reads.
    Content,
    /// Its handler runs, and neither reads nor writes.
    Handler,
    /// The same, with content that it leaves unread.
    Unread,
    /// It has read a part of an answer that has no end.
    Answer,
    /// It has its answer.
    Idle,
}

pub(crate) const MOMENTS: [Moment; 8] = [
    Moment::Accepted,
    Moment::Handshake,
    Moment::Head,
    Moment::Content,
    Moment::Handler,
    Moment::Unread,
    Moment::Answer,
    Moment::Idle,
];

/// What a handler saw of its client's end: an error, or how long it waited in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Failed(ErrorKind, Option<Phase>),
    Cancelled,
    Nothing,
}

pub(crate) type Told = UnboundedSender<Seen>;

/// How long the handler of [`Moment::Handler`] works.
pub(crate) const WORK: Duration = Duration::from_secs(60);

/// Reads, waits or writes, by its path.
pub(crate) async fn die_on(told: &Told, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let tell = |seen| told.send(seen).unwrap();
    let failed = match r.escaped_path() {
        "/read" => r.body.bytes(1000).await.unwrap_err(),
        "/wait" => {
            let context = r.context().clone();
            let seen = tokio::time::timeout(WORK, context.cancelled()).await;
            tell(if seen.is_ok() { Seen::Cancelled } else { Seen::Nothing });
            return w.write("late").await;
        }
        "/pour" => loop {
            if let Err(error) = w.write(vec![b'x'; 10_000]).await {
                break error;
            }
        },
        _ => return w.write("ok").await,
    };
    tell(Seen::Failed(failed.kind(), failed.phase()));
    Err(failed)
}

/// Whether a connection of this mode comes there at all.
pub(crate) fn exists(mode: Mode, moment: Moment) -> bool {
    mode.is_secure() || moment != Moment::Handshake
}

/// Brings a connection there.
pub(crate) async fn bring<S: Stream + 'static>(mode: Mode, moment: Moment, mut stream: S) -> Box<dyn Stream> {
    match moment {
        Moment::Accepted => return Box::new(stream),
        Moment::Handshake => {
            // A record of the handshake that announces 512 bytes, and a few of them.
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.unwrap();
            return Box::new(stream);
        }
        _ => {}
    }
    let mut stream: Box<dyn Stream> = match mode {
        Mode::Http1 | Mode::Http2 => Box::new(stream),
        Mode::Http1Tls => Box::new(connect_tls(stream, b"http/1.1").await),
        Mode::Http2Tls => Box::new(connect_tls(stream, b"h2").await),
    };
    let request = if mode.is_http2() { http2(mode, moment) } else { http1(moment) };
    stream.write_all(&request).await.unwrap();
    stream.flush().await.unwrap();
    match moment {
        Moment::Idle => until(&mut stream, b"ok").await,
        Moment::Answer => until(&mut stream, &[b'x'; 20]).await,
        _ => {}
    }
    stream
}

/// Reads until this has come. Above HTTP/2 and TLS it is in the open all the same.
async fn until(stream: &mut Box<dyn Stream>, what: &[u8]) {
    let mut read = Vec::new();
    while !read.windows(what.len()).any(|window| window == what) {
        let mut buf = [0; 512];
        let length = stream.read(&mut buf).await.unwrap();
        assert!(length > 0, "the server closed first");
        read.extend_from_slice(&buf[..length]);
    }
}

fn http1(moment: Moment) -> Vec<u8> {
    let text = match moment {
        Moment::Head => "GET / HTTP/1.1\r\nHo",
        Moment::Content => "POST /read HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nsome",
        Moment::Unread => "POST /wait HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nsome",
        Moment::Handler => "GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n",
        Moment::Answer => "GET /pour HTTP/1.1\r\nHost: a.test\r\n\r\n",
        _ => "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    };
    text.into()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn http2(mode: Mode, moment: Moment) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, b""));
    let get = |path| frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(mode, 0x82, path));
    let post = |path| {
        let head = frame(HEADERS, END_HEADERS, 1, &block(mode, 0x83, path));
        [head, frame(DATA, 0, 1, b"some")].concat()
    };
    bytes.extend(match moment {
        Moment::Head => frame(HEADERS, END_STREAM, 1, &block(mode, 0x82, "/")),
        Moment::Content => post("/read"),
        Moment::Unread => post("/wait"),
        Moment::Handler => get("/wait"),
        Moment::Answer => get("/pour"),
        _ => get("/"),
    });
    bytes
}

/// A request's fields (RFC 7541 §6): method and scheme from the static table, the rest spelled out.
fn block(mode: Mode, method: u8, path: &str) -> Vec<u8> {
    let scheme = if mode.is_secure() { 0x87 } else { 0x86 };
    let mut block = vec![method, scheme, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 6]);
    block.extend(b"a.test");
    block
}

/// A frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
