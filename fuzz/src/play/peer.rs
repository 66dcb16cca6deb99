//! One end of a connection, driven by a script, and a record of what passes over it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::script::Step;
use super::{ends, settle};

/// What passed over a connection.
#[derive(Debug, Default)]
pub struct Passed {
    /// The bytes that the other side accepted.
    pub sent: Vec<u8>,
    pub received: Vec<u8>,
}

/// This end of the connection. It reads all the time, unless its script says otherwise.
pub struct Wire {
    writing: Option<WriteHalf<DuplexStream>>,
    reader: JoinHandle<()>,
    allow: watch::Sender<usize>,
    received: watch::Receiver<Vec<u8>>,
    /// What the other side took.
    pub sent: Vec<u8>,
    /// Whether no more will be sent.
    pub is_closed: bool,
}

impl Wire {
    pub fn new(stream: DuplexStream) -> Wire {
        let (reading, writing) = tokio::io::split(stream);
        let (allow, allowance) = watch::channel(usize::MAX);
        let (keep, received) = watch::channel(Vec::new());
        let reader = tokio::spawn(read(reading, allowance, keep));
        Wire { writing: Some(writing), reader, allow, received, sent: Vec::new(), is_closed: false }
    }

    pub async fn act(&mut self, step: &Step) {
        match step {
            Step::Send(bytes) => self.send(bytes).await,
            Step::Settle | Step::Next => settle().await,
            Step::Wait => sleep(Duration::from_secs(1)).await,
            Step::WaitLong => sleep(Duration::from_secs(130)).await,
            Step::HalfClose => {
                self.is_closed = true;
                if let Some(writing) = &mut self.writing {
                    _ = writing.shutdown().await;
                }
            }
            Step::Reset => {
                self.is_closed = true;
                self.writing = None;
                self.reader.abort();
                settle().await;
            }
            Step::StopReading => _ = self.allow.send(0),
            Step::ReadOn => _ = self.allow.send(usize::MAX),
            Step::ReadSome => self.allow.send_modify(|allowed| *allowed = allowed.saturating_add(7)),
            Step::SmallBuffers => {}
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let (Some(writing), false) = (&mut self.writing, self.is_closed) else { return };
        let mut left = bytes;
        while !left.is_empty() {
            let Ok(taken @ 1..) = ends("a write", writing.write(left)).await else { break };
            self.sent.extend_from_slice(&left[..taken]);
            left = &left[taken..];
        }
    }

    /// Waits until this was received; `false` when the other side ended before.
    pub async fn receives(&mut self, what: &[u8]) -> bool {
        let has = |received: &Vec<u8>| received.windows(what.len()).any(|bytes| bytes == what);
        self.received.wait_for(has).await.is_ok()
    }

    /// Whether the other side has ended, and all that it sent was read.
    pub fn is_over(&self) -> bool {
        self.reader.is_finished()
    }

    /// All that came so far.
    pub fn received(&self) -> Vec<u8> {
        self.received.borrow().clone()
    }

    /// Reads to the end.
    pub async fn end(self) -> Passed {
        _ = self.allow.send(usize::MAX);
        _ = ends("the connection", self.reader).await;
        let received = self.received.borrow().clone();
        Passed { sent: self.sent, received }
    }
}

/// Reads to the end, no more than is allowed: an allowance is in bytes from when it was given. What
/// is being waited for when it is taken away still comes.
async fn read(mut stream: ReadHalf<DuplexStream>, mut allowance: watch::Receiver<usize>, keep: watch::Sender<Vec<u8>>) {
    let mut since = 0;
    loop {
        if allowance.has_changed().unwrap_or_default() {
            since = keep.borrow().len();
        }
        let allowed = *allowance.borrow_and_update();
        let room = allowed.saturating_sub(keep.borrow().len() - since);
        if room == 0 {
            if allowance.changed().await.is_err() {
                return;
            }
            allowance.mark_changed();
            continue;
        }
        let mut piece = vec![0; room.min(4096)];
        match stream.read(&mut piece).await {
            Ok(taken @ 1..) => keep.send_modify(|received| received.extend_from_slice(&piece[..taken])),
            Ok(0) | Err(_) => return,
        }
    }
}
