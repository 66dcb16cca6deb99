//! A client and a scripted server, and the invariants of what passed between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::client::Proxy;
use nethttp::fuzzing::{FuzzContent, FuzzRequestKind};
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::{Body, Method, Request, Response, RoundTripper, Transport, Uri};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::peer::{Passed, Wire};
use super::script::{self, Step};
use super::{ends, run, settle};
use crate::heads::{self, LIMITS};
use crate::reference::fields::Fields;
use crate::reference::{Read, chunked, response};

/// What the client does; each letter of the script's first line adds to it.
#[derive(Clone, Debug)]
pub struct Errand {
    pub letters: Vec<u8>,
}

impl Errand {
    pub fn has(&self, letter: u8) -> bool {
        self.letters.contains(&letter)
    }

    pub fn asked(&self) -> FuzzRequestKind {
        match () {
            () if self.has(b'H') => FuzzRequestKind::Head,
            () if self.has(b'U') => FuzzRequestKind::Upgrade,
            () => FuzzRequestKind::Other,
        }
    }

    fn request(&self) -> Request {
        let body = match () {
            () if self.has(b'P') => Body::from("hello"),
            () if self.has(b'B') => Body::from(vec![b'x'; 20_000]),
            () => Body::empty(),
        };
        let method = match () {
            () if self.has(b'H') => Method::HEAD,
            () if self.has(b'P') || self.has(b'B') => Method::POST,
            () => Method::GET,
        };
        let mut request = Request::new(method, Uri::from_static("http://a.test/first"), body);
        if self.has(b'U') {
            request.header.set("Upgrade", "x");
            request.header.set("Connection", "Upgrade");
        }
        if self.has(b'E') {
            request.header.set("Expect", "100-continue");
        }
        request.close = self.has(b'c');
        request
    }

    /// Whether the client waits for everything, so that only the response decides how the exchange ends.
    pub fn is_patient(&self) -> bool {
        !self.letters.iter().any(|letter| b"BEPdoD".contains(letter))
    }
}

/// How a response's content was left.
#[derive(Debug, PartialEq, Eq)]
pub enum ContentEnd {
    Ended,
    Failed,
    /// Nothing more came, or the client stopped reading.
    Open,
}

/// The response as the client got it.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub fields: Fields,
    pub content: Vec<u8>,
    pub end: ContentEnd,
}

#[derive(Debug)]
pub struct Played {
    pub errand: Errand,
    pub steps: Vec<Step>,
    /// `None` where there was no response.
    pub first: Option<Got>,
    pub second: Got,
    /// What passed on the first connection before the second request was made.
    pub sent: Vec<u8>,
    pub is_closed: bool,
    /// All that was received on it.
    pub received: Vec<u8>,
    pub dials: usize,
}

const SECOND: &[u8] = b"GET /second HTTP/1.1\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

/// Longer than any limit of the client.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Plays a script to a client: its first line is the errand, the rest what the server sends.
pub fn play(data: &[u8]) -> Played {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (letters, rest) = (data[..at].to_vec(), data.get(at + 1..).unwrap_or_default());
    let (errand, steps) = (Errand { letters }, script::script(rest));
    run(async {
        let (transport, dials, dialed) = transport(script::buffer(&steps));
        let (tell_over, over) = oneshot::channel();
        let (tell_played, played) = oneshot::channel();
        let server = tokio::spawn(serve(dialed, steps.clone(), over, tell_played));

        let first = first(&transport, &errand).await;
        _ = tell_over.send(());
        let (sent, is_closed) = ends("the script", played).await.expect("the first connection is made");
        settle().await;
        let mut request = Request::new(Method::GET, Uri::from_static("http://a.test/second"), Body::empty());
        let response = ends("the second request", transport.round_trip(&mut request)).await;
        let second = read(response.expect("the second request is answered"), usize::MAX).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for host in transport.pool_stats() {
            let busy = (host.in_use, host.dialing, host.waiting);
            assert_eq!(busy, (0, 0, 0), "the pool thinks that something goes on");
        }
        drop(transport);
        let Passed { received, .. } = ends("the server", server).await.expect("it ends well");
        let dials = dials.load(Ordering::Relaxed);
        Played { errand, steps, first, second, sent, is_closed, received, dials }
    })
}

/// A transport whose connections come out of the channel.
fn transport(room: usize) -> (Transport, Arc<AtomicUsize>, mpsc::UnboundedReceiver<DuplexStream>) {
    let (give, dialed) = mpsc::unbounded_channel();
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = dials.clone();
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.stall_timeout = Duration::from_secs(60);
    transport.dial = Arc::new(dial_fn(move |_, _| {
        let (ours, theirs) = tokio::io::duplex(room);
        let given = give.send(theirs).map_err(|_| std::io::ErrorKind::ConnectionRefused.into());
        counted.fetch_add(1, Ordering::Relaxed);
        let name = |name: &str| Addr::Named(name.into());
        async move { given.map(|()| DialedStream::new(ours).with_addrs(name("client"), name("server"))) }
    }));
    (transport, dials, dialed)
}

/// Plays the script on the first connection, up to `Next` at once and the rest when the exchange
/// is over, and then answers the second request, wherever it comes.
async fn serve(
    mut dialed: mpsc::UnboundedReceiver<DuplexStream>,
    steps: Vec<Step>,
    over: oneshot::Receiver<()>,
    tell_played: oneshot::Sender<(Vec<u8>, bool)>,
) -> Passed {
    let Some(stream) = dialed.recv().await else { return Passed::default() };
    let mut wire = Wire::new(stream);
    let next = steps.iter().position(|step| *step == Step::Next).unwrap_or(steps.len());
    for step in &steps[..next] {
        wire.act(step).await;
    }
    _ = over.await;
    for step in &steps[next..] {
        wire.act(step).await;
    }
    wire.act(&Step::ReadOn).await;
    _ = tell_played.send((wire.sent.clone(), wire.is_closed));
    let elsewhere = tokio::spawn(async move {
        while let Some(stream) = dialed.recv().await {
            tokio::spawn(answer_second(Wire::new(stream)));
        }
    });
    let passed = answer_second(wire).await;
    _ = elsewhere.await;
    passed
}

async fn answer_second(mut wire: Wire) -> Passed {
    if wire.receives(SECOND).await {
        wire.send(ANSWER).await;
    }
    wire.end().await
}

async fn first(transport: &Transport, errand: &Errand) -> Option<Got> {
    let mut request = errand.request();
    let limit = if errand.has(b'D') { Duration::from_millis(1500) } else { CLIENT_TIMEOUT };
    let response = match timeout(limit, transport.round_trip(&mut request)).await {
        Ok(response) => response.ok()?,
        Err(_) => {
            assert!(errand.has(b'D'), "a head is waited for for ever");
            return None;
        }
    };
    let pieces = match () {
        () if errand.has(b'd') => 0,
        () if errand.has(b'o') => 1,
        () => usize::MAX,
    };
    Some(read(response, pieces).await)
}

/// Reads the content, or so many pieces of it.
async fn read(mut response: Response, pieces: usize) -> Got {
    // Text of the server's goes through both; neither may panic.
    _ = response.location();
    _ = response.cookies().count();
    let (status, fields) = (response.status.as_u16(), heads::fields(&response.header));
    let mut got = Got { status, fields, content: Vec::new(), end: ContentEnd::Open };
    for _ in 0..pieces {
        match timeout(CLIENT_TIMEOUT, response.body.chunk()).await {
            Ok(Ok(Some(piece))) => got.content.extend_from_slice(&piece),
            Ok(Ok(None)) => got.end = ContentEnd::Ended,
            Ok(Err(_)) => got.end = ContentEnd::Failed,
            Err(_) => break,
        }
        if got.end != ContentEnd::Open {
            break;
        }
    }
    got
}

/// The final response in what a server sent, as the slow reference reads it.
#[derive(Debug)]
pub struct Sent {
    pub head: response::Head,
    pub content: Vec<u8>,
    /// Whether its end came: by its framing, or with the connection where that is its end.
    pub is_whole: bool,
    /// Whether its end came by its framing, and nothing behind it.
    pub is_all: bool,
}

pub fn response(mut bytes: &[u8], asked: FuzzRequestKind, is_closed: bool) -> Option<Sent> {
    loop {
        let Read::Whole(head) = response::head(bytes, LIMITS, asked) else { return None };
        bytes = &bytes[head.consumed..];
        if (100..200).contains(&head.status) && !head.switches {
            continue;
        }
        let kind = if head.switches { FuzzContent::UntilClose } else { head.content };
        let (content, end) = match kind {
            FuzzContent::Empty => (Vec::new(), Some(0)),
            FuzzContent::Length(length) => {
                let end = usize::try_from(length).ok().filter(|length| *length <= bytes.len());
                (bytes[..end.unwrap_or(bytes.len())].to_vec(), end)
            }
            FuzzContent::Chunked => {
                let (content, end) = chunked::content(bytes, LIMITS);
                (content, end.whole().map(|whole| whole.consumed))
            }
            FuzzContent::UntilClose => (bytes.to_vec(), None),
        };
        let is_whole = end.is_some() || (kind == FuzzContent::UntilClose && is_closed);
        return Some(Sent { head, content, is_whole, is_all: end == Some(bytes.len()) });
    }
}

/// What the client got is what was sent, and whole only if it was.
pub fn was_sent(played: &Played, sent: Option<&Sent>) {
    let Some(got) = &played.first else {
        let is_due = sent.is_some() && played.errand.is_patient() && is_prompt(&played.steps);
        assert!(!is_due, "no response, where one was sent: {sent:?}");
        return;
    };
    let sent = sent.unwrap_or_else(|| panic!("a response that was not sent: {got:?}"));
    assert_eq!(got.status, sent.head.status);
    assert_eq!(got.fields, heads::shown(&sent.head.fields, &["Transfer-Encoding"]));
    assert!(sent.content.starts_with(&got.content), "content that was not sent");
    let is_all = sent.is_whole && got.content == sent.content;
    assert!(got.end != ContentEnd::Ended || is_all, "content that is cut off passed for whole");
    let is_due = sent.is_whole && played.errand.is_patient() && is_prompt(&played.steps);
    assert!(!is_due || got.end == ContentEnd::Ended, "whole content that is not taken for that");
}

/// The second request gets its own answer, over the first connection only if that is clean.
pub fn is_clean(played: &Played, sent: Option<&Sent>) {
    assert_eq!((played.second.status, &played.second.content[..]), (200, &b"second"[..]));
    let is_reused = played.received.windows(SECOND.len()).any(|bytes| bytes == SECOND);
    // A request that was not sent at all may be tried once more.
    assert!(matches!((is_reused, played.dials), (true, 1) | (false, 2 | 3)), "{} dials", played.dials);
    let keeps = !played.is_closed && !played.errand.has(b'c');
    let is_clean = keeps && sent.is_some_and(|sent| sent.is_all && sent.head.keep_alive);
    assert!(!is_reused || is_clean, "a dirty connection was used again");
    if is_reused {
        let (requests, _) = super::server_side::requests(&played.received);
        assert!(requests.len() == 2 && requests[0].is_whole, "the second request is within the first");
    }
    let is_due = is_clean && played.errand.is_patient() && is_prompt(&played.steps);
    assert!(!is_due || is_reused, "a clean connection was not used again");
}

/// Whether the server says all that it says before the client gives up.
fn is_prompt(steps: &[Step]) -> bool {
    let delays = |step: &Step| {
        matches!(step, Step::WaitLong | Step::StopReading | Step::ReadSome | Step::SmallBuffers | Step::Next)
    };
    steps.iter().filter(|step| **step == Step::Wait).count() < 40 && !steps.iter().any(delays)
}
