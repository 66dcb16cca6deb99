//! HTTP/2 by hand: streams and tunnels that are given up at any moment, on a connection that goes on.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::kinds::Chance;
use crate::raw;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET http://h/`, from the static table (RFC 7541 appendix A).
pub(crate) const GET_ROOT: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'h'];

/// More resets in one read are a flood (`max_pending_resets`), and what is written apart may be read at once.
const MAX_RESETS: usize = 20;
/// Longer than the server lets anything wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A frame (RFC 9113 §4.1) with up to 255 bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A literal field without a place in the table, whose name is in the static one.
fn literal(name: u8, value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or_default();
    [&[name, length], value.as_bytes()].concat()
}

fn head(method: u8, path: &str) -> Vec<u8> {
    [&[method, 0x86][..], &literal(4, path), &literal(1, "h")].concat()
}

/// An extended CONNECT (RFC 8441).
fn connect() -> Vec<u8> {
    [&[0x02, 7][..], b"CONNECT", &[0x86], &literal(4, "/tunnel"), &literal(1, "h"), b"\x00\x09:protocol\x04echo"]
        .concat()
}

/// What begins a stream, and may end it again.
fn stream(id: u8, chance: &mut Chance) -> Vec<u8> {
    const GET: u8 = 0x82;
    const POST: u8 = 0x83;
    let content = vec![b'x'; chance.below(256)];
    let (head, has_content) = match chance.below(8) {
        0 => (head(GET, "/hello"), false),
        1 => (head(GET, "/slow"), false),
        2 | 3 => (head(GET, "/large"), false),
        4 => (head(GET, "/cut"), false),
        5 => (head(POST, "/echo"), true),
        6 => (head(POST, "/count"), true),
        _ => (connect(), true),
    };
    let flags = if has_content { END_HEADERS } else { END_HEADERS | END_STREAM };
    let mut bytes = frame(HEADERS, flags, id, &head);
    if has_content && chance.below(4) > 0 {
        bytes.extend(frame(DATA, if chance.below(2) == 0 { END_STREAM } else { 0 }, id, &content));
    }
    bytes
}

/// Opens streams, resets some, and asks for one thing more, which must come.
pub(crate) async fn work(addr: SocketAddr, chance: &mut Chance) -> Result<(), String> {
    let connection = raw::connect(addr).await?;
    if chance.below(2) == 0 {
        // It leaves with a reset.
        let _ = SockRef::from(&connection).set_linger(Some(Duration::ZERO));
    }
    let (reader, mut writer) = connection.into_split();
    let count = 1 + chance.below(60);
    let last = u8::try_from(2 * count + 1).unwrap_or(u8::MAX);
    let hearing = tokio::spawn(answer_of(reader, last));
    let sent = send(&mut writer, chance, count).await;
    let heard = if chance.below(4) == 0 {
        // It leaves in the middle.
        hearing.abort();
        return Ok(());
    } else {
        timeout(ANSWER_TIMEOUT, hearing).await
    };
    match heard {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(why))) => Err(format!("after resets: {why} (sent: {sent:?})")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {ANSWER_TIMEOUT:?} beside streams that were reset")),
    }
}

async fn send(writer: &mut tokio::net::tcp::OwnedWriteHalf, chance: &mut Chance, count: usize) -> std::io::Result<()> {
    let window = [0, 1000, 65_535][chance.below(3)];
    let settings = [&[0, 4][..], &u32::to_be_bytes(window)].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    // What was sent for streams that are reset must not take the last one's window.
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
    let (mut open, mut resets) = (Vec::new(), 0);
    for number in 0..count {
        let id = u8::try_from(2 * number + 1).unwrap_or(u8::MAX);
        bytes.extend(stream(id, chance));
        open.push(id);
        if resets < MAX_RESETS && chance.below(2) == 0 {
            let id = open.swap_remove(chance.below(open.len()));
            bytes.extend(frame(RST_STREAM, 0, id, &[0, 0, 0, 8]));
            resets += 1;
        }
        if chance.below(4) == 0 {
            writer.write_all(&std::mem::take(&mut bytes)).await?;
            sleep(Duration::from_millis(chance.below(4) as u64)).await;
        }
    }
    let last = u8::try_from(2 * count + 1).unwrap_or(u8::MAX);
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, last, &head(0x82, "/hello")));
    // Whatever the first window was, five bytes fit now.
    bytes.extend(frame(WINDOW_UPDATE, 0, last, &[0, 0, 0, 5]));
    writer.write_all(&bytes).await
}

/// Reads until the content of this stream has come.
async fn answer_of(reader: tokio::net::tcp::OwnedReadHalf, stream: u8) -> Result<(), String> {
    let mut reader = tokio::io::BufReader::new(reader);
    loop {
        let (kind, id, payload) = next(&mut reader).await.map_err(|error| error.to_string())?;
        match kind {
            GOAWAY => {
                return Err(format!("ended by {}", String::from_utf8_lossy(payload.get(8..).unwrap_or_default())));
            }
            RST_STREAM if id == u32::from(stream) => return Err("the last stream was reset".to_owned()),
            DATA if id == u32::from(stream) && payload == b"hello" => return Ok(()),
            _ => {}
        }
    }
}

async fn next(reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let [a, b, c, kind, _, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reader.read_exact(&mut payload).await?;
    Ok((kind, u32::from_be_bytes(id), payload))
}
