//! The kinds of clients, and what each expects of the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::tls::{TlsConfig, TlsRoots};
use nethttp::{Body, Client, Result, StatusCode, Transport};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::counts::Counts;
use crate::process::Soaked;
use crate::raw;
use crate::resets::{self, GET_ROOT, frame};
use crate::server::{LARGE_BYTES, PEER_TIMEOUT};

/// What a client does to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asks and reads the answer: over HTTP/1.1, the same over TLS, over HTTP/2, that over TLS.
    Good,
    Tls,
    Http2,
    Http2Tls,
    /// Sends or gets megabytes, or a form with a file that goes to disk.
    Huge,
    /// Has its request fail, with a status or a panic.
    Failing,
    /// Gives its request up at any moment.
    GivenUp,
    /// Sends its head byte by byte, or reads a large answer in small bites.
    Slow,
    /// Falls silent in one of the phases, until the server closes.
    Silent,
    /// Sends what is not a request, or a head that is far too long.
    Broken,
    /// Leaves in one of the phases, with a reset or without.
    Dying,
    /// Sends useless HTTP/2 frames.
    Frames,
    /// Opens HTTP/2 streams and tunnels by hand, and resets some of them at any moment.
    Resets,
}

/// Over what the clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    All,
    /// HTTP/2 alone, with TLS and without, and only the kinds of clients that speak it.
    Http2,
}

/// The kinds, and how many clients there are of each at any time.
pub(crate) const KINDS: [(Kind, usize); 13] = [
    (Kind::Good, 4),
    (Kind::Tls, 2),
    (Kind::Http2, 4),
    (Kind::Http2Tls, 4),
    (Kind::Huge, 3),
    (Kind::Failing, 1),
    (Kind::GivenUp, 4),
    (Kind::Slow, 6),
    (Kind::Silent, 30),
    (Kind::Broken, 2),
    (Kind::Dying, 4),
    (Kind::Frames, 2),
    (Kind::Resets, 4),
];

/// Those of the kinds that take part.
pub(crate) fn kinds_over(over: Over) -> impl Iterator<Item = (Kind, usize)> {
    use Kind::{Failing, Frames, GivenUp, Http2, Http2Tls, Huge, Resets};
    let speaks_http2 = |kind| matches!(kind, Http2 | Http2Tls | Huge | Failing | GivenUp | Frames | Resets);
    KINDS.into_iter().filter(move |(kind, _)| over == Over::All || speaks_http2(*kind))
}

pub(crate) struct World {
    over: Over,
    plain: SocketAddr,
    secure: SocketAddr,
    http1: Client,
    tls: Client,
    http2: Client,
    http2_tls: Client,
}

impl World {
    pub(crate) fn new(soaked: &Soaked, over: Over) -> World {
        World {
            over,
            plain: soaked.plain,
            secure: soaked.secure,
            http1: client(ClientProtocols::Http1, &soaked.root),
            tls: client(ClientProtocols::Http1, &soaked.root),
            http2: client(ClientProtocols::Http2, &soaked.root),
            http2_tls: client(ClientProtocols::Auto, &soaked.root),
        }
    }

    /// The number of one of the ways that are taken.
    fn any_way(&self, chance: &mut Chance) -> usize {
        if self.over == Over::All { chance.below(4) } else { 2 + chance.below(2) }
    }

    /// One of the four ways to the server.
    fn way(&self, number: usize) -> (&Client, String) {
        let plain = format!("http://{}", self.plain);
        let secure = format!("https://localhost:{}", self.secure.port());
        match number % 4 {
            0 => (&self.http1, plain),
            1 => (&self.tls, secure),
            2 => (&self.http2, plain),
            _ => (&self.http2_tls, secure),
        }
    }
}

fn client(protocols: ClientProtocols, root: &str) -> Client {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = protocols;
    // The server closes what is idle for longer: a POST must not meet that.
    transport.idle_conn_timeout = PEER_TIMEOUT / 2;
    let tls = TlsConfig::new().roots(TlsRoots::None).add_root_pem(root).expect("the server's root is one");
    transport.set_tls(tls);
    let mut client = Client::new();
    client.transport = Arc::new(transport);
    client.timeout = Duration::from_secs(30);
    client
}

/// Pseudo-random numbers, the same in each run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }
}

pub(crate) async fn warm_up(world: &World) -> Result<()> {
    for number in 0..4 {
        let (client, base) = world.way(number);
        ask(client, &base, "/hello", "hello").await?;
    }
    Ok(())
}

/// Runs clients of this kind, one after the other, until the time is over.
pub(crate) async fn work(world: Arc<World>, counts: Arc<Counts>, kind: Kind, seed: usize, until: Instant) {
    let mut chance = Chance((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    while Instant::now() < until {
        let outcome = be(kind, &world, &mut chance).await;
        counts.note(kind, outcome);
        // Other programs run on the machine too.
        sleep(Duration::from_millis(1 + chance.below(4) as u64)).await;
    }
}

async fn be(kind: Kind, world: &World, chance: &mut Chance) -> Result<(), String> {
    let any = world.any_way(chance);
    match kind {
        Kind::Good | Kind::Tls | Kind::Http2 | Kind::Http2Tls => text(good(world, kind as usize, chance).await),
        Kind::Huge => text(huge(world, any, chance).await),
        Kind::Failing => text(failing(world, any, chance).await),
        Kind::GivenUp => {
            given_up(world, any, chance).await;
            Ok(())
        }
        Kind::Slow => slow(world, chance).await,
        Kind::Silent => silent(world, chance).await,
        Kind::Broken => broken(world, chance).await,
        Kind::Dying => dying(world, chance).await,
        Kind::Frames => frames(world, chance).await,
        Kind::Resets => resets::work(world.plain, chance).await,
    }
}

fn text(outcome: Result<()>) -> Result<(), String> {
    outcome.map_err(|error| error.to_string())
}

fn wrong(what: impl std::fmt::Debug) -> nethttp::Error {
    nethttp::Error::other(format!("got {what:?}"))
}

async fn ask(client: &Client, base: &str, path: &str, expected: &str) -> Result<()> {
    let content = client.get(&*format!("{base}{path}")).await?.text().await?;
    if content == expected { Ok(()) } else { Err(wrong(content)) }
}

async fn good(world: &World, way: usize, chance: &mut Chance) -> Result<()> {
    let (client, base) = world.way(way);
    match chance.below(10) {
        0 => ask(client, &base, "/slow", "slow").await,
        1 => {
            let content = "x".repeat(chance.below(100_000));
            let mut response = client.post(&*format!("{base}/echo"), "text/plain", content.clone()).await?;
            if response.text().await? == content { Ok(()) } else { Err(wrong("other content")) }
        }
        _ => ask(client, &base, "/hello", "hello").await,
    }
}

async fn huge(world: &World, way: usize, chance: &mut Chance) -> Result<()> {
    let (client, base) = world.way(way);
    let length = 1 << 20;
    let content = Body::from("x".repeat(length));
    let (response, expected) = match chance.below(3) {
        0 => {
            let mut response = client.get(&*format!("{base}/large")).await?;
            let mut read = 0;
            while let Some(chunk) = response.body.chunk().await? {
                read += chunk.len() as u64;
            }
            return if read == LARGE_BYTES { Ok(()) } else { Err(wrong(read)) };
        }
        1 => (client.post(&*format!("{base}/count"), "text/plain", content).await, length),
        _ => {
            let form = format!(
                "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n{}\r\n--b--\r\n",
                "x".repeat(length)
            );
            (client.post(&*format!("{base}/form"), "multipart/form-data; boundary=b", form).await, length)
        }
    };
    let content = response?.text().await?;
    if content == expected.to_string() { Ok(()) } else { Err(wrong(content)) }
}

async fn failing(world: &World, way: usize, chance: &mut Chance) -> Result<()> {
    let (client, base) = world.way(way);
    let (path, status) = match chance.below(4) {
        3 => {
            let mut response = client.get(&*format!("{base}/cut")).await?;
            return if response.bytes().await.is_err() { Ok(()) } else { Err(wrong("a whole response")) };
        }
        0 => ("/panic", StatusCode::INTERNAL_SERVER_ERROR),
        1 => ("/fail", StatusCode::IM_A_TEAPOT),
        _ => ("/none", StatusCode::NOT_FOUND),
    };
    let response = client.get(&*format!("{base}{path}")).await?;
    if response.status == status { Ok(()) } else { Err(wrong(response.status)) }
}

async fn given_up(world: &World, way: usize, chance: &mut Chance) {
    let (client, base) = world.way(way);
    let (which, patience) = (chance.below(3), Duration::from_micros(chance.below(20_000) as u64));
    let asking = async {
        match which {
            0 => client.get(&*format!("{base}/slow")).await?.text().await.map(drop),
            1 => client.get(&*format!("{base}/large")).await?.bytes().await.map(drop),
            _ => client.post(&*format!("{base}/count"), "text/plain", vec![b'x'; 1 << 20]).await.map(drop),
        }
    };
    // It does not matter whether it was in time.
    let _ = timeout(patience, asking).await;
}

const GET: &str = "GET /hello HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n";

async fn slow(world: &World, chance: &mut Chance) -> Result<(), String> {
    let mut stream = raw::connect(world.plain).await?;
    if chance.below(2) == 0 {
        let began = Instant::now();
        for byte in GET.bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let answer = raw::read_to_end(stream).await?;
        // Half a second, unless the machine is loaded: then the server's timeout has passed, and it was right
        // to close.
        let is_right = answer.ends_with("hello") || began.elapsed() >= PEER_TIMEOUT;
        return if is_right { Ok(()) } else { Err(format!("to a head in pieces it got {answer:?}")) };
    }
    let _ = SockRef::from(&stream).set_recv_buffer_size(16 << 10);
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n").await.map_err(|error| error.to_string())?;
    let mut bite = vec![0; 16 << 10];
    for _ in 0..100 {
        match stream.read(&mut bite).await {
            Ok(1..) => sleep(Duration::from_millis(10)).await,
            ended => return Err(format!("cut although it reads: {ended:?}")),
        }
    }
    Ok(())
}

/// What is said before the silence, to the port of which kind, and what the server answers before it closes.
const SILENCES: [(bool, &[u8], &str); 6] = [
    (false, b"", ""),
    (false, b"GET /hello HTTP/1.1\r\nHo", ""),
    (false, b"GET /hello HTTP/1.1\r\nHost: soak\r\n\r\n", "HTTP/1.1 200"),
    (false, b"POST /count HTTP/1.1\r\nHost: soak\r\nContent-Length: 9\r\n\r\nsome", "HTTP/1.1 408"),
    (true, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ""),
    (false, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "\0"),
];

async fn silent(world: &World, chance: &mut Chance) -> Result<(), String> {
    let (secure, said, expected) = SILENCES[chance.below(SILENCES.len())];
    let mut stream = raw::connect(if secure { world.secure } else { world.plain }).await?;
    stream.write_all(said).await.map_err(|error| error.to_string())?;
    let began = Instant::now();
    let heard = raw::read_to_end(stream).await?;
    let waited = began.elapsed();
    if !heard.starts_with(expected) || (expected.is_empty() && !heard.is_empty()) {
        return Err(format!("to {said:?} it got {heard:?}"));
    }
    // Extra time for a loaded machine.
    let late = PEER_TIMEOUT + Duration::from_secs(6);
    if waited < PEER_TIMEOUT / 2 || waited > late {
        return Err(format!("closed after {waited:?} of silence behind {said:?}"));
    }
    Ok(())
}

/// What is not a request, and how the answer begins.
const WRONG: [(&str, &str); 7] = [
    ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400"),
    ("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400"),
    ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505"),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400"),
    ("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400"),
    ("\u{7f}\u{1}\u{2}\r\n\r\n", "HTTP/1.1 400"),
];

async fn broken(world: &World, chance: &mut Chance) -> Result<(), String> {
    let which = chance.below(WRONG.len() + 1);
    let Some((request, expected)) = WRONG.get(which) else {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2 << 20));
        let answer = raw::exchange(world.plain, request.as_bytes()).await?;
        // So much on its way may cost the answer: the connection is reset then.
        let is_right = answer.is_empty() || answer.starts_with("HTTP/1.1 431");
        return if is_right { Ok(()) } else { Err(format!("to a long head it got {answer:?}")) };
    };
    let answer = raw::exchange(world.plain, request.as_bytes()).await?;
    if answer.starts_with(expected) { Ok(()) } else { Err(format!("to {request:?} it got {answer:?}")) }
}

const LAST_WORDS: [&[u8]; 6] = [
    b"",
    b"GET /hello HTTP/1.1\r\nHo",
    b"POST /count HTTP/1.1\r\nHost: soak\r\nContent-Length: 9\r\n\r\nsome",
    b"GET /slow HTTP/1.1\r\nHost: soak\r\n\r\n",
    b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

async fn dying(world: &World, chance: &mut Chance) -> Result<(), String> {
    let said = LAST_WORDS[chance.below(LAST_WORDS.len())];
    let mut stream = raw::connect(if chance.below(3) == 0 { world.secure } else { world.plain }).await?;
    if chance.below(2) == 0 {
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    stream.write_all(said).await.map_err(|error| error.to_string())?;
    sleep(Duration::from_millis(chance.below(5) as u64)).await;
    Ok(())
}

async fn frames(world: &World, chance: &mut Chance) -> Result<(), String> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, b""));
    match chance.below(4) {
        // Requests, each given up at once.
        0 => (0..100).for_each(|number| {
            bytes.extend(frame(1, 5, 2 * number + 1, GET_ROOT));
            bytes.extend(frame(3, 0, 2 * number + 1, &[0, 0, 0, 8]));
        }),
        // Many PING frames.
        1 => (0..20_000).for_each(|_| bytes.extend(frame(6, 0, 0, b"01234567"))),
        // Fields without an end.
        2 => {
            bytes.extend(frame(1, 0, 1, GET_ROOT));
            (0..2000).for_each(|_| bytes.extend(frame(9, 0, 1, &[])));
        }
        // What is no frame.
        _ => bytes.extend((0..2000).map(|_| chance.below(256) as u8)),
    }
    let mut stream = raw::connect(world.plain).await?;
    let (mut reader, mut writer) = stream.split();
    let reading = async {
        let mut buf = [0; 4096];
        while let Ok(1..) = reader.read(&mut buf).await {}
    };
    // At a limit the server closes before all was sent. What it tolerates ends here.
    let sending = async {
        let _ = writer.write_all(&bytes).await;
        sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        () = reading => {}
        () = sending => {}
    }
    Ok(())
}
