//! Servers that die in each phase of an exchange, by each way to die, in each mode: what the client
//! says of it, when, and that nothing of it stays.

use std::io;
use std::sync::{Arc, Mutex};

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::error::{Phase, Sent};
use nethttp::net::{DialedStream, dial_fn};
use nethttp::tls::{TlsConfig, TlsRoots};
use nethttp::{Client, ErrorKind, Result, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

use crate::fake::counts;
use crate::moments::frame;
use crate::paths::{AUTHORITY, ENDINGS, Ending, Stream, Switch, accept_tls, path};
use crate::site::{MODES, Mode};
use crate::support::{millis, secs, settle};

/// How far the server lets an exchange come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It does not accept the connection.
    Connect,
    /// Within the TLS handshake.
    Handshake,
    /// Within the content of the request, which is large.
    Upload,
    /// It has the request.
    Asked,
    /// Within the head of its answer.
    Head,
    /// Within the content of its answer.
    Content,
    /// Behind an answer, before the next request.
    Idle,
}

use Moment::{Asked, Connect, Content, Handshake, Head, Idle, Upload};

const MOMENTS: [Moment; 7] = [Connect, Handshake, Upload, Asked, Head, Content, Idle];

/// What the client says, and how many seconds after the death.
type Outcome = (Option<(ErrorKind, Option<Phase>, Option<Sent>)>, u64);

type Peer = (DuplexStream, Switch);

struct Rig {
    mode: Mode,
    client: Client,
    transport: Arc<Transport>,
    dialed: UnboundedReceiver<Peer>,
}

/// A client whose first dial may fail so.
fn rig(mode: Mode, connect: Option<Ending>) -> Rig {
    let (given, dialed) = unbounded_channel();
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = match mode {
        Mode::Http2 => ClientProtocols::Http2,
        Mode::Http1Tls => ClientProtocols::Http1,
        Mode::Http1 | Mode::Http2Tls => ClientProtocols::Auto,
    };
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(AUTHORITY.pem()).unwrap());
    // Off by default, as streams may be silent.
    transport.stall_timeout = secs(30);
    let failing = Mutex::new(connect);
    transport.dial = Arc::new(dial_fn(move |_, _| {
        let failure = failing.lock().unwrap().take();
        let (ours, theirs, switch) = path(64 * 1024);
        if failure.is_none() {
            given.send((ours, switch)).unwrap();
        }
        async move {
            match failure {
                None => Ok(DialedStream::new(theirs)),
                Some(Ending::Fin) => Err(io::ErrorKind::ConnectionRefused.into()),
                Some(Ending::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
                Some(Ending::Silence) => std::future::pending().await,
            }
        }
    }));
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    client.timeout = std::time::Duration::ZERO;
    Rig { mode, client, transport, dialed }
}

impl Rig {
    /// Asks, and reads the answer to its end.
    fn ask(&self, content: Vec<u8>) -> tokio::task::JoinHandle<Result<String>> {
        let scheme = if self.mode.is_secure() { "https" } else { "http" };
        let (client, url) = (self.client.clone(), format!("{scheme}://a.test/"));
        // Ends with its answer.
        tokio::spawn(async move { client.post(&*url, "text/plain", content).await?.text().await })
    }

    async fn next_peer(&mut self) -> Peer {
        timeout(secs(5), self.dialed.recv()).await.expect("the client dials").unwrap()
    }

    /// That one more request is served, over a connection of its own.
    async fn assert_asks_anew(&mut self) {
        let asking = self.ask(b"more".to_vec());
        let (stream, _) = self.next_peer().await;
        let mut peer = open(self.mode, stream).await;
        settle().await;
        say(&mut peer, &answer(self.mode)).await;
        assert_eq!(asking.await.unwrap().unwrap(), "ok");
    }
}

/// The server's side of a new connection, its greetings said.
async fn open(mode: Mode, stream: DuplexStream) -> Box<dyn Stream> {
    let mut peer: Box<dyn Stream> = match mode {
        Mode::Http1 | Mode::Http2 => Box::new(stream),
        Mode::Http1Tls => Box::new(accept_tls(stream, b"http/1.1").await),
        Mode::Http2Tls => Box::new(accept_tls(stream, b"h2").await),
    };
    if mode.is_http2() {
        say(&mut peer, &frame(SETTINGS, 0, 0, b"")).await;
    }
    peer
}

async fn say(peer: &mut Box<dyn Stream>, bytes: &[u8]) {
    peer.write_all(bytes).await.unwrap();
    peer.flush().await.unwrap();
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` of the static table (RFC 7541 appendix A).
const STATUS_200: &[u8] = &[0x88];

fn answer(mode: Mode) -> Vec<u8> {
    match mode.is_http2() {
        true => [frame(HEADERS, END_HEADERS, 1, STATUS_200), frame(DATA, END_STREAM, 1, b"ok")].concat(),
        false => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    }
}

/// What is said of an answer before the death.
fn part(mode: Mode, moment: Moment) -> Vec<u8> {
    match (moment, mode.is_http2()) {
        (Head, true) => frame(HEADERS, 0, 1, STATUS_200),
        (Head, false) => b"HTTP/1.1 200 OK\r\nContent-Len".to_vec(),
        (Content, true) => [frame(HEADERS, END_HEADERS, 1, STATUS_200), frame(DATA, 0, 1, b"some")].concat(),
        (Content, false) => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome".to_vec(),
        (Idle, _) => answer(mode),
        _ => Vec::new(),
    }
}

/// Lets an exchange come so far and its server die so. `None` where this mode has no such moment.
async fn outcome(mode: Mode, moment: Moment, ending: Ending) -> Option<Outcome> {
    if moment == Handshake && !mode.is_secure() {
        return None;
    }
    let mut rig = rig(mode, (moment == Connect).then_some(ending));
    let mut asking = rig.ask(if moment == Upload { vec![b'x'; 10 << 20] } else { b"content".to_vec() });
    let mut switch = Switch::default();
    let mut peer: Option<Box<dyn Stream>> = None;
    if moment != Connect {
        let (mut stream, own_switch) = rig.next_peer().await;
        switch = own_switch;
        if moment == Handshake {
            // Its greeting is taken, and half a record is the answer.
            assert!(stream.read(&mut [0; 16 * 1024]).await.unwrap() > 0);
            stream.write_all(&[22, 3, 3, 1, 0, 2]).await.unwrap();
            peer = Some(Box::new(stream));
        } else {
            let mut opened = open(mode, stream).await;
            settle().await;
            say(&mut opened, &part(mode, moment)).await;
            peer = Some(opened);
        }
    }
    settle().await;
    if moment == Idle {
        assert_eq!((&mut asking).await.unwrap().unwrap(), "ok");
        assert_eq!(counts(&rig.transport), (1, 0, 0, 0));
    }
    let died = Instant::now();
    match ending {
        Ending::Fin => peer = None,
        Ending::Reset => switch.reset(),
        Ending::Silence => {}
    }
    settle().await;
    if moment == Idle {
        if ending != Ending::Silence {
            assert_eq!(rig.ask_after_death().await, "ok");
            return Some((None, died.elapsed().as_secs()));
        }
        asking = rig.ask(b"content".to_vec());
    }
    let error = timeout(secs(1000), asking).await.expect("it ends").unwrap().unwrap_err();
    let after = (died.elapsed() + millis(490)).as_secs();
    drop(peer);
    settle().await;
    assert!(rig.dialed.try_recv().is_err(), "it was not sent again");
    assert_eq!(counts(&rig.transport), (0, 0, 0, 0));
    rig.assert_asks_anew().await;
    Some((Some((error.kind(), error.phase(), error.sent())), after))
}

impl Rig {
    /// The next request on a connection that has died meanwhile goes over another.
    async fn ask_after_death(&mut self) -> String {
        self.assert_asks_anew().await;
        assert_eq!(counts(&self.transport).0, 1, "the dead one is forgotten");
        "ok".into()
    }
}

/// What the client is to say and after how many seconds; `None` where the mode has no such moment.
fn expected(mode: Mode, moment: Moment, ending: Ending) -> Option<Outcome> {
    use Ending::{Fin, Reset, Silence};
    let (phase, sent) = match moment {
        Connect => (Phase::Connect, Some(Sent::No)),
        Handshake => (Phase::Tls, Some(Sent::No)),
        Upload => (Phase::Write, Some(Sent::Partly)),
        Asked | Head | Idle => (Phase::Head, Some(Sent::Fully)),
        Content => (Phase::Body, Some(Sent::Fully)),
    };
    let (kind, after) = match (moment, ending) {
        (Handshake, _) if !mode.is_secure() => return None,
        (Idle, Fin | Reset) => return Some((None, 0)),
        (Handshake, Fin | Reset) => (ErrorKind::Tls, 0),
        // What is written meets a connection that is gone.
        (Connect | Upload, Fin) | (_, Reset) => (ErrorKind::Io, 0),
        (_, Fin) => (ErrorKind::CutOff, 0),
        // HTTP/2 asks for a sign of life after 15 s, and waits as long for it.
        (Asked | Head | Idle, Silence) if mode.is_http2() => (ErrorKind::CutOff, 30),
        (Asked | Head | Idle, Silence) => (ErrorKind::TimedOut, 60),
        (Handshake, Silence) => (ErrorKind::TimedOut, 10),
        (Connect | Upload | Content, Silence) => (ErrorKind::TimedOut, 30),
    };
    Some((Some((kind, Some(phase), sent)), after))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_in_any_phase_is_an_error_that_says_which_and_the_next_request_is_served() {
    for mode in MODES {
        for moment in MOMENTS {
            for ending in ENDINGS {
                let outcome = outcome(mode, moment, ending).await;
                assert_eq!(outcome, expected(mode, moment, ending), "{mode:?} {moment:?} {ending:?}");
                settle().await;
                assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "a task is left");
            }
        }
    }
}
