//! A connection as its exchanges and the pool hold it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::time::Instant;

use super::super::connect::ConnectionInfo;
use super::super::connect::{KeyNotifier, PoolConnPermit};
use super::super::exchange::{Attempt, FailedAttempt};
use super::super::pool::Health;
use super::driver::Driver;
use super::error::{self, ConnectionEnd};
use super::exchange::Exchange;
use crate::error::{Phase, Result};
use crate::h1::HeadLimits;
use crate::h2::{Meter, client_builder};
use crate::message::Response;
use crate::net::Stream;

/// A handle on a connection: the pool's, or that of one exchange. With the last one, and the last
/// stream, the connection says goodbye and closes.
pub(crate) struct Http2Conn {
    core: Arc<ConnectionCore>,
    #[expect(dead_code, reason = "free again when this is dropped")]
    permit: Option<StreamPermit>,
}

pub(super) struct ConnectionCore {
    /// Each exchange takes a copy: one that waits for the peer's limit must not hold up another.
    requests: Mutex<SendRequest<Bytes>>,
    pub(super) state: Arc<Http2State>,
    info: Arc<ConnectionInfo>,
    expires: Option<Instant>,
}

/// What the driver knows of the connection. It holds no handle, which would keep it open.
pub(super) struct Http2State {
    /// How many exchanges have a seat.
    seats: AtomicUsize,
    /// How many there are, as the peer says.
    max_streams: AtomicUsize,
    health: AtomicU8,
    has_served: AtomicBool,
    ended: OnceLock<ConnectionEnd>,
    /// What was sent makes up for what the peer must answer it with.
    pub(super) meter: Arc<Meter>,
}

/// The right to one stream.
struct StreamPermit(Arc<Http2State>);

/// How many streams a peer is taken to bear before it has said so, on this connection or another
/// (Go's number; RFC 9113 §6.5.2 recommends no less).
const INITIAL_STREAM_COUNT: usize = 100;

/// Begins to speak HTTP/2 on a stream, and starts the connection's task. Waits for nothing but the
/// stream to take a few bytes.
pub(in super::super) async fn connect(
    stream: Box<dyn Stream>,
    info: Arc<ConnectionInfo>,
    expires: Option<Instant>,
    limits: &HeadLimits,
    notifier: KeyNotifier,
) -> Result<Http2Conn> {
    let (wire, meter) = Driver::wire(stream);
    let max_streams = notifier.capacity().unwrap_or(INITIAL_STREAM_COUNT);
    let shaken = client_builder(limits).initial_max_send_streams(max_streams).handshake(wire).await;
    let (requests, connection) = shaken.map_err(|error| error::connection_error(error, None, Phase::Connect))?;
    let core = Arc::new(ConnectionCore {
        requests: Mutex::new(requests),
        state: Arc::new(Http2State::new(max_streams, meter)),
        info,
        expires,
    });
    Driver::start(connection, &core, notifier);
    Ok(Http2Conn { core, permit: None })
}

impl Http2Conn {
    /// One exchange. Dropped before it is done, it resets its stream.
    pub(in super::super) async fn round_trip(
        self,
        permit: PoolConnPermit,
        attempt: Attempt<'_>,
    ) -> Result<Response, FailedAttempt> {
        let (exchange, waiting) = Exchange::begin(self, permit, attempt)?;
        exchange.run(waiting).await
    }

    /// A handle with a seat, if there is one free.
    pub(in super::super) fn share(&self) -> Option<Http2Conn> {
        let permit = self.core.state.acquire_stream()?;
        Some(Http2Conn { core: self.core.clone(), permit: Some(permit) })
    }

    pub(in super::super) fn health(&self) -> Health {
        self.core.state.health()
    }

    pub(in super::super) fn capacity(&self) -> usize {
        self.core.state.max_streams.load(Ordering::Relaxed)
    }

    pub(in super::super) fn info(&self) -> &ConnectionInfo {
        &self.core.info
    }

    pub(in super::super) fn has_served(&self) -> bool {
        self.core.state.has_served.load(Ordering::Relaxed)
    }

    pub(in super::super) fn expires(&self) -> Option<Instant> {
        self.core.expires
    }

    pub(super) fn requests(&self) -> SendRequest<Bytes> {
        self.core.requests_locked().clone()
    }

    pub(super) fn state(&self) -> &Arc<Http2State> {
        &self.core.state
    }
}

impl ConnectionCore {
    /// For as long as it takes to ask or to copy it.
    pub(super) fn requests_locked(&self) -> MutexGuard<'_, SendRequest<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Http2State {
    fn new(max_streams: usize, meter: Arc<Meter>) -> Http2State {
        Http2State {
            seats: AtomicUsize::new(0),
            max_streams: AtomicUsize::new(max_streams),
            health: AtomicU8::new(Health::Good as u8),
            has_served: AtomicBool::new(false),
            ended: OnceLock::new(),
            meter,
        }
    }

    fn acquire_stream(self: &Arc<Http2State>) -> Option<StreamPermit> {
        if self.health() != Health::Good {
            return None;
        }
        let max_streams = self.max_streams.load(Ordering::Relaxed);
        let taken = self
            .seats
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seats| (seats < max_streams).then_some(seats + 1));
        taken.ok().map(|_| StreamPermit(self.clone()))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.seats.load(Ordering::Relaxed) > 0
    }

    /// An exchange begins. Whether it had served before.
    pub(super) fn note_served(&self) -> bool {
        self.meter.answered();
        self.has_served.swap(true, Ordering::Relaxed)
    }

    /// How many streams the peer bears. Whether that is more than before.
    pub(super) fn set_max_streams(&self, max_streams: usize) -> bool {
        self.max_streams.swap(max_streams, Ordering::Relaxed) < max_streams
    }

    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            GOOD => Health::Good,
            DOUBTFUL => Health::Doubtful,
            _ => Health::Spent,
        }
    }

    /// The peer does not answer; or it does again. What is spent stays so. Whether that is news.
    pub(super) fn set_doubtful(&self, is_doubtful: bool) -> bool {
        let (from, to) = if is_doubtful { (GOOD, DOUBTFUL) } else { (DOUBTFUL, GOOD) };
        self.health.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It takes no more exchanges. Whether that is news.
    pub(super) fn set_spent(&self) -> bool {
        self.health.swap(Health::Spent as u8, Ordering::Relaxed) != Health::Spent as u8
    }

    /// Why it ended; the first reason counts.
    pub(super) fn set_ended(&self, ended: ConnectionEnd) {
        let _ = self.ended.set(ended);
    }

    pub(super) fn ended(&self) -> Option<&ConnectionEnd> {
        self.ended.get()
    }
}

const GOOD: u8 = Health::Good as u8;
const DOUBTFUL: u8 = Health::Doubtful as u8;

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Ordering::Relaxed);
    }
}
