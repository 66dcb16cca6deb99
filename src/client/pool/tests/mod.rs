//! Each rule of the pool by itself, on connections that are numbers. The model is in
//! `tests/model.rs`, and futures that are dropped anywhere in `tests/cancel.rs`.

mod cancel;
mod model;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::error::{Error, ErrorKind};

use super::acquire::Acquire;
use super::checkout::RuntimeId;
use super::*;

/// A key: `may_share` where its name says https.
type Key = &'static str;

impl PoolKey for Key {
    fn may_share(&self) -> bool {
        self.starts_with("https")
    }
}

/// What became of the connections of a test.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<u32, Facts>>>);

#[derive(Clone, Copy, Default)]
struct Facts {
    is_closed: bool,
    is_dead: bool,
    /// How many exchanges it takes at a time; 0 for one that cannot be shared.
    capacity: usize,
    exchanges: usize,
    expires: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// Whether it takes no more exchanges, ever.
    is_spent: bool,
}

/// A connection, or one exchange on a shared one.
struct Conn {
    id: u32,
    is_exchange: bool,
    ledger: Ledger,
}

impl Ledger {
    fn connect(&self, id: u32) -> Conn {
        self.connect_with(id, Facts::default())
    }

    fn connect_shared(&self, id: u32, capacity: usize) -> Conn {
        self.connect_with(id, Facts { capacity, ..Facts::default() })
    }

    fn connect_with(&self, id: u32, facts: Facts) -> Conn {
        assert!(self.0.lock().unwrap().insert(id, facts).is_none(), "{id} is new");
        Conn { id, is_exchange: false, ledger: self.clone() }
    }

    fn change<R>(&self, id: u32, change: impl FnOnce(&mut Facts) -> R) -> R {
        change(self.0.lock().unwrap().get_mut(&id).expect("it was made"))
    }

    fn kill(&self, id: u32) {
        self.change(id, |facts| facts.is_dead = true);
    }

    fn is_open(&self, id: u32) -> bool {
        !self.change(id, |facts| facts.is_closed)
    }

    fn open(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().filter(|(_, facts)| !facts.is_closed).map(|(id, _)| *id).collect()
    }
}

impl Pooled for Conn {
    fn probe(&mut self) -> bool {
        !self.ledger.change(self.id, |facts| facts.is_dead)
    }

    fn share(&self) -> Option<Conn> {
        let is_open = self.ledger.change(self.id, |facts| {
            let is_open = facts.exchanges < facts.capacity && !facts.is_spent;
            facts.exchanges += usize::from(is_open);
            is_open
        });
        is_open.then(|| Conn { id: self.id, is_exchange: true, ledger: self.ledger.clone() })
    }

    fn health(&self) -> Health {
        if self.ledger.change(self.id, |facts| facts.is_spent) { Health::Spent } else { Health::Good }
    }

    fn expires(&self) -> Option<Instant> {
        self.ledger.change(self.id, |facts| facts.expires)
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.ledger.change(self.id, |facts| facts.idle_timeout)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.ledger.change(self.id, |facts| {
            if self.is_exchange {
                facts.exchanges -= 1;
            } else {
                assert!(!std::mem::replace(&mut facts.is_closed, true), "it is closed once");
            }
        });
    }
}

const NO_LIMITS: Limits =
    Limits { max_idle: 0, max_idle_per_key: 100, max_per_key: 0, when_full: WhenFull::Dials, idle_timeout: None };

fn pool(limits: Limits) -> (Pool<Key, Conn>, Ledger) {
    (Pool::new(limits), Ledger::default())
}

/// Whether a task was woken since that was asked last.
#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl WakeFlag {
    fn rang(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// Polls once, and drops the future.
fn poll_once<F: Future>(future: F, wakes: &Arc<WakeFlag>) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
}

/// What a waiter gets now, if anything.
fn now(acquire: &mut Acquire<Key, Conn>) -> Option<Acquired<Key, Conn>> {
    match poll_once(acquire.next(), &Arc::default()) {
        Poll::Ready(acquired) => Some(acquired),
        Poll::Pending => None,
    }
}

fn dial_permit(acquire: &mut Acquire<Key, Conn>) -> DialPermit<Key, Conn> {
    match now(acquire) {
        Some(Acquired::Dial(permit)) => permit,
        other => panic!("not the right to dial: {}", describe(other.as_ref())),
    }
}

fn conn(acquire: &mut Acquire<Key, Conn>) -> PooledConn<Key, Conn> {
    match now(acquire) {
        Some(Acquired::Connection { conn, .. }) => conn,
        other => panic!("no connection: {}", describe(other.as_ref())),
    }
}

fn error(acquire: &mut Acquire<Key, Conn>) -> Error {
    match now(acquire) {
        Some(Acquired::Failed(error)) => error,
        other => panic!("no error: {}", describe(other.as_ref())),
    }
}

fn assert_waits(acquire: &mut Acquire<Key, Conn>) {
    let acquired = now(acquire);
    assert!(acquired.is_none(), "waits: {}", describe(acquired.as_ref()));
}

fn describe(acquired: Option<&Acquired<Key, Conn>>) -> String {
    match acquired {
        None => "nothing".into(),
        Some(Acquired::Connection { conn, .. }) => format!("connection {}", conn.id),
        Some(Acquired::Dial(_)) => "the right to dial".into(),
        Some(Acquired::Failed(error)) => format!("the error {error}"),
    }
}

/// A want that dials, and what it dials.
fn connected(pool: &Pool<Key, Conn>, key: Key, connection: Conn) -> PooledConn<Key, Conn> {
    let mut acquire = pool.acquire(key);
    dial_permit(&mut acquire).established(connection);
    conn(&mut acquire)
}

fn stats(pool: &Pool<Key, Conn>, key: Key) -> PoolStats {
    pool.stats().into_iter().find(|(other, _)| *other == key).map(|(_, stats)| stats).unwrap_or_default()
}

fn assert_idle_is_counted(pool: &Pool<Key, Conn>) {
    let of_keys: usize = pool.stats().iter().map(|(_, stats)| stats.idle).sum();
    assert_eq!(pool.decide(|state| state.global.idle_count), of_keys, "over all keys, and of each");
}

fn counts(idle: usize, in_use: usize, dialing: usize, waiting: usize) -> PoolStats {
    PoolStats { idle, in_use, dialing, waiting }
}

fn refused() -> Error {
    Error::new(ErrorKind::Io, "refused")
}

const NONE: [u32; 0] = [];

const SECOND: Duration = Duration::from_secs(1);

// ------------------------------------------------------------ idle connections

#[tokio::test(start_paused = true)]
async fn a_connection_whose_peer_keeps_it_for_less_is_idle_for_less() {
    for (own, peer, most) in [(None, Some(3), 3), (Some(9), Some(3), 3), (Some(2), Some(3), 2)] {
        let limits = Limits { idle_timeout: own.map(|seconds| seconds * SECOND), ..NO_LIMITS };
        let (pool, ledger) = pool(limits);
        let idle_timeout = peer.map(|seconds| seconds * SECOND);
        connected(&pool, "a", ledger.connect_with(1, Facts { idle_timeout, ..Facts::default() })).give_back();
        advance(most * SECOND - Duration::from_millis(1)).await;
        let (conn, _) = pool.try_idle(&"a", Timestamp::now()).expect("it is idle for less than that");
        conn.give_back();
        advance(most * SECOND).await;
        assert!(pool.try_idle(&"a", Timestamp::now()).is_none(), "{own:?} {peer:?}");
        // Without anybody who asks, too.
        connected(&pool, "a", ledger.connect_with(2, Facts { idle_timeout, ..Facts::default() })).give_back();
        tokio::time::sleep(most * SECOND + Duration::from_millis(2)).await;
        assert!(!ledger.is_open(2));
    }
}

#[test]
fn the_connection_that_was_used_last_is_used_next() {
    let (pool, ledger) = pool(NO_LIMITS);
    let [one, two] = [1, 2].map(|id| connected(&pool, "a", ledger.connect(id)));
    two.give_back();
    one.give_back();
    assert_eq!(stats(&pool, "a"), counts(2, 0, 0, 0));
    let (conn, _) = pool.try_idle(&"a", Timestamp::now()).expect("one is idle");
    assert_eq!((conn.id, conn_id(&pool)), (1, 2));
    assert!(pool.try_idle(&"b", Timestamp::now()).is_none());
}

fn conn_id(pool: &Pool<Key, Conn>) -> u32 {
    pool.try_idle(&"a", Timestamp::now()).expect("one is idle").0.id
}

#[test]
fn a_connection_that_is_not_given_back_is_closed_and_its_place_is_free() {
    let (pool, ledger) = pool(NO_LIMITS);
    let conn = connected(&pool, "a", ledger.connect(1));
    assert_eq!(stats(&pool, "a"), counts(0, 1, 0, 0));
    drop(conn);
    assert!(!ledger.is_open(1));
    assert_eq!(pool.stats(), []);
}

#[test]
fn an_idle_connection_that_died_is_closed_and_the_next_one_is_tried() {
    let (pool, ledger) = pool(NO_LIMITS);
    let conns = [1, 2, 3].map(|id| connected(&pool, "a", ledger.connect(id)));
    conns.into_iter().for_each(PooledConn::give_back);
    [2, 3].into_iter().for_each(|id| ledger.kill(id));
    let mut acquire = pool.acquire("a");
    assert_eq!(conn(&mut acquire).id, 1);
    assert_eq!(ledger.open(), NONE);
    assert_eq!(pool.stats(), []);
}

#[tokio::test(start_paused = true)]
async fn a_connection_comes_with_the_time_that_it_was_idle() {
    let (pool, ledger) = pool(NO_LIMITS);
    let mut acquire = pool.acquire("a");
    dial_permit(&mut acquire).established(ledger.connect(1));
    let Some(Acquired::Connection { conn, idle_for: None }) = now(&mut acquire) else { panic!("it is fresh") };
    conn.give_back();
    advance(5 * SECOND).await;
    let (conn, idle_for) = pool.try_idle(&"a", Timestamp::now()).expect("it is idle");
    assert_eq!(idle_for, 5 * SECOND);
    conn.give_back();
    advance(7 * SECOND).await;
    let idle_for = match now(&mut pool.acquire("a")) {
        Some(Acquired::Connection { idle_for, .. }) => idle_for,
        other => panic!("{}", describe(other.as_ref())),
    };
    assert_eq!(idle_for, Some(7 * SECOND));
}

#[test]
fn one_idle_connection_of_a_key_too_many_is_closed() {
    let (pool, ledger) = pool(Limits { max_idle_per_key: 1, ..NO_LIMITS });
    let conns = [1, 2].map(|id| connected(&pool, "a", ledger.connect(id)));
    let other = connected(&pool, "b", ledger.connect(3));
    conns.into_iter().for_each(PooledConn::give_back);
    other.give_back();
    assert_eq!(ledger.open(), [1, 3]);
    assert_eq!(stats(&pool, "a"), counts(1, 0, 0, 0));
}

#[test]
fn no_idle_connection_is_kept_where_none_may_be() {
    let (pool, ledger) = pool(Limits { max_idle_per_key: 0, ..NO_LIMITS });
    connected(&pool, "a", ledger.connect(1)).give_back();
    connected(&pool, "https://a", ledger.connect_shared(2, 8)).give_back();
    let mut lost = pool.acquire("a");
    let dial = dial_permit(&mut lost);
    drop(lost);
    dial.established(ledger.connect(3));
    assert_eq!(ledger.open(), NONE);
    assert_eq!(pool.stats(), []);
}

#[test]
fn one_idle_connection_too_many_closes_the_one_of_any_key_that_was_idle_longest() {
    let (pool, ledger) = pool(Limits { max_idle: 2, ..NO_LIMITS });
    let keys = [("a", 1), ("b", 2), ("https://c", 3), ("a", 4)];
    let conns = keys.map(|(key, id)| {
        let capacity = if key == "https://c" { 8 } else { 0 };
        connected(&pool, key, ledger.connect_shared(id, capacity))
    });
    let [one, two, three, four] = conns;
    two.give_back();
    three.give_back();
    one.give_back();
    assert_eq!(ledger.open(), [1, 3, 4], "2 was first");
    four.give_back();
    assert_eq!(ledger.open(), [1, 4], "a shared one is idle too");
    let (one, _) = pool.try_idle(&"a", Timestamp::now()).expect("4 is idle");
    assert_eq!(one.id, 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_beyond_its_lifetime_is_not_kept_and_not_used() {
    let (pool, ledger) = pool(NO_LIMITS);
    let expires = Some(Instant::now() + SECOND);
    let [one, two] =
        [1, 2].map(|id| connected(&pool, "a", ledger.connect_with(id, Facts { expires, ..Facts::default() })));
    one.give_back();
    advance(SECOND).await;
    two.give_back();
    assert!(!ledger.is_open(2));
    assert!(pool.try_idle(&"a", Timestamp::now()).is_none());
    assert_eq!((ledger.open(), pool.stats()), (vec![], vec![]));
}

#[test]
fn a_machine_that_slept_does_not_use_what_was_idle_too_long_meanwhile() {
    let (pool, ledger) = pool(Limits { idle_timeout: Some(90 * SECOND), ..NO_LIMITS });
    connected(&pool, "a", ledger.connect(1)).give_back();
    let mut woken = Timestamp::now();
    woken.wall += 91 * SECOND;
    let taken = pool.decide(|state| state.checkout(&"a", RuntimeId::current(), woken).is_some());
    assert!(!taken && !ledger.is_open(1));
}

// ------------------------------------------------------------ waiters and dials

#[test]
fn a_connection_that_is_given_back_comes_before_the_dial_which_is_kept_for_the_next() {
    let (pool, ledger) = pool(NO_LIMITS);
    let used = connected(&pool, "a", ledger.connect(1));
    let (mut acquire, wakes) = (pool.acquire("a"), Arc::<WakeFlag>::default());
    let dial = dial_permit(&mut acquire);
    assert!(poll_once(acquire.next(), &wakes).is_pending());
    used.give_back();
    assert!(wakes.rang());
    let _one = conn(&mut acquire);
    dial.established(ledger.connect(2));
    assert_eq!(stats(&pool, "a"), counts(1, 1, 0, 0));
    assert_eq!(pool.try_idle(&"a", Timestamp::now()).expect("2 is idle").0.id, 2);
}

#[test]
fn a_dial_goes_on_when_its_waiter_has_left_and_serves_the_next_one() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let (mut first, mut second) = (pool.acquire("a"), pool.acquire("a"));
    let dial = dial_permit(&mut first);
    assert_waits(&mut second);
    drop(first);
    dial.established(ledger.connect(1));
    assert_eq!(conn(&mut second).id, 1);
}

#[test]
fn a_waiter_gets_the_connection_of_its_own_dial_even_if_others_wait_longer() {
    let (pool, ledger) = pool(NO_LIMITS);
    let (mut first, mut second) = (pool.acquire("a"), pool.acquire("a"));
    let _slow = dial_permit(&mut first);
    dial_permit(&mut second).established(ledger.connect(1));
    assert_waits(&mut first);
    assert_eq!(conn(&mut second).id, 1);
}

#[test]
fn a_dial_that_fails_fails_its_own_waiter_and_the_next_one_may_dial() {
    let (pool, _) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let (mut first, mut second) = (pool.acquire("a"), pool.acquire("a"));
    let (dial, wakes) = (dial_permit(&mut first), Arc::<WakeFlag>::default());
    assert!(poll_once(second.next(), &wakes).is_pending());
    dial.failed(refused());
    assert!(wakes.rang());
    let dial = dial_permit(&mut second);
    assert_eq!(error(&mut first).to_string(), "refused");
    assert_eq!(stats(&pool, "a"), counts(0, 0, 1, 1));
    drop(dial);
    assert_eq!(error(&mut second).kind(), ErrorKind::Io, "a dial without an outcome has failed");
    assert_eq!(pool.stats(), []);
}

#[test]
fn a_dial_that_fails_when_its_waiter_was_served_fails_no_other_waiter() {
    let (pool, ledger) = pool(NO_LIMITS);
    let used = connected(&pool, "a", ledger.connect(1));
    let mut acquire = pool.acquire("a");
    let dial = dial_permit(&mut acquire);
    used.give_back();
    dial.failed(refused());
    assert_eq!(conn(&mut acquire).id, 1);
    assert_eq!(pool.stats(), []);
}

#[test]
fn waiters_are_served_in_order_and_those_that_left_are_passed_over() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let mut used = connected(&pool, "a", ledger.connect(1));
    let mut acquires = [1, 2, 3, 4].map(|_| pool.acquire("a"));
    acquires.iter_mut().for_each(assert_waits);
    let [mut first, second, mut third, mut fourth] = acquires;
    drop(second);
    for acquire in [&mut first, &mut third, &mut fourth] {
        used.give_back();
        used = conn(acquire);
    }
    assert_eq!(stats(&pool, "a"), counts(0, 1, 0, 0));
}

#[test]
fn what_was_meant_for_a_waiter_that_is_dropped_goes_to_the_next() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let used = connected(&pool, "a", ledger.connect(1));
    let mut acquires = [1, 2, 3].map(|_| pool.acquire("a"));
    acquires.iter_mut().for_each(assert_waits);
    let [first, second, mut third] = acquires;
    used.give_back();
    drop(first);
    drop(second);
    let used = conn(&mut third);

    let mut acquires = [1, 2].map(|_| pool.acquire("a"));
    acquires.iter_mut().for_each(assert_waits);
    let [first, mut second] = acquires;
    drop(used);
    drop(first);
    drop(dial_permit(&mut second));
    drop((second, third));
    assert_eq!((ledger.open(), pool.stats()), (vec![], vec![]));
}

#[test]
fn what_was_meant_for_the_last_waiter_is_kept() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let used = connected(&pool, "a", ledger.connect(1));
    let mut acquire = pool.acquire("a");
    assert_waits(&mut acquire);
    used.give_back();
    drop(acquire);
    assert_eq!(stats(&pool, "a"), counts(1, 0, 0, 0));
}

#[test]
fn dialing_idle_and_used_connections_count_against_the_limit_of_a_key() {
    let (pool, ledger) = pool(Limits { max_per_key: 2, ..NO_LIMITS });
    let used = connected(&pool, "a", ledger.connect(1));
    let mut acquire = pool.acquire("a");
    let dial = dial_permit(&mut acquire);
    let mut acquires = [1, 2].map(|_| pool.acquire("a"));
    acquires.iter_mut().for_each(assert_waits);
    assert_eq!(stats(&pool, "a"), counts(0, 1, 1, 3));
    dial_permit(&mut pool.acquire("b")).failed(refused());

    let (connection, permit) = used.into_inner();
    drop(connection);
    assert_waits(&mut acquires[0]);
    drop(permit);
    drop(dial_permit(&mut acquires[0]));
    dial.established(ledger.connect(2));
    assert_eq!(conn(&mut acquire).id, 2);
}

#[test]
fn a_waiter_that_was_served_can_wait_again() {
    let (pool, ledger) = pool(NO_LIMITS);
    let mut acquire = pool.acquire("a");
    dial_permit(&mut acquire).failed(refused());
    error(&mut acquire);
    dial_permit(&mut acquire).established(ledger.connect(1));
    conn(&mut acquire).give_back();
    assert_eq!(conn(&mut acquire).id, 1);
}

// ------------------------------------------------------------ closing idle connections

#[test]
fn idle_connections_are_closed_and_so_are_those_that_become_idle_before_the_next_request() {
    let (pool, ledger) = pool(NO_LIMITS);
    let [one, two, three] = [1, 2, 3].map(|id| connected(&pool, "a", ledger.connect(id)));
    let shared = connected(&pool, "https://a", ledger.connect_shared(4, 8));
    connected(&pool, "https://b", ledger.connect_shared(5, 8)).give_back();
    one.give_back();
    pool.close_idle();
    assert_eq!(ledger.open(), [2, 3, 4]);
    two.give_back();
    shared.give_back();
    assert_eq!(ledger.open(), [3]);
    assert!(pool.try_idle(&"b", Timestamp::now()).is_none());
    three.give_back();
    assert_eq!(stats(&pool, "a"), counts(1, 0, 0, 0));
}

#[test]
fn dials_without_a_request_end_when_idle_connections_are_closed() {
    let (pool, ledger) = pool(NO_LIMITS);
    let (mut gone, mut waits, wakes) = (pool.acquire("a"), pool.acquire("b"), Arc::<WakeFlag>::default());
    let (left, wanted) = (dial_permit(&mut gone), dial_permit(&mut waits));
    drop(gone);
    {
        let mut abandoned = pin!(left.abandoned());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(abandoned.as_mut().poll(&mut cx).is_pending());
        pool.close_idle();
        assert!(wakes.rang());
        assert!(abandoned.as_mut().poll(&mut cx).is_ready());
    }
    assert!(poll_once(wanted.abandoned(), &wakes).is_pending());
    left.established(ledger.connect(1));
    assert!(!ledger.is_open(1));
    wanted.established(ledger.connect(2));
    assert_eq!(conn(&mut waits).id, 2);
}

// ------------------------------------------------------------ the reaper

#[tokio::test(start_paused = true)]
async fn what_is_idle_too_long_is_closed_without_traffic() {
    let (pool, ledger) = pool(Limits { idle_timeout: Some(90 * SECOND), ..NO_LIMITS });
    for round in 0..2 {
        let conns = [1, 2, 3].map(|id| id + 10 * round).map(|id| ledger.connect(id));
        let conns = conns.map(|connection| connected(&pool, "a", connection));
        let shared = connected(&pool, "https://a", ledger.connect_shared(4 + 10 * round, 2));
        let [one, two, three] = conns;
        one.give_back();
        advance(50 * SECOND).await;
        two.give_back();
        shared.give_back();
        advance(39 * SECOND).await;
        settled().await;
        assert_eq!(ledger.open(), [1, 2, 3, 4].map(|id| id + 10 * round));
        advance(SECOND).await;
        settled().await;
        assert_eq!(ledger.open(), [2, 3, 4].map(|id| id + 10 * round));
        advance(50 * SECOND).await;
        settled().await;
        assert_eq!(ledger.open(), [3 + 10 * round], "what is in use is left alone");
        drop(three);
        assert_eq!(running_tasks(), 0, "the reaper went");
    }
}

#[tokio::test(start_paused = true)]
async fn the_reaper_comes_sooner_for_what_expires_sooner() {
    let (pool, ledger) = pool(Limits { idle_timeout: Some(90 * SECOND), ..NO_LIMITS });
    connected(&pool, "a", ledger.connect(1)).give_back();
    settled().await;
    let expires = Some(Instant::now() + 5 * SECOND);
    connected(&pool, "b", ledger.connect_with(2, Facts { expires, ..Facts::default() })).give_back();
    settled().await;
    advance(5 * SECOND).await;
    settled().await;
    assert_eq!((ledger.open(), running_tasks()), (vec![1], 1));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_what_is_idle_and_ends_the_reaper() {
    let (pool, ledger) = pool(Limits { idle_timeout: Some(90 * SECOND), ..NO_LIMITS });
    let [one, two] = [1, 2].map(|id| connected(&pool, "a", ledger.connect(id)));
    one.give_back();
    settled().await;
    assert_eq!(running_tasks(), 1);
    drop(pool);
    assert_eq!(ledger.open(), [1, 2]);
    two.give_back();
    assert_eq!(ledger.open(), NONE);
    settled().await;
    assert_eq!(running_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_idle_forever_needs_no_reaper() {
    let (pool, ledger) = pool(NO_LIMITS);
    connected(&pool, "a", ledger.connect(1)).give_back();
    assert_eq!(running_tasks(), 0);
}

/// Lets other tasks do all that they can do now.
async fn settled() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn running_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

// ------------------------------------------------------------ connections that are shared

#[test]
fn while_it_is_unknown_what_a_key_is_like_one_dial_finds_out() {
    let (pool, ledger) = pool(NO_LIMITS);
    let mut acquires = [1, 2, 3].map(|_| pool.acquire("https://a"));
    let dial = dial_permit(&mut acquires[0]);
    assert_waits(&mut acquires[1]);
    assert_waits(&mut acquires[2]);
    dial.failed(refused());
    error(&mut acquires[0]);
    let dial = dial_permit(&mut acquires[1]);
    assert_waits(&mut acquires[2]);
    dial.established(ledger.connect(1));
    let _one = conn(&mut acquires[1]);
    // One exchange at a time: all may dial now.
    let _dials = (dial_permit(&mut acquires[2]), dial_permit(&mut acquires[0]));
}

#[test]
fn a_shared_connection_serves_all_who_wait_and_all_who_come_as_long_as_it_takes_more() {
    let (pool, ledger) = pool(NO_LIMITS);
    let mut acquires = [1, 2, 3].map(|_| pool.acquire("https://a"));
    let dial = dial_permit(&mut acquires[0]);
    assert_waits(&mut acquires[1]);
    assert_waits(&mut acquires[2]);
    dial.established(ledger.connect_shared(1, 4));
    let conns = acquires.each_mut().map(conn);
    let (last, idle_for) = pool.try_idle(&"https://a", Timestamp::now()).expect("it takes a fourth");
    assert_eq!((last.id, idle_for), (1, Duration::ZERO));
    assert_eq!(stats(&pool, "https://a"), counts(0, 1, 0, 0));

    // Full: one may dial another, and the rest waits for that, or for an exchange to end.
    let mut more = [1, 2, 3].map(|_| pool.acquire("https://a"));
    let dial = dial_permit(&mut more[0]);
    assert_waits(&mut more[1]);
    assert_waits(&mut more[2]);
    last.give_back();
    let _first = conn(&mut more[0]);
    dial.established(ledger.connect_shared(2, 1));
    let second = conn(&mut more[1]);
    assert_eq!(second.id, 2);
    drop(conns);
    assert_eq!(conn(&mut more[2]).id, 1);
    assert_eq!(ledger.open(), [1, 2]);
}

#[test]
fn who_waits_learns_of_a_shared_connection_that_takes_more() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let mut first = pool.acquire("https://a");
    let dial = dial_permit(&mut first);
    let notifier = dial.notifier();
    dial.established(ledger.connect_shared(1, 1));
    let _first = conn(&mut first);
    let mut second = pool.acquire("https://a");
    assert_waits(&mut second);
    ledger.change(1, |facts| facts.capacity = 2);
    assert_waits(&mut second);
    notifier.notify();
    assert_eq!(conn(&mut second).id, 1);
}

#[test]
fn a_shared_connection_that_is_spent_goes_at_once_or_with_its_last_exchange() {
    for is_idle in [true, false] {
        let (pool, ledger) = pool(Limits { when_full: WhenFull::Waits, ..NO_LIMITS });
        let mut acquire = pool.acquire("https://a");
        let dial = dial_permit(&mut acquire);
        let notifier = dial.notifier();
        dial.established(ledger.connect_shared(1, 1));
        let exchange = conn(&mut acquire);
        let mut next = pool.acquire("https://a");
        if is_idle {
            drop(exchange);
            ledger.change(1, |facts| facts.is_spent = true);
            notifier.notify();
            assert_eq!(stats(&pool, "https://a"), counts(0, 0, 0, 0));
        } else {
            assert_waits(&mut next);
            ledger.change(1, |facts| facts.is_spent = true);
            notifier.notify();
            assert!(ledger.is_open(1), "it has an exchange");
            // It is not waited for.
            dial_permit(&mut next).established(ledger.connect_shared(2, 1));
            drop((exchange, conn(&mut next)));
        }
        assert!(!ledger.is_open(1));
    }
}

#[test]
fn a_full_shared_connection_is_waited_for_where_that_is_wanted() {
    let (pool, ledger) = pool(Limits { when_full: WhenFull::Waits, ..NO_LIMITS });
    let first = connected(&pool, "https://a", ledger.connect_shared(1, 1));
    let mut second = pool.acquire("https://a");
    assert_waits(&mut second);
    assert_eq!(stats(&pool, "https://a"), counts(0, 1, 0, 1));
    drop(first);
    assert_eq!(conn(&mut second).id, 1);
}

#[test]
fn a_connection_that_is_spent_when_it_is_made_is_a_dial_that_failed() {
    let (pool, ledger) = pool(NO_LIMITS);
    let mut acquire = pool.acquire("https://a");
    let connection = ledger.connect_shared(1, 4);
    ledger.change(1, |facts| facts.is_spent = true);
    dial_permit(&mut acquire).established(connection);
    assert_eq!(error(&mut acquire).kind(), ErrorKind::CutOff);
    assert_eq!((ledger.open(), stats(&pool, "https://a")), (vec![], counts(0, 0, 0, 0)));
    // What the key's connections are like is as unknown as before.
    let mut acquires = [1, 2].map(|_| pool.acquire("https://a"));
    let _dial = dial_permit(&mut acquires[0]);
    assert_waits(&mut acquires[1]);
}

#[test]
fn a_shared_connection_is_one_place() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, max_idle_per_key: 1, ..NO_LIMITS });
    let one = connected(&pool, "https://a", ledger.connect_shared(1, 2));
    let two = pool.try_idle(&"https://a", Timestamp::now()).expect("it takes two").0;
    let mut third = pool.acquire("https://a");
    assert_waits(&mut third);
    let (exchange, permit) = two.into_inner();
    drop(exchange);
    assert_waits(&mut third);
    drop(permit);
    let third = conn(&mut third);
    drop((one, third));
    assert_eq!(stats(&pool, "https://a"), counts(1, 0, 0, 0), "an exchange that is cut off leaves it open");
}

#[test]
fn a_shared_connection_that_died_is_shared_no_more_and_counts_until_its_last_exchange_ends() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let used = connected(&pool, "https://a", ledger.connect_shared(1, 8));
    ledger.kill(1);
    let mut acquire = pool.acquire("https://a");
    assert_waits(&mut acquire);
    assert_eq!(stats(&pool, "https://a"), counts(0, 1, 0, 1));
    used.give_back();
    assert!(!ledger.is_open(1));
    dial_permit(&mut acquire).established(ledger.connect_shared(2, 8));
    assert_eq!(conn(&mut acquire).id, 2);
}

#[test]
fn an_idle_shared_connection_that_takes_no_more_exchanges_is_closed() {
    let (pool, ledger) = pool(NO_LIMITS);
    connected(&pool, "https://a", ledger.connect_shared(1, 8)).give_back();
    ledger.change(1, |facts| facts.capacity = 0);
    let mut acquire = pool.acquire("https://a");
    drop(dial_permit(&mut acquire));
    assert!(!ledger.is_open(1));
}

#[test]
fn shared_connections_that_died_on_the_way_leave_waiters_in_their_order() {
    let (pool, ledger) = pool(Limits { max_per_key: 1, ..NO_LIMITS });
    let used = connected(&pool, "https://a", ledger.connect_shared(1, 1));
    let mut acquires = [1, 2].map(|_| pool.acquire("https://a"));
    acquires.iter_mut().for_each(assert_waits);
    let [mut first, mut second] = acquires;
    used.give_back();
    ledger.kill(1);
    // `first` was given a share of what is dead now: its turn comes before that of `second`.
    let dial = dial_permit(&mut first);
    assert_waits(&mut second);
    dial.established(ledger.connect_shared(2, 1));
    assert_eq!(conn(&mut first).id, 2);
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_beyond_its_lifetime_ends_with_its_exchanges() {
    let (pool, ledger) = pool(NO_LIMITS);
    let expires = Some(Instant::now() + SECOND);
    let used =
        connected(&pool, "https://a", ledger.connect_with(1, Facts { capacity: 8, expires, ..Facts::default() }));
    advance(SECOND).await;
    let mut acquire = pool.acquire("https://a");
    let _dial = dial_permit(&mut acquire);
    assert!(ledger.is_open(1));
    used.give_back();
    assert!(!ledger.is_open(1));
}

// ------------------------------------------------------------ runtimes

#[test]
fn a_connection_is_used_on_the_runtime_it_was_made_on_and_makes_room_for_others() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (here, there) = (runtime(), runtime());
    let (pool, ledger) = pool(Limits { max_per_key: 2, ..NO_LIMITS });
    let conns = here.block_on(async { [1, 2].map(|id| connected(&pool, "a", ledger.connect(id))) });
    let [one, two] = conns;
    one.give_back();
    let mut acquire = pool.acquire("a");
    there.block_on(async {
        assert!(pool.try_idle(&"a", Timestamp::now()).is_none());
        // Idle, of no use there, and in the way.
        let dial = dial_permit(&mut acquire);
        assert_eq!(ledger.open(), [2]);
        // Given back there, it still belongs here.
        two.give_back();
        assert_waits(&mut acquire);
        dial.established(ledger.connect(3));
        conn(&mut acquire).give_back();
    });
    here.block_on(async { assert_eq!(pool.try_idle(&"a", Timestamp::now()).expect("it is idle").0.id, 2) });
}

#[test]
fn each_runtime_has_a_reaper_and_the_next_one_does_not_rely_on_one_that_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (pool, ledger) = pool(Limits { idle_timeout: Some(90 * SECOND), ..NO_LIMITS });
    for id in [1, 2] {
        let runtime = runtime();
        runtime.block_on(async {
            connected(&pool, "a", ledger.connect(id)).give_back();
            settled().await;
            assert_eq!(running_tasks(), 1);
        });
    }
    runtime().block_on(async {
        connected(&pool, "a", ledger.connect(3)).give_back();
        settled().await;
        advance(91 * SECOND).await;
        settled().await;
        assert!(!ledger.is_open(3));
    });
}
