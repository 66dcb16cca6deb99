//! The server's open connections: what each is doing, and how to end them.
//!
//! The registry closes nothing by itself. It stores a [`Command`] in the connection's [`Entry`] and
//! wakes the connection's task, which obeys when it has no request under way. If the registry closed
//! idle connections directly, a request that arrives between the check and the close would be lost.
//!
//! Two orders of memory operations matter, and both are `SeqCst`:
//!
//! - A new connection is inserted before it reads the command for all, and a command for all is stored
//!   before the entries are visited: a connection that starts during a shutdown cannot miss it.
//! - A connection stores that it is idle before it reads [`wants_room`](Registry::wants_room), and a
//!   new connection counts itself as waiting before it looks for idle ones: at least one of the two
//!   sees the other.

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
    /// Times in entries are milliseconds since this.
    created: Instant,
    /// Notified each time a connection is removed.
    removed: Notify,
    /// Connections that were hijacked and are still open.
    pub(crate) hijacked: Arc<AtomicUsize>,
    /// How many connections were hijacked so far.
    pub(crate) taken_over: AtomicUsize,
    /// How many new connections wait until another one closes.
    waiting_for_room: AtomicUsize,
    /// The command for all connections, those included that are accepted later.
    command_for_all: AtomicU8,
}

type Entries = HashMap<u64, Arc<Entry>, BuildHasherDefault<IdHasher>>;

/// The hash of a connection's id. The server counts ids itself and no peer chooses them, so the
/// costly hash that protects from chosen keys is not needed.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: consecutive ids get hashes that differ in the upper bits
        // too, and the map takes its control bytes from those.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One connection, as the registry and the connection's task share it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    state: AtomicU8,
    command: AtomicU8,
    /// When it was accepted or last became idle, in milliseconds since the registry was created.
    since_millis: AtomicU64,
    /// The connection's task.
    waker: OnceLock<Waker>,
}

/// What a connection has to do. The variants are ordered by strength: a stronger command replaces a
/// weaker one, never the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Command {
    /// Go on.
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

    /// The reason for which a connection without a request under way must close now, if it must.
    pub(crate) fn close_reason(self) -> Option<CloseReason> {
        match self {
            Command::Run => None,
            Command::MakeRoom => Some(CloseReason::Evicted),
            Command::Finish => Some(CloseReason::ShuttingDown),
            Command::Stop => Some(CloseReason::Cut),
        }
    }
}

/// A connection that has sent nothing for this long after accept may be closed to make room. Also the
/// interval in which such connections are looked for.
const SILENCE_MILLIS: u64 = 1000;

impl Registry {
    pub(crate) fn new() -> Registry {
        Registry {
            connections: Mutex::default(),
            next_id: AtomicU64::new(1),
            created: Instant::now(),
            removed: Notify::new(),
            hijacked: Arc::default(),
            taken_over: AtomicUsize::new(0),
            waiting_for_room: AtomicUsize::new(0),
            command_for_all: AtomicU8::new(Command::Run as u8),
        }
    }

    /// Adds a new connection.
    pub(crate) fn add(&self) -> Arc<Entry> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            id,
            state: AtomicU8::new(ConnState::New as u8),
            command: AtomicU8::new(Command::Run as u8),
            since_millis: AtomicU64::new(self.millis_at(Instant::now())),
            waker: OnceLock::new(),
        });
        self.lock().insert(id, entry.clone());
        // After the insertion: a command for all that is given meanwhile either visits this entry or
        // is read here.
        entry.command.fetch_max(self.command_for_all.load(Ordering::SeqCst), Ordering::SeqCst);
        entry
    }

    /// Removes a connection; a second time does nothing.
    pub(crate) fn remove(&self, id: u64) {
        let entry = self.lock().remove(&id);
        if entry.is_some() {
            self.removed.notify_waiters();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Gives every connection this command, those included that are accepted later.
    pub(crate) fn command_all(&self, command: Command) {
        self.command_for_all.fetch_max(command as u8, Ordering::SeqCst);
        for entry in self.entries() {
            entry.give(command);
        }
    }

    /// Waits until there are fewer connections than `most`. The connection that has been idle longest
    /// gets the command to close, else one that was accepted a second ago and has sent nothing. Where
    /// there is neither, the next connection that becomes idle closes itself (see
    /// [`wants_room`](Self::wants_room)).
    pub(crate) async fn make_room(&self, most: usize) {
        if self.len() < most {
            return;
        }
        let _waiting = WaitingForRoom::new(&self.waiting_for_room);
        loop {
            self.evict_one();
            if timeout(Duration::from_millis(SILENCE_MILLIS), self.wait_below(most)).await.is_ok() {
                return;
            }
        }
    }

    /// Records since when a connection is idle.
    pub(crate) fn note_idle(&self, entry: &Entry, now: Instant) {
        entry.since_millis.store(self.millis_at(now), Ordering::Relaxed);
    }

    fn millis_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.created).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a new connection waits for room, so that one that becomes idle has to close.
    pub(crate) fn wants_room(&self) -> bool {
        self.waiting_for_room.load(Ordering::SeqCst) > 0
    }

    /// Looks at every connection, however many there are; it happens only when a new one was accepted
    /// and there is no room for it.
    fn evict_one(&self) {
        let now = self.millis_at(Instant::now());
        let silent =
            |entry: &Entry| entry.is(ConnState::New) && now.saturating_sub(entry.since_millis()) >= SILENCE_MILLIS;
        let mut evictable = self.entries();
        // A connection that has a command is closing already: another command would free no room.
        evictable.retain(|entry| entry.command() == Command::Run && (entry.is(ConnState::Idle) || silent(entry)));
        // Idle ones before silent ones (`false` is less than `true`), then by age.
        if let Some(entry) = evictable.iter().min_by_key(|entry| (entry.is(ConnState::New), entry.since_millis())) {
            entry.give(Command::MakeRoom);
        }
    }

    /// Wakes the connections that are idle now, so that they check whether they may stay open.
    pub(crate) fn wake_idle(&self) {
        for entry in self.entries().into_iter().filter(|entry| entry.is(ConnState::Idle)) {
            entry.give(Command::Run);
        }
    }

    /// Waits until there are fewer connections than this.
    pub(crate) async fn wait_below(&self, count: usize) {
        loop {
            // Enabled before the count is read: a removal in between would otherwise go unnoticed.
            let mut removed = std::pin::pin!(self.removed.notified());
            removed.as_mut().enable();
            if self.len() < count {
                return;
            }
            removed.await;
        }
    }

    /// A copy, so that wakers run without the lock.
    fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn set_state(&self, state: ConnState) {
        // Idle is stored in one order with `wants_room` (see the top of this file). The other states
        // need no order: a busy connection that is still seen as idle gets a command, and obeys it when
        // it is idle again.
        let order = if state == ConnState::Idle { Ordering::SeqCst } else { Ordering::Release };
        self.state.store(state as u8, order);
    }

    /// Sets the task to wake. A task's waker stays the same as long as it lives, so the first one
    /// is kept.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// The strongest command so far.
    pub(crate) fn command(&self) -> Command {
        Command::from_number(self.command.load(Ordering::SeqCst))
    }

    fn give(&self, command: Command) {
        self.command.fetch_max(command as u8, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    fn is(&self, state: ConnState) -> bool {
        self.state.load(Ordering::SeqCst) == state as u8
    }

    fn since_millis(&self) -> u64 {
        self.since_millis.load(Ordering::Relaxed)
    }
}

/// Counts a new connection that waits for room, until it is dropped.
struct WaitingForRoom<'a>(&'a AtomicUsize);

impl<'a> WaitingForRoom<'a> {
    fn new(count: &'a AtomicUsize) -> WaitingForRoom<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        WaitingForRoom(count)
    }
}

impl Drop for WaitingForRoom<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_accepted_late_has_the_command_for_all() {
        let registry = Registry::new();
        let early = registry.add();
        registry.command_all(Command::Finish);
        let late = registry.add();
        assert_eq!((early.command(), late.command()), (Command::Finish, Command::Finish));
        registry.command_all(Command::Stop);
        assert_eq!((early.command(), late.command()), (Command::Stop, Command::Stop));
    }
}
