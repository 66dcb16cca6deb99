//! A tunnel between two connections that speak another protocol now.
//!
//! Each direction is copied by itself and ends by itself: the end of one is passed on as the end of that half, and
//! the other goes on. Nothing is held while both are silent: bytes are read into memory on the stack, and only what
//! the other side does not take at once is kept, before more is read.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::error::{Error, Phase, Result};
use crate::message::Context as RequestContext;
use crate::net::Deadline;

/// How much is read at a time.
const MAX_READ_BYTES: usize = 16 * 1024;

/// Once one direction has ended, the other may be silent for so long. Its peer may have gone without a word: what it
/// does not send any more is not waited for.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(60);

/// When a tunnel ends that its peers do not end.
#[derive(Clone, Copy, Debug)]
pub(super) struct TunnelLimits {
    /// How long both directions may be silent; `None` is no limit.
    pub(super) idle: Option<Duration>,
    /// How long it goes on after the server has begun to shut down.
    pub(super) grace: Duration,
}

/// How much went through a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tunnelled {
    pub(super) from_client: u64,
    pub(super) from_upstream: u64,
}

/// Copies both ways until both have ended, one fails, or a limit passes. Both streams are closed when this returns, so
/// that both sides end together. `count` is told how much has gone through, each time that something has.
///
/// # Errors
/// That of the direction that failed.
pub(super) async fn tunnel<C, U>(
    client: C,
    upstream: U,
    context: &RequestContext,
    limits: TunnelLimits,
    mut count: impl FnMut(Tunnelled) + Send,
) -> Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut pair = TunnelPair { client, upstream, up: Copying::default(), down: Copying::default() };
    let mut draining = pin!(context.draining());
    let mut clock = TunnelClock::new(limits);
    poll_fn(|cx| {
        if clock.drained.is_none() && draining.as_mut().poll(cx).is_ready() {
            clock.drained = Some(Instant::now() + limits.grace);
        }
        let before = pair.moved();
        let ended = pair.poll(cx);
        let has_moved = pair.moved() != before;
        if has_moved {
            count(pair.moved());
        }
        if ended.is_ready() {
            return ended;
        }
        clock.poll(pair.is_half_closed(), has_moved, cx).map(|()| Ok(()))
    })
    .await
}

struct TunnelPair<C, U> {
    client: C,
    upstream: U,
    up: Copying,
    down: Copying,
}

impl<C, U> TunnelPair<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// Ready when both directions have ended, or one has failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let up = self.up.poll(&mut self.client, &mut self.upstream, cx)?;
        let down = self.down.poll(&mut self.upstream, &mut self.client, cx)?;
        if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn moved(&self) -> Tunnelled {
        Tunnelled { from_client: self.up.bytes, from_upstream: self.down.bytes }
    }

    fn is_half_closed(&self) -> bool {
        self.up.stage == CopyStage::Ended || self.down.stage == CopyStage::Ended
    }
}

/// One direction.
#[derive(Default)]
struct Copying {
    stage: CopyStage,
    /// What was read and not taken yet, and how much of it was.
    held: Vec<u8>,
    taken: usize,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CopyStage {
    #[default]
    Open,
    /// The reader has ended: the writer is to be told.
    Ending,
    Ended,
}

impl Copying {
    fn poll<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_held(to, cx))?;
            match self.stage {
                CopyStage::Open => {
                    if self.poll_piece(from, to, cx)?.is_pending() {
                        // What TLS has taken leaves now: nothing may follow it for long.
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(|error| failed(error, Phase::Write))?;
                        return Poll::Pending;
                    }
                }
                CopyStage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|error| failed(error, Phase::Write))?;
                    self.stage = CopyStage::Ended;
                }
                CopyStage::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Writes what was held.
    fn poll_held<W: AsyncWrite + Unpin>(&mut self, to: &mut W, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(rest) = self.held.get(self.taken..).filter(|rest| !rest.is_empty()) {
            let written =
                ready!(Pin::new(&mut *to).poll_write(cx, rest)).map_err(|error| failed(error, Phase::Write))?;
            if written == 0 {
                return Poll::Ready(Err(failed(std::io::ErrorKind::WriteZero.into(), Phase::Write)));
            }
            self.taken += written;
        }
        (self.held, self.taken) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes that. What is not taken at once is held.
    fn poll_piece<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut memory = [const { MaybeUninit::uninit() }; MAX_READ_BYTES];
        let mut piece = ReadBuf::uninit(&mut memory);
        match Pin::new(from).poll_read(cx, &mut piece) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(read) => read.map_err(|error| failed(error, Phase::Body))?,
        }
        let piece = piece.filled();
        if piece.is_empty() {
            self.stage = CopyStage::Ending;
            return Ok(Poll::Ready(()));
        }
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        let written = match Pin::new(to).poll_write(cx, piece) {
            Poll::Pending => 0,
            Poll::Ready(written) => written.map_err(|error| failed(error, Phase::Write))?,
        };
        self.held.extend_from_slice(piece.get(written..).unwrap_or_default());
        Ok(Poll::Ready(()))
    }
}

fn failed(error: std::io::Error, phase: Phase) -> Error {
    Error::from(error).during(phase)
}

/// The limits while they run. Without one, there is no timer.
struct TunnelClock {
    limits: TunnelLimits,
    /// Until when it goes on once the server shuts down.
    drained: Option<Instant>,
    silent_since: Option<Instant>,
    timer: Deadline,
}

impl TunnelClock {
    fn new(limits: TunnelLimits) -> TunnelClock {
        TunnelClock { limits, drained: None, silent_since: None, timer: Deadline::default() }
    }

    /// Ready when a limit has passed.
    fn poll(&mut self, is_half_closed: bool, has_moved: bool, cx: &mut Context<'_>) -> Poll<()> {
        let silence = match (self.limits.idle, is_half_closed) {
            (idle, true) => Some(idle.map_or(HALF_CLOSED_TIMEOUT, |idle| idle.min(HALF_CLOSED_TIMEOUT))),
            (idle, false) => idle,
        };
        if silence.is_none() && self.drained.is_none() {
            return Poll::Pending;
        }
        if has_moved || self.silent_since.is_none() {
            self.silent_since = Some(Instant::now());
        }
        let silent_until = silence.zip(self.silent_since).map(|(silence, since)| since + silence);
        self.timer.set(silent_until.into_iter().chain(self.drained).min());
        self.timer.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LIMITS: TunnelLimits = TunnelLimits { idle: None, grace: Duration::from_secs(1) };

    /// A tunnel, with its two ends.
    fn open(limits: TunnelLimits) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<(Tunnelled, Result<()>)>) {
        let ((client, near), (upstream, far)) = (duplex(64), duplex(64));
        let task = tokio::spawn(async move {
            let mut tunnelled = Tunnelled::default();
            let ended = tunnel(near, far, &RequestContext::background(), limits, |moved| tunnelled = moved).await;
            (tunnelled, ended)
        });
        (client, upstream, task)
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_go_both_ways_and_each_end_is_passed_on() {
        let (mut client, mut upstream, task) = open(LIMITS);
        let sent = vec![b'x'; 100_000];
        let writing = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        });
        let mut received = Vec::new();
        upstream.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), 100_000);
        upstream.write_all(b"after the other half has ended").await.unwrap();
        drop(upstream);
        assert_eq!(writing.await.unwrap(), "after the other half has ended");
        let (tunnelled, ended) = task.await.unwrap();
        assert!(ended.is_ok());
        assert_eq!(tunnelled, Tunnelled { from_client: 100_000, from_upstream: 30 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_that_is_left_may_be_silent_for_a_minute_and_a_whole_tunnel_for_ever() {
        let (mut client, upstream, task) = open(LIMITS);
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        assert!(!task.is_finished());
        client.shutdown().await.unwrap();
        let begun = Instant::now();
        task.await.unwrap().1.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 60);
        drop(upstream);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_tunnel_where_that_is_limited_and_bytes_begin_it_anew() {
        let (mut client, _upstream, task) = open(TunnelLimits { idle: Some(Duration::from_secs(10)), ..LIMITS });
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs(6)).await;
        client.write_all(b"x").await.unwrap();
        task.await.unwrap().1.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 16);
    }
}
