//! What the tests on an in-memory listener share. Time is virtual: it passes when all wait.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::server::{CloseReason, ConnInfo, ConnState, ServerEvent};
use nethttp::testing::{self, Dialer};
use nethttp::{Handler, Request, ResponseWriter, Result, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// A request that keeps its connection.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

/// Answers with the content of the request, read whole.
pub(crate) async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let content = r.body.bytes(1 << 20).await?;
    w.write(content).await
}

/// A server in a task of its own.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) dialer: Dialer,
    pub(crate) serving: JoinHandle<Result<()>>,
}

/// Serves a handler with the default settings, without a word on standard error.
pub(crate) fn serve(handler: impl Handler) -> Running {
    start(quiet(handler))
}

/// A server whose events go nowhere.
pub(crate) fn quiet(handler: impl Handler) -> Server {
    let mut server = Server::new(handler);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    server
}

pub(crate) fn start(server: Server) -> Running {
    let (listener, dialer) = testing::listener();
    let clone = server.clone();
    let serving = tokio::spawn(async move { clone.serve(listener).await });
    Running { server, dialer, serving }
}

impl Running {
    pub(crate) async fn dial(&self) -> Peer {
        dial(&self.dialer).await
    }
}

pub(crate) async fn dial(dialer: &Dialer) -> Peer {
    Peer { stream: dialer.dial().await.unwrap(), read: Vec::new(), dialed: Instant::now() }
}

/// Lets every task that can run do so, until all of them wait.
pub(crate) async fn settle() {
    // The clock moves only when nothing else can.
    tokio::time::sleep(millis(1)).await;
}

/// One end of a connection to the server, as raw bytes.
pub(crate) struct Peer {
    pub(crate) stream: DuplexStream,
    /// What was received behind the last answer.
    read: Vec<u8>,
    dialed: Instant,
}

/// What was received until the end of the connection, and when that came, from the dialing on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) received: String,
    pub(crate) at: Duration,
}

impl End {
    /// The end after so long, without a byte before it.
    pub(crate) fn silent(at: Duration) -> End {
        End { received: String::new(), at }
    }
}

impl Peer {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server still takes bytes");
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &str) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Sends one byte after each pause, until the connection ends.
    pub(crate) async fn drip(&mut self, bytes: &str, pause: Duration) -> End {
        for byte in bytes.bytes() {
            self.send([byte]).await;
            if let Ok(end) = timeout(pause, self.end()).await {
                return end;
            }
        }
        panic!("open after all of it was sent");
    }

    /// Reads one answer to its end.
    pub(crate) async fn answer(&mut self) -> Answer {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.read) {
                self.read.drain(..length);
                return answer;
            }
            assert!(self.fill().await > 0, "ended within an answer: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// Reads to the end of the connection. Dropped early, it has lost nothing.
    pub(crate) async fn end(&mut self) -> End {
        while self.fill().await > 0 {}
        End { received: String::from_utf8(std::mem::take(&mut self.read)).unwrap(), at: self.dialed.elapsed() }
    }

    /// That the server has sent nothing and has not closed until so long after the dialing.
    pub(crate) async fn assert_open_at(&mut self, at: Duration) {
        let until = self.dialed + at;
        if let Ok(end) = timeout(until - Instant::now(), self.end()).await {
            panic!("not open until {at:?}: {end:?}");
        }
        assert_eq!(String::from_utf8_lossy(&self.read), "", "something came");
    }

    /// Waits until so long after the dialing.
    pub(crate) async fn wait_until(&self, at: Duration) {
        sleep_until(self.dialed + at).await;
    }

    /// How long ago it was dialed.
    pub(crate) fn age(&self) -> Duration {
        self.dialed.elapsed()
    }

    async fn fill(&mut self) -> usize {
        // With nothing to wait for the paused clock stands still, and a test that fails would hang.
        let read = timeout(secs(24 * 3600), self.stream.read_buf(&mut self.read)).await;
        read.expect("something comes within a day").unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether it says that the connection closes behind it.
    pub(crate) fn closes(&self) -> bool {
        self.field("Connection") == Some("close")
    }

    /// The first answer in these bytes and its length, once it is whole.
    fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
        let text = String::from_utf8_lossy(bytes);
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head: head.to_owned(), content: String::new() };
        let length = if answer.field("Transfer-Encoding").is_some() {
            rest.find("0\r\n\r\n")? + 5
        } else {
            answer.field("Content-Length").map_or(0, |length| length.parse().unwrap())
        };
        answer.content = rest.get(..length)?.to_owned();
        Some((answer, head.len() + 4 + length))
    }
}

/// Every call of the state hook, in order.
#[derive(Clone, Default)]
pub(crate) struct States(Arc<Mutex<Vec<(ConnInfo, ConnState)>>>);

impl States {
    /// Listens to this server's hook.
    pub(crate) fn of(server: &mut Server) -> States {
        let states = States::default();
        let told = states.clone();
        server.conn_state =
            Some(Arc::new(move |info: &ConnInfo, state| told.0.lock().unwrap().push((info.clone(), state))));
        states
    }

    /// The states of the connection with this number, in one line.
    pub(crate) fn line(&self, id: u64) -> String {
        let told = self.0.lock().unwrap();
        let states: Vec<String> =
            told.iter().filter(|(info, _)| info.id == id).map(|(_, state)| state.to_string()).collect();
        states.join(" ")
    }

    /// Why the connection with this number was closed, once it is.
    pub(crate) fn reason(&self, id: u64) -> Option<CloseReason> {
        let told = self.0.lock().unwrap();
        told.iter().find(|(info, state)| info.id == id && *state == ConnState::Closed).and_then(|(info, _)| info.reason)
    }

    pub(crate) fn all(&self) -> Vec<(ConnInfo, ConnState)> {
        self.0.lock().unwrap().clone()
    }
}
