//! Futures that are dropped at any await, on one thread and on several, leak nothing.

use std::future::poll_fn;
use std::sync::atomic::AtomicU32;

use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::model::Random;
use super::*;

static LAST: AtomicU32 = AtomicU32::new(0);

/// Wants, dials as it is told to, uses what it gets, and gives it back or not.
async fn exchange(pool: Pool<Key, Conn>, ledger: Ledger, key: Key, seed: u64) {
    let mut random = Random::new(seed);
    let mut acquire = pool.acquire(key);
    let conn = loop {
        match acquire.next().await {
            Acquired::Connection { conn, .. } => break conn,
            Acquired::Failed(_) => return,
            Acquired::Dial(permit) => drop(tokio::spawn(dial(permit, ledger.clone(), seed + 1))),
        }
    };
    wait(&mut random).await;
    if random.below(3) == 0 { drop(conn) } else { conn.give_back() }
}

async fn dial(permit: DialPermit<Key, Conn>, ledger: Ledger, seed: u64) {
    let mut random = Random::new(seed);
    wait(&mut random).await;
    let id = LAST.fetch_add(1, Ordering::SeqCst);
    match random.below(4) {
        0 => permit.failed(refused()),
        1 => permit.established(ledger.connect(id)),
        capacity => permit.established(ledger.connect_shared(id, capacity)),
    }
}

async fn wait(random: &mut Random) {
    for _ in 0..random.below(6) {
        yield_now().await;
    }
}

/// Drops the future after this many polls, wherever it is then.
async fn cut(future: impl Future<Output = ()>, polls: usize) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn run(pool: &Pool<Key, Conn>, ledger: &Ledger, seed: u64) {
    let mut random = Random::new(seed);
    let mut tasks = JoinSet::new();
    for number in 0..60 {
        let key = ["a", "https://a"][random.below(2)];
        let exchange = exchange(pool.clone(), ledger.clone(), key, seed * 1000 + number);
        tasks.spawn(cut(exchange, random.below(20)));
        if random.below(3) == 0 {
            yield_now().await;
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nothing panics");
    }
    // What is dialed still comes to its end, and what nobody waits for any more is closed after it.
    let began = std::time::Instant::now();
    loop {
        pool.close_idle();
        let left = (pool.stats(), ledger.open());
        if left == (vec![], vec![]) {
            return;
        }
        // By the real clock: how many rounds other threads take is the machine's business.
        assert!(began.elapsed().as_secs() < 60, "seed {seed} leaks {left:?}");
        yield_now().await;
    }
}

fn limits(random: &mut Random) -> Limits {
    Limits { max_idle: random.below(4), max_idle_per_key: random.below(4), max_per_key: random.below(4), ..NO_LIMITS }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_at_any_await_leaks_nothing() {
    for seed in 0..200 {
        let (pool, ledger) = pool(limits(&mut Random::new(seed)));
        run(&pool, &ledger, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_future_that_is_dropped_on_any_thread_leaks_nothing() {
    for seed in 0..20 {
        let (pool, ledger) = pool(limits(&mut Random::new(seed)));
        run(&pool, &ledger, seed).await;
    }
}

/// One that waits longer than all others can take was forgotten.
#[tokio::test(start_paused = true)]
async fn who_has_patience_is_served() {
    for seed in 0..100 {
        let (pool, ledger) = pool(Limits { max_per_key: 2, ..NO_LIMITS });
        let patient: Vec<_> = (0..20)
            .map(|number| {
                let key = ["a", "https://a"][number % 2];
                let number = u64::try_from(number).unwrap();
                tokio::spawn(exchange(pool.clone(), ledger.clone(), key, seed * 1000 + number))
            })
            .collect();
        for task in patient {
            timeout(60 * SECOND, task).await.expect("nobody waits forever").expect("nothing panics");
        }
    }
}
