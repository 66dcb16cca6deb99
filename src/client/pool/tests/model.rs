//! Random sequences of what can happen to a pool, against a reference that is too simple to be
//! wrong, and for shared connections against what must hold after each step.

use super::*;

/// Numbers that look random, and are the same for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Takes any one out, if there is one.
    pub(super) fn take<T>(&mut self, list: &mut Vec<T>) -> Option<T> {
        if list.is_empty() { None } else { Some(list.remove(self.below(list.len()))) }
    }

    fn limits(&mut self) -> Limits {
        Limits {
            max_idle: self.below(4),
            max_idle_per_key: self.below(4),
            max_per_key: self.below(4),
            idle_timeout: [None, Some(7 * SECOND)][self.below(2)],
            when_full: WhenFull::Dials,
        }
    }
}

/// Enough to find each fault that was put in on purpose; more were tried once.
const SEEDS: u64 = 200;

const KEYS: [Key; 2] = ["a", "b"];

// ------------------------------------------------------------ the reference

struct Reference {
    limits: Limits,
    now: u64,
    is_closing: bool,
    /// Keys in the order of [`KEYS`].
    keys: [Queue; 2],
    /// Connection and key, the one that was idle longest first.
    idle: Vec<Resting>,
    dead: Vec<u32>,
    open: Vec<u32>,
    /// What waiters were given and did not come for: a connection, or none for an error.
    given: BTreeMap<usize, Option<u32>>,
}

#[derive(Default)]
struct Queue {
    places: usize,
    dialing: usize,
    line: Vec<(usize, HasDial)>,
}

struct Resting {
    id: u32,
    key: usize,
    since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HasDial {
    No,
    Offered,
    Started,
}

#[derive(PartialEq, Eq, Debug)]
enum Expected {
    Nothing,
    Connection(u32),
    Dial,
    Failed,
}

impl Reference {
    fn new(limits: Limits) -> Reference {
        Reference {
            limits,
            now: 0,
            is_closing: false,
            keys: Default::default(),
            idle: vec![],
            dead: vec![],
            open: vec![],
            given: BTreeMap::new(),
        }
    }

    fn poll(&mut self, acquire: usize, key: usize) -> Expected {
        match self.given.remove(&acquire) {
            Some(Some(id)) => return Expected::Connection(id),
            Some(None) => return Expected::Failed,
            None => {}
        }
        if !self.keys[key].line.iter().any(|(other, _)| *other == acquire) {
            self.is_closing = false;
            while let Some(at) = self.idle.iter().rposition(|resting| resting.key == key) {
                let id = self.idle.remove(at).id;
                if !self.dead.contains(&id) {
                    return Expected::Connection(id);
                }
                self.close(id, key);
            }
            self.keys[key].line.push((acquire, HasDial::No));
            self.offer(key);
        }
        let mut line = self.keys[key].line.iter_mut();
        let (_, dial) = line.find(|(other, _)| *other == acquire).unwrap();
        if *dial == HasDial::Offered {
            *dial = HasDial::Started;
            return Expected::Dial;
        }
        Expected::Nothing
    }

    fn forget(&mut self, acquire: usize, key: usize) {
        self.dequeue(acquire, key);
        self.offer(key);
        if let Some(Some(id)) = self.given.remove(&acquire) {
            self.put(id, key, None);
        }
    }

    fn put(&mut self, id: u32, key: usize, own: Option<usize>) {
        let line = &self.keys[key].line;
        let own = own.filter(|own| line.iter().any(|(acquire, _)| acquire == own));
        let kept = self.idle.iter().filter(|resting| resting.key == key).count();
        if let Some(acquire) = own.or(line.first().map(|(acquire, _)| *acquire)) {
            self.dequeue(acquire, key);
            self.given.insert(acquire, Some(id));
        } else if self.is_closing || kept >= self.limits.max_idle_per_key {
            self.close(id, key);
        } else {
            self.idle.push(Resting { id, key, since: self.now });
            if self.limits.max_idle > 0 && self.idle.len() > self.limits.max_idle {
                let oldest = self.idle.remove(0);
                self.close(oldest.id, oldest.key);
            }
        }
        self.offer(key);
    }

    fn established(&mut self, id: u32, key: usize, acquire: usize) {
        self.open.push(id);
        self.keys[key].dialing -= 1;
        self.put(id, key, Some(acquire));
    }

    fn failed(&mut self, key: usize, acquire: usize) {
        self.keys[key].dialing -= 1;
        self.keys[key].places -= 1;
        if self.keys[key].line.iter().any(|(other, _)| *other == acquire) {
            self.dequeue(acquire, key);
            self.given.insert(acquire, None);
        }
        self.offer(key);
    }

    fn close(&mut self, id: u32, key: usize) {
        self.open.retain(|open| *open != id);
        self.keys[key].places -= 1;
        self.offer(key);
    }

    fn close_idle(&mut self, goes: impl Fn(&Resting) -> bool) {
        let (gone, stays) = std::mem::take(&mut self.idle).into_iter().partition(goes);
        self.idle = stays;
        let gone: Vec<Resting> = gone;
        gone.into_iter().for_each(|resting| self.close(resting.id, resting.key));
    }

    fn dequeue(&mut self, acquire: usize, key: usize) {
        let queue = &mut self.keys[key];
        if queue.line.contains(&(acquire, HasDial::Offered)) {
            queue.places -= 1;
            queue.dialing -= 1;
        }
        queue.line.retain(|(other, _)| *other != acquire);
    }

    fn offer(&mut self, key: usize) {
        let (most, queue) = (self.limits.max_per_key, &mut self.keys[key]);
        for (_, dial) in queue.line.iter_mut().filter(|(_, dial)| *dial == HasDial::No) {
            if most == 0 || queue.places < most {
                *dial = HasDial::Offered;
                queue.places += 1;
                queue.dialing += 1;
            }
        }
    }

    fn stats(&self, key: usize) -> PoolStats {
        let Queue { places, dialing, ref line } = self.keys[key];
        let idle = self.idle.iter().filter(|resting| resting.key == key).count();
        counts(idle, places - dialing - idle, dialing, line.len())
    }

    /// Whether there is something for a waiter to come for.
    fn has_news(&self, acquire: usize, key: usize) -> bool {
        self.given.contains_key(&acquire) || self.keys[key].line.contains(&(acquire, HasDial::Offered))
    }
}

// ------------------------------------------------------------ the run

struct Run {
    pool: Pool<Key, Conn>,
    ledger: Ledger,
    reference: Reference,
    acquires: Vec<Wanting>,
    dials: Vec<(DialPermit<Key, Conn>, usize, usize)>,
    used: Vec<(PooledConn<Key, Conn>, usize)>,
    last_want: usize,
    last_connection: u32,
}

struct Wanting {
    number: usize,
    key: usize,
    acquire: Acquire<Key, Conn>,
    wakes: Arc<WakeFlag>,
    /// It was told to wait, and was not woken since.
    sleeps: bool,
}

impl Run {
    fn new(limits: Limits) -> Run {
        Run {
            pool: Pool::new(limits),
            ledger: Ledger::default(),
            reference: Reference::new(limits),
            acquires: vec![],
            dials: vec![],
            used: vec![],
            last_want: 0,
            last_connection: 0,
        }
    }

    async fn step(&mut self, random: &mut Random) {
        match random.below(16) {
            0..=3 => self.acquire(random.below(2)),
            4..=6 => self.poll_any(random),
            7 => self.cancel_any(random),
            8..=10 => self.end_any_dial(random),
            11 | 12 => self.end_any_use(random),
            13 => self.pass_time(u64::try_from(random.below(9)).unwrap()).await,
            14 => self.kill_any_idle(random),
            _ => self.close_idle(random),
        }
        self.check();
    }

    fn acquire(&mut self, key: usize) {
        self.last_want += 1;
        let (number, acquire) = (self.last_want, self.pool.acquire(KEYS[key]));
        let mut wanting = Wanting { number, key, acquire, wakes: Arc::default(), sleeps: false };
        if self.poll(&mut wanting) {
            self.acquires.push(wanting);
        }
    }

    fn poll_any(&mut self, random: &mut Random) {
        if let Some(mut wanting) = random.take(&mut self.acquires) {
            if self.poll(&mut wanting) {
                self.acquires.push(wanting);
            }
        }
    }

    /// Whether it goes on.
    fn poll(&mut self, wanting: &mut Wanting) -> bool {
        let expected = self.reference.poll(wanting.number, wanting.key);
        let acquired = match poll_once(wanting.acquire.next(), &wanting.wakes) {
            Poll::Ready(acquired) => Some(acquired),
            Poll::Pending => None,
        };
        let got = match &acquired {
            None => Expected::Nothing,
            Some(Acquired::Dial(_)) => Expected::Dial,
            Some(Acquired::Failed(_)) => Expected::Failed,
            Some(Acquired::Connection { conn, .. }) => Expected::Connection(conn.id),
        };
        assert_eq!(got, expected);
        wanting.sleeps = expected == Expected::Nothing;
        match acquired {
            Some(Acquired::Connection { conn, .. }) => self.used.push((conn, wanting.key)),
            Some(Acquired::Dial(permit)) => self.dials.push((permit, wanting.key, wanting.number)),
            _ => {}
        }
        matches!(expected, Expected::Nothing | Expected::Dial)
    }

    fn cancel_any(&mut self, random: &mut Random) {
        if let Some(wanting) = random.take(&mut self.acquires) {
            self.reference.forget(wanting.number, wanting.key);
        }
    }

    fn end_any_dial(&mut self, random: &mut Random) {
        let Some((permit, key, acquire)) = random.take(&mut self.dials) else { return };
        if random.below(3) == 0 {
            self.reference.failed(key, acquire);
            return if random.below(2) == 0 { permit.failed(refused()) } else { drop(permit) };
        }
        self.last_connection += 1;
        self.reference.established(self.last_connection, key, acquire);
        permit.established(self.ledger.connect(self.last_connection));
    }

    fn end_any_use(&mut self, random: &mut Random) {
        let Some((conn, key)) = random.take(&mut self.used) else { return };
        if random.below(4) > 0 {
            self.reference.put(conn.id, key, None);
            conn.give_back();
        } else {
            self.reference.close(conn.id, key);
            drop(conn);
        }
    }

    async fn pass_time(&mut self, seconds: u64) {
        settled().await;
        self.reference.now += seconds;
        let (now, timeout) = (self.reference.now, self.reference.limits.idle_timeout);
        self.reference.close_idle(|resting| timeout.is_some_and(|most| resting.since + most.as_secs() <= now));
        advance(Duration::from_secs(seconds)).await;
        settled().await;
    }

    fn kill_any_idle(&mut self, random: &mut Random) {
        let idle: Vec<u32> = self.reference.idle.iter().map(|resting| resting.id).collect();
        if !idle.is_empty() {
            let id = idle[random.below(idle.len())];
            self.ledger.kill(id);
            self.reference.dead.push(id);
        }
    }

    fn close_idle(&mut self, random: &mut Random) {
        if random.below(4) == 0 {
            self.reference.is_closing = true;
            self.reference.close_idle(|_| true);
            self.pool.close_idle();
        }
    }

    fn check(&mut self) {
        for (number, key) in KEYS.iter().enumerate() {
            assert_eq!(stats(&self.pool, key), self.reference.stats(number), "of {key}");
        }
        assert_idle_is_counted(&self.pool);
        self.reference.open.sort_unstable();
        assert_eq!(self.ledger.open(), self.reference.open);
        for wanting in self.acquires.iter_mut().filter(|wanting| wanting.sleeps) {
            let is_woken = wanting.wakes.rang();
            let has_news = self.reference.has_news(wanting.number, wanting.key);
            assert!(is_woken || !has_news, "a waiter that was served sleeps on");
            wanting.sleeps = !is_woken;
        }
    }

    fn end(mut self) {
        self.acquires.clear();
        self.dials.clear();
        self.used.clear();
        self.pool.close_idle();
        assert_eq!((self.pool.stats(), self.ledger.open()), (vec![], vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_in_whatever_order_a_pool_does_as_the_reference_does() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut run = Run::new(random.limits());
        let _told_on_panic = Seed(seed);
        for _ in 0..150 {
            run.step(&mut random).await;
        }
        run.end();
    }
}

/// Says which seed it was that went wrong.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

// ------------------------------------------------------------ shared connections

/// A key whose connections are of any kind.
const ANY: Key = "https://any";

#[tokio::test(start_paused = true)]
async fn no_waiter_waits_for_a_stream_that_is_free_or_for_a_dial_that_is_not_made() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let limits = random.limits();
        let _told_on_panic = Seed(seed);
        let (pool, ledger) = pool(limits);
        let (mut acquires, mut dials, mut used) = (vec![], vec![], vec![]);
        for id in 1..150 {
            match random.below(10) {
                0..=3 => acquires.push(pool.acquire(ANY)),
                4 => drop(random.take(&mut acquires)),
                5 | 6 => match (random.take(&mut dials), random.below(4)) {
                    (Some(permit), 0) => DialPermit::failed(permit, refused()),
                    (Some(permit), 1) => permit.established(ledger.connect(id)),
                    (Some(permit), capacity) => permit.established(ledger.connect_shared(id, capacity)),
                    (None, _) => {}
                },
                7 | 8 => match (random.take(&mut used), random.below(3)) {
                    (Some(conn), 0) => drop(conn),
                    (Some(conn), _) => PooledConn::give_back(conn),
                    (None, _) => {}
                },
                _ => advance(Duration::from_secs(u64::try_from(random.below(5)).unwrap())).await,
            }
            if random.below(12) == 0 && !ledger.open().is_empty() {
                let open = ledger.open();
                ledger.kill(open[random.below(open.len())]);
            }
            // All come for what there is, until there is nothing more.
            for _ in 0..4 {
                acquires.retain_mut(|acquire| match now(acquire) {
                    None => true,
                    Some(Acquired::Dial(permit)) => {
                        dials.push(permit);
                        true
                    }
                    Some(Acquired::Connection { conn, .. }) => {
                        used.push(conn);
                        false
                    }
                    Some(Acquired::Failed(_)) => false,
                });
            }
            assert_nobody_waits_in_vain(&pool, &ledger, limits, acquires.len(), dials.len());
        }
        drop((acquires, dials, used));
        pool.close_idle();
        assert_eq!((pool.stats(), ledger.open()), (vec![], vec![]));
    }
}

fn assert_nobody_waits_in_vain(
    pool: &Pool<Key, Conn>,
    ledger: &Ledger,
    limits: Limits,
    waiting: usize,
    dialing: usize,
) {
    assert_idle_is_counted(pool);
    let stats = stats(pool, ANY);
    assert_eq!((stats.waiting, stats.dialing), (waiting, dialing));
    let places = stats.idle + stats.in_use + stats.dialing;
    assert!(limits.max_per_key == 0 || places <= limits.max_per_key);
    assert!(limits.max_idle == 0 || stats.idle <= limits.max_idle);
    // A connection that died may be closed, and count on until its last exchange ends.
    assert_eq!(ledger.open().len(), stats.idle + stats.in_use);
    if waiting > 0 {
        assert_eq!(stats.idle, 0, "nobody waits while one is idle");
        assert!(dialing > 0 || places == limits.max_per_key, "somebody dials if there is room");
        let has_share = |id: &u32| ledger.change(*id, |facts| !facts.is_dead && facts.exchanges < facts.capacity);
        assert_eq!(ledger.open().into_iter().find(has_share), None, "takes an exchange, and somebody waits");
    }
}
