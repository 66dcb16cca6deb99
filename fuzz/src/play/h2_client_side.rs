//! A client and a server of HTTP/2 that plays a script, and what has to hold of what passed between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::{Body, Method, Request, Response, ResponseWriter, RoundTripper, Server, Transport, Uri, testing};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::frames::*;
use super::h2_script::Sender;
use super::peer::Wire;
use super::script::Step;
use super::{ends, run, settle};
use crate::input::Input;

/// A response as the client got it.
#[derive(Debug)]
pub struct Got {
    /// The stream that it names.
    stream: Option<u32>,
    content: Vec<u8>,
    is_ended: bool,
    /// Nothing but its server decided what became of it.
    is_patient: bool,
}

pub struct Played {
    pub sender: Sender,
    pub letters: Vec<u8>,
    pub got: Vec<Option<Got>>,
    pub frames: Vec<Frame>,
    pub has_preface: bool,
}

/// No request takes longer, with the limits below and a server that may say something each minute.
const MAX_REQUEST: Duration = Duration::from_secs(3600 + 96 * 130);

/// Plays a script to a client that has made its requests, and then lets it ask another server.
pub fn play(data: &[u8]) -> Played {
    let mut input = Input(data);
    let (how, count) = (input.byte(), 1 + input.number() % 3);
    let letters: Vec<u8> = (0..count).map(|_| input.byte()).collect();
    run(async {
        let (transport, mut dialed, dials) = transport(how);
        let requests = letters.iter().map(|letter| tokio::spawn(ask(transport.clone(), *letter)));
        let requests: Vec<_> = requests.collect();
        let mut sender = Sender::new(Wire::new(dialed.recv().await.expect("it dials")));
        sender.is_calm = how & 4 == 0;
        let window = input.pick(&[0x7fff_ffff, DEFAULT_WINDOW, 0, 1, 1 << 20]);
        sender.begin(b"", window).await;
        sender.play(&mut input, |sender, input| response(sender, input)).await;
        let began = Instant::now();
        if how & 2 != 0 {
            sender.wire.act(&Step::Reset).await;
        } else {
            sender.wire.act(&Step::ReadOn).await;
        }
        let mut got = Vec::new();
        for request in requests {
            got.push(ends("a request", request).await.expect("it does not panic"));
        }
        assert!(began.elapsed() < MAX_REQUEST, "a request took {:?}", began.elapsed());
        sender.wire.act(&Step::Reset).await;
        sleep(Duration::from_secs(120)).await;
        goes_on(&transport).await;
        assert!(dials.load(Ordering::Relaxed) <= 10, "{dials:?} dials");
        let received = sender.wire.received();
        let has_preface = received.starts_with(PREFACE);
        let frames = frames(received.strip_prefix(PREFACE).unwrap_or_default());
        Played { sender, letters, got, frames, has_preface }
    })
}

type Dialed = mpsc::UnboundedReceiver<DuplexStream>;

/// A transport whose first connection comes out of the channel, and whose others lead to a good server.
fn transport(how: u8) -> (Arc<Transport>, Dialed, Arc<AtomicUsize>) {
    let (listener, dialer) = testing::listener();
    let mut server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("good").await);
    server.on_event = Some(Arc::new(|_| {}));
    tokio::spawn(async move { server.serve(listener).await });
    let (give, dialed) = mpsc::unbounded_channel();
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = dials.clone();
    let room = if how & 8 != 0 { 64 } else { 64 * 1024 };
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = ClientProtocols::Http2;
    transport.stall_timeout = Duration::from_secs(60);
    transport.response_header_timeout = Duration::from_secs(100);
    if how & 4 != 0 {
        transport.max_response_header_bytes = 2000;
    }
    if how & 16 != 0 {
        transport.max_conns_per_host = 1;
    }
    transport.dial = Arc::new(dial_fn(move |_, _| {
        let (ours, theirs) = tokio::io::duplex(room);
        let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            _ = give.send(theirs);
        }
        let (dialer, name) = (dialer.clone(), |name: &str| Addr::Named(name.into()));
        async move {
            let stream = if is_first { ours } else { dialer.dial().await? };
            Ok(DialedStream::new(stream).with_addrs(name("client"), name("server")))
        }
    }));
    (Arc::new(transport), dialed, dials)
}

/// A request of the kind that its letter says.
async fn ask(transport: Arc<Transport>, letter: u8) -> Option<Got> {
    let (method, body) = match letter {
        b'P' => (Method::POST, Body::from("hello")),
        b'B' => (Method::POST, Body::from(vec![b'x'; 100_000])),
        b'H' => (Method::HEAD, Body::empty()),
        _ => (Method::GET, Body::empty()),
    };
    let has_content = letter != b'H';
    let mut request = Request::new(method, Uri::from_static("http://a.test/first"), body);
    if letter == b'E' {
        request.header.set("Expect", "100-continue");
    }
    request.close = letter == b'c';
    let patience = Duration::from_millis(if letter == b'D' { 1500 } else { 100_000_000 });
    let mut response = timeout(patience, transport.round_trip(&mut request)).await.ok()?.ok()?;
    // Text of the server's goes through both; neither may panic.
    _ = response.location();
    _ = response.cookies().count();
    let stream = response.header.get("x-stream").and_then(|stream| stream.parse().ok()).filter(|_| has_content);
    let pieces = match letter {
        b'd' => 0,
        b'o' => 1,
        _ => usize::MAX,
    };
    Some(
        read(&mut response, pieces, Got { stream, content: Vec::new(), is_ended: false, is_patient: letter == b'G' })
            .await,
    )
}

async fn read(response: &mut Response, pieces: usize, mut got: Got) -> Got {
    for _ in 0..pieces {
        match response.body.chunk().await {
            Ok(Some(piece)) => got.content.extend_from_slice(&piece),
            Ok(None) => {
                got.is_ended = true;
                break;
            }
            Err(_) => break,
        }
    }
    got
}

/// The scripted server is gone: what comes now is the other one's, and nothing is left behind.
async fn goes_on(transport: &Transport) {
    let mut request = Request::new(Method::GET, Uri::from_static("http://a.test/second"), Body::empty());
    let response = ends("the second request", transport.round_trip(&mut request)).await;
    let content = response.expect("it is answered").body.bytes(100).await.expect("it is whole");
    assert_eq!(content, "good");
    settle().await;
    for host in transport.pool_stats() {
        let busy = (host.in_use, host.dialing, host.waiting);
        assert_eq!(busy, (0, 0, 0), "the pool thinks that something goes on");
    }
}

/// A head of a response: the stream, bits for how it is written, and a status.
fn response(sender: &mut Sender, input: &mut Input<'_>) -> Vec<u8> {
    let (stream, how) = (1 + 2 * u32::from(input.byte() % 4), input.byte());
    let status =
        input.pick(&["200", "200", "200", "404", "100", "103", "101", "204", "304", "205", "301", "099", "1000", "x"]);
    let mut block = Block::default();
    block.named(8, status.as_bytes());
    block.field(b"x-stream", stream.to_string().as_bytes());
    let is_end = how & 1 != 0;
    if how & 2 != 0 {
        let length = input.pick(&["0", "3", "10", "300", "18446744073709551616", "-1", "3, 3", "+3"]);
        block.named(28, length.as_bytes());
    }
    if how & 4 != 0 {
        let name = input.pick(&["content-encoding", "set-cookie", "location", "trailer", "connection", "upgrade", "X"]);
        block.kept_field(name.as_bytes(), input.piece());
    }
    if how & 8 != 0 {
        (0..input.byte()).for_each(|_| block.field(b"x-many", b"yyyyyyyy"));
    }
    let cuts = if how & 16 != 0 { input.piece() } else { b"" };
    let cuts = &cuts[..cuts.len().min(4)];
    let is_odd = how & 0x0e != 0 || !matches!(status, "200" | "404");
    sender.began(stream, is_end, is_odd);
    block.frames(stream, if is_end { END_STREAM } else { 0 }, how >> 6, cuts)
}

/// What the client got was sent, and is whole only if it was.
pub fn was_sent(played: &Played) {
    for got in played.got.iter().flatten().filter(|_| !played.sender.is_raw) {
        let Some(stream) = got.stream else { continue };
        let sent = played.sender.streams.get(&stream).unwrap_or_else(|| panic!("nobody sent this: {got:?}"));
        if !sent.is_odd {
            assert!(sent.content.starts_with(&got.content), "content that was not sent: {got:?}");
            let is_whole = sent.is_ended && sent.content == got.content;
            assert!(!got.is_ended || is_whole, "cut off content passes for whole: {got:?}");
        }
    }
}

/// A good answer of a server that does nothing else is one, whole.
pub fn is_due(played: &Played) {
    let opened = 2 * u32::try_from(played.letters.len()).expect("there are few");
    let all_asked = played.letters.iter().all(|letter| *letter == b'G');
    let all_ended = (1..opened).step_by(2).all(|id| played.sender.streams.get(&id).is_some_and(|sent| sent.is_ended));
    let is_good = played.sender.streams.keys().all(|stream| *stream < opened);
    let all_here = played.frames.iter().filter(|frame| frame.kind == HEADERS).count() == played.letters.len();
    if played.sender.is_calm && all_here && all_asked && all_ended && is_good {
        let is_whole = |got: &Option<Got>| got.as_ref().is_some_and(|got| got.is_ended && got.is_patient);
        assert!(played.got.iter().all(is_whole), "a good answer is none: {:?}", played.got);
    }
}

/// The client begins as it has to, and keeps to what it is allowed.
pub fn keeps_to_frames(played: &Played) {
    assert!(played.has_preface, "no preface");
    played.sender.was_kept_to(&played.frames);
    let heads = played.frames.iter().filter(|frame| frame.kind == HEADERS);
    let streams: Vec<u32> = heads.map(|frame| frame.stream).collect();
    // A trailer stands on the same stream.
    assert!(streams.iter().all(|stream| stream % 2 == 1), "{streams:?}");
}
