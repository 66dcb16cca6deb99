//! Futures that are dropped at any of their polls, on both sides and in each mode: requests, reads and
//! writes of handlers, the serving itself. What they held comes back, and the next request is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nethttp::{Body, ErrorKind, Method, Request, ResponseWriter, Result, handle_with};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cut::Cut;
use crate::fake::{counts, pieces};
use crate::site::{MODES, Mode, Site};
use crate::support::{millis, secs, settle};

/// What chance does here can be done again: the same seed gives the same numbers.
struct Chance(AtomicU64);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    fn below(&self, most: u64) -> u64 {
        let mut state = self.0.load(Ordering::Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.store(state, Ordering::Relaxed);
        (state >> 11) % most
    }
}

/// Reads and writes in little pieces with pauses. By its path it drops what it began and goes on.
async fn serve(chance: &Arc<Chance>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let drops = r.path() == "/drops";
    if r.path() == "/ok" {
        return w.write("ok").await;
    }
    loop {
        let polls = if drops { 1 + chance.below(3) } else { u64::MAX };
        // A read that was dropped has lost nothing: it is asked again.
        match Cut::after(polls, r.body.chunk()).await {
            Some(Ok(None)) => break,
            Some(Err(error)) => return Err(error),
            Some(Ok(Some(_))) | None => {}
        }
        tokio::time::sleep(millis(chance.below(3))).await;
    }
    for _ in 0..20 {
        let polls = if drops { 1 + chance.below(40) } else { u64::MAX };
        match Cut::after(polls, write(chance, w)).await {
            Some(written) => written?,
            // A write that was dropped may have gone half-way: what comes behind it fails, or nothing
            // of it had begun.
            None => w.write("more").await?,
        }
    }
    Ok(())
}

async fn write(chance: &Chance, w: &mut ResponseWriter) -> Result<()> {
    w.write(vec![b'x'; usize::try_from(chance.below(9000)).unwrap()]).await?;
    tokio::time::sleep(millis(chance.below(2))).await;
    w.flush().await
}

async fn one_exchange(site: Arc<Site>, which: u64) -> Result<()> {
    let content = match which % 3 {
        0 => Body::empty(),
        1 => Body::from(vec![b'y'; 150_000]),
        _ => pieces(&["some ", "pieces ", "of ", "content"]),
    };
    let path = if which % 4 == 3 { "/drops" } else { "/works" };
    let mut response = site.client.send(site.request(Method::POST, path, content)).await?;
    if which % 7 == 6 {
        // Dropped with its content to come.
        return Ok(());
    }
    while response.body.chunk().await?.is_some() {}
    Ok(())
}

/// Lets many exchanges run at a time and drops each at some poll.
async fn run(mode: Mode, seed: u64, most_polls: u64) {
    let chance = Arc::new(Chance::new(seed));
    let handler = handle_with(chance.clone(), serve);
    let site = Arc::new(Site::with(mode, handler, |_| {}, |transport| transport.max_conns_per_host = 3));
    let mut exchanges = JoinSet::new();
    for which in 0..21 {
        let (polls, site) = (1 + chance.below(most_polls), site.clone());
        exchanges.spawn(async move {
            let done = Cut::after(polls, one_exchange(site, which)).await;
            (which, done)
        });
        tokio::time::sleep(millis(chance.below(2))).await;
    }
    let done = timeout(secs(600), exchanges.join_all()).await.expect("no exchange hangs");
    for (which, done) in done {
        if let Some(Err(error)) = done {
            // Only what a handler dropped half-way may fail, and it fails so that it is seen.
            let kinds = [ErrorKind::CutOff, ErrorKind::Io, ErrorKind::Refused];
            assert!(which % 4 == 3 && kinds.contains(&error.kind()), "{mode:?}, seed {seed}, {which}: {error}");
        }
    }
    // What was dropped with its end near is read on for a moment.
    tokio::time::sleep(secs(2)).await;
    let (_, in_use, dialing, waiting) = counts(&site.transport);
    assert_eq!((in_use, dialing, waiting), (0, 0, 0), "{mode:?}, seed {seed}, {most_polls} polls");
    let again = (0..6).map(|_| site.ask("/ok"));
    for again in again.collect::<Vec<_>>() {
        assert_eq!(timeout(secs(10), again).await.expect("it is served"), (200, "ok".into()));
    }
    // A session that was made and not used has begun to speak: it has until the deadline of a head.
    let report = site.server.shutdown(secs(20)).await;
    assert_eq!((report.cut, site.server.connections()), (0, 0), "{mode:?}, seed {seed}, {most_polls} polls");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_at_any_poll_leaves_no_task_and_no_connection() {
    let metrics = Handle::current().metrics();
    for mode in MODES {
        for most_polls in [2, 6, 20, 60] {
            for seed in 0..6 {
                run(mode, seed, most_polls).await;
                settle().await;
                assert_eq!(metrics.num_alive_tasks(), 0, "{mode:?}, seed {seed}, {most_polls} polls");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_serving_is_dropped_under_load_answers_what_it_has_and_ends() {
    for mode in MODES {
        let chance = Arc::new(Chance::new(7));
        let site = Arc::new(Site::start(mode, handle_with(chance, serve)));
        let asking: Vec<_> = (0..10)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { site.post("/works", "content").await?.body.bytes(1 << 20).await })
            })
            .collect();
        settle().await;
        site.serving.abort();
        for asked in asking {
            asked.await.unwrap().unwrap();
        }
        assert_eq!(site.get("/ok").await.map(|response| response.status.as_u16()).unwrap(), 200, "on one that is open");
        // A session that was made and not used has begun to speak: it has until the deadline of a head.
        let report = site.server.shutdown(secs(20)).await;
        assert_eq!((report.cut, site.server.connections()), (0, 0), "{mode:?}");
    }
}
