//! The server's books: which connections there are, what each is doing, and how to end them.
//!
//! A connection decides about itself. The registry only leave a command and wake its task, so that
//! no request is lost between a look at its state and an act upon it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::close_reason::CloseReason;
use super::event::ConnState;

#[derive(Debug)]
pub(crate) struct Registry {
    connections: Mutex<Entries>,
    next_id: AtomicU64,
    opened: Instant,
    /// A connection has left.
    left: Notify,
    /// Connections that were taken over and are still open.
    pub(crate) hijacked: Arc<AtomicUsize>,
    /// How many connections were taken over so far.
    pub(crate) taken_over: AtomicUsize,
    /// How many new connections wait for room.
    wanting_room: AtomicUsize,
    /// What all were told: it holds for those too that come in later.
    told_all: AtomicU8,
}

type Entries = HashMap<u64, Arc<Entry>, BuildHasherDefault<Spread>>;

/// Spreads our own numbers, one after the other, over a table. No peer chooses them, so that nothing
/// needs to be kept from it.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 by the golden ratio: neighbours come to lie far apart, in the upper bits too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One connection in the registry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    state: AtomicU8,
    command: AtomicU8,
    /// When it came in or last went idle, in milliseconds of the registry' own time.
    since: AtomicU64,
    waker: OnceLock<Waker>,
}

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Command {
    Run,
    /// Close as soon as no request is under way, to make room.
    MakeRoom,
    /// The same, because the server shuts down.
    Finish,
    /// Close now.
    Stop,
}

impl Command {
    fn from_number(number: u8) -> Command {
        match number {
            0 => Command::Run,
            1 => Command::MakeRoom,
            2 => Command::Finish,
            _ => Command::Stop,
        }
    }

    /// Why a connection with nothing under way closes now, if it does.
    pub(crate) fn closes_idle(self) -> Option<CloseReason> {
        match self {
            Command::Run => None,
            Command::MakeRoom => Some(CloseReason::Evicted),
            Command::Finish => Some(CloseReason::ShuttingDown),
            Command::Stop => Some(CloseReason::Cut),
        }
    }
}

/// A connection that has said nothing for so long may have to make room for one that might. Also how
/// often that is looked at.
const SILENT_MILLISECONDS: u64 = 1000;

impl Registry {
    pub(crate) fn new() -> Registry {
        Registry {
            connections: Mutex::default(),
            next_id: AtomicU64::new(1),
            opened: Instant::now(),
            left: Notify::new(),
            hijacked: Arc::default(),
            taken_over: AtomicUsize::new(0),
            wanting_room: AtomicUsize::new(0),
            told_all: AtomicU8::new(Command::Run as u8),
        }
    }

    /// Books a new connection.
    pub(crate) fn enter(&self) -> Arc<Entry> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            id,
            state: AtomicU8::new(ConnState::New as u8),
            command: AtomicU8::new(Command::Run as u8),
            since: AtomicU64::new(self.age(Instant::now())),
            waker: OnceLock::new(),
        });
        self.lock().insert(id, entry.clone());
        // Behind the insertion: a command given meanwhile has found it in the registry, or is here.
        entry.command.fetch_max(self.told_all.load(Ordering::SeqCst), Ordering::SeqCst);
        entry
    }

    /// Strikes a connection off; a second time does nothing.
    pub(crate) fn leave(&self, id: u64) {
        let gone = self.lock().remove(&id);
        if gone.is_some() {
            self.left.notify_waiters();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Gives every connection this command, those to come included.
    pub(crate) fn command_all(&self, command: Command) {
        self.told_all.fetch_max(command as u8, Ordering::SeqCst);
        for entry in self.entries() {
            entry.command(command);
        }
    }

    /// Waits until there are fewer connections than `most`. The one that has been idle longest is
    /// asked to leave, else one that has not said a word for a while; when there is none either,
    /// the next that would become idle leaves instead.
    pub(crate) async fn make_room(&self, most: usize) {
        if self.len() < most {
            return;
        }
        let _wanting = Wanting::new(&self.wanting_room);
        loop {
            self.evict_one();
            if timeout(Duration::from_millis(SILENT_MILLISECONDS), self.wait_below(most)).await.is_ok() {
                return;
            }
        }
    }

    /// Notes since when a connection is idle.
    pub(crate) fn note_idle(&self, entry: &Entry, now: Instant) {
        entry.since.store(self.age(now), Ordering::Relaxed);
    }

    /// How long the registry have been open, in milliseconds.
    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.opened).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a connection that has become idle should rather leave.
    pub(crate) fn wants_room(&self) -> bool {
        self.wanting_room.load(Ordering::SeqCst) > 0
    }

    /// With many connections this looks at each; it happens only when a new one came in and
    /// there is no room.
    fn evict_one(&self) {
        let now = self.age(Instant::now());
        let silent =
            |entry: &Entry| entry.is(ConnState::New) && now.saturating_sub(entry.since()) >= SILENT_MILLISECONDS;
        let mut running = self.entries();
        running.retain(|entry| entry.commanded() == Command::Run && (entry.is(ConnState::Idle) || silent(entry)));
        // Those that were idle first: `false` is before `true`.
        if let Some(entry) = running.iter().min_by_key(|entry| (entry.is(ConnState::New), entry.since())) {
            entry.command(Command::MakeRoom);
        }
    }

    /// Wakes those that are idle now, so that they look whether to stay.
    pub(crate) fn wake_idle(&self) {
        for entry in self.entries().into_iter().filter(|entry| entry.is(ConnState::Idle)) {
            entry.command(Command::Run);
        }
    }

    /// Waits until there are fewer connections than this.
    pub(crate) async fn wait_below(&self, count: usize) {
        loop {
            let left = self.left.notified();
            let mut left = std::pin::pin!(left);
            left.as_mut().enable();
            if self.len() < count {
                return;
            }
            left.await;
        }
    }

    /// Copied out, so that hooks and wakers run without the lock.
    fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn set_state(&self, state: ConnState) {
        // In one order with `wants_room`: of a connection that goes idle and a new one that wants
        // room, one sees the other. Who sees a busy one as idle does no harm.
        let order = if state == ConnState::Idle { Ordering::SeqCst } else { Ordering::Release };
        self.state.store(state as u8, order);
    }

    /// The connection's task: the one to wake. A task keeps its waker, so once is enough.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// The strongest command so far.
    pub(crate) fn commanded(&self) -> Command {
        Command::from_number(self.command.load(Ordering::SeqCst))
    }

    fn command(&self, command: Command) {
        self.command.fetch_max(command as u8, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    fn is(&self, state: ConnState) -> bool {
        self.state.load(Ordering::SeqCst) == state as u8
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }
}

/// A new connection that waits for room, for as long as it does.
struct Wanting<'a>(&'a AtomicUsize);

impl<'a> Wanting<'a> {
    fn new(count: &'a AtomicUsize) -> Wanting<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Wanting(count)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_comes_in_late_has_heard_what_all_were_told() {
        let registry = Registry::new();
        let early = registry.enter();
        registry.command_all(Command::Finish);
        let late = registry.enter();
        assert_eq!((early.commanded(), late.commanded()), (Command::Finish, Command::Finish));
        registry.command_all(Command::Stop);
        assert_eq!((early.commanded(), late.commanded()), (Command::Stop, Command::Stop));
    }
}
