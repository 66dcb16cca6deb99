//! Happy Eyeballs (RFC 8305): several addresses race, so that a dead one costs a quarter of a second
//! and not a whole connect timeout.
//!
//! All attempts are polled by the caller's future: dropping it ends them all.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// The order to try addresses in: the families take turns, the one that the resolver put first
/// goes first, and within a family the resolver's order stays (RFC 8305 §4 with a First Address
/// Family Count of 1). An address that comes twice is tried once.
pub(super) fn order(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let mut firsts = addrs.iter().filter(|addr| addr.is_ipv6() == first_is_v6);
    let mut others = addrs.iter().filter(|addr| addr.is_ipv6() != first_is_v6);
    let mut ordered = Vec::with_capacity(addrs.len());
    loop {
        let pair = [firsts.next(), others.next()];
        if pair == [None, None] {
            return ordered;
        }
        for addr in pair.into_iter().flatten() {
            if !ordered.contains(addr) {
                ordered.push(*addr);
            }
        }
    }
}

/// What each address that was tried failed with, in the order in which they failed.
pub(super) type Failures = Vec<(SocketAddr, io::Error)>;

/// The first connection that comes about. An attempt begins `delay` after the one before it, or at
/// once when one fails; without a delay, only when one fails (RFC 8305 §5). The others are dropped.
pub(super) async fn race<T, F>(
    addrs: &[SocketAddr],
    delay: Option<Duration>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Failures>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addrs.iter().copied();
    let mut attempts = Vec::new();
    let mut failures = Vec::new();
    loop {
        if let Some(addr) = waiting.next() {
            attempts.push((addr, Box::pin(connect(addr))));
        } else if attempts.is_empty() {
            return Err(failures);
        }
        let pause = delay.filter(|_| waiting.len() > 0);
        match next_event(&mut attempts, pause).await {
            RaceEvent::Connected(connection) => return Ok(connection),
            RaceEvent::Failed(addr, error) => failures.push((addr, error)),
            RaceEvent::Next => {}
        }
    }
}

enum RaceEvent<T> {
    Connected(T),
    Failed(SocketAddr, io::Error),
    /// It is time for the next attempt.
    Next,
}

type Attempts<F> = Vec<(SocketAddr, Pin<Box<F>>)>;

async fn next_event<T, F>(attempts: &mut Attempts<F>, pause: Option<Duration>) -> RaceEvent<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut pausing = pin!(async {
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => pending().await,
        }
    });
    poll_fn(|cx| {
        for at in 0..attempts.len() {
            let (addr, attempt) = &mut attempts[at];
            if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                let addr = *addr;
                attempts.remove(at);
                return Poll::Ready(result.map_or_else(|error| RaceEvent::Failed(addr, error), RaceEvent::Connected));
            }
        }
        pausing.as_mut().poll(cx).map(|()| RaceEvent::Next)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addrs(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn address_families_alternate_beginning_with_the_resolvers_first() {
        for (given, ordered) in [
            (&[][..], &[][..]),
            (&["::1"], &["::1"]),
            (&["::1", "::2", "10.0.0.1", "10.0.0.2"], &["::1", "10.0.0.1", "::2", "10.0.0.2"]),
            (&["10.0.0.1", "10.0.0.2", "::1"], &["10.0.0.1", "::1", "10.0.0.2"]),
            (&["10.0.0.1", "::1", "::2", "::3"], &["10.0.0.1", "::1", "::2", "::3"]),
            (&["10.0.0.1", "10.0.0.1", "::1", "::1"], &["10.0.0.1", "::1"]),
        ] {
            assert_eq!(order(&addrs(given)), addrs(ordered), "{given:?}");
        }
    }

    /// After how many milliseconds an address answers, and what.
    type Script = HashMap<SocketAddr, (u64, Result<(), io::ErrorKind>)>;

    /// What happened and when, in milliseconds.
    type Log = Arc<Mutex<Vec<(u64, String)>>>;

    struct RaceAttempt(Log, Instant, SocketAddr);

    impl RaceAttempt {
        fn note(&self, what: &str) {
            let at = u64::try_from(self.1.elapsed().as_millis()).unwrap();
            self.0.lock().unwrap().push((at, format!("{what} {}", self.2.ip())));
        }
    }

    impl Drop for RaceAttempt {
        fn drop(&mut self) {
            self.note("end");
        }
    }

    const DELAY: Option<Duration> = Some(Duration::from_millis(250));

    /// Races the scripted addresses in their order.
    async fn run(
        script: &[(&str, u64, Result<(), io::ErrorKind>)],
        delay: Option<Duration>,
    ) -> (Result<SocketAddr, Failures>, Vec<(u64, String)>) {
        let addrs = addrs(&script.iter().map(|(ip, ..)| *ip).collect::<Vec<_>>());
        let script: Script = addrs.iter().zip(script).map(|(addr, &(_, ms, result))| (*addr, (ms, result))).collect();
        let (log, start) = (Log::default(), Instant::now());
        let connect = |addr| {
            let ((ms, result), attempt) = (script[&addr], RaceAttempt(log.clone(), start, addr));
            attempt.note("begin");
            async move {
                sleep(Duration::from_millis(ms)).await;
                let _attempt = attempt;
                result.map(|()| addr).map_err(io::Error::from)
            }
        };
        let result = race(&addrs, delay, connect).await;
        let log = log.lock().unwrap().clone();
        (result, log)
    }

    fn noted(list: &[(u64, &str)]) -> Vec<(u64, String)> {
        list.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_in_time_is_alone() {
        let (result, log) = run(&[("::1", 249, Ok(())), ("10.0.0.1", 0, Ok(()))], DELAY).await;
        assert_eq!(result.unwrap(), addrs(&["::1"])[0]);
        assert_eq!(log, noted(&[(0, "begin ::1"), (249, "end ::1")]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_begins_a_quarter_of_a_second_later_and_the_loser_is_dropped() {
        let (result, log) = run(&[("::1", 1000, Ok(())), ("10.0.0.1", 20, Ok(()))], DELAY).await;
        assert_eq!(result.unwrap(), addrs(&["10.0.0.1"])[0]);
        let expected = [(0, "begin ::1"), (250, "begin 10.0.0.1"), (270, "end 10.0.0.1"), (270, "end ::1")];
        assert_eq!(log, noted(&expected));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_overtaken_still_wins_when_it_is_first() {
        let (result, _) = run(&[("::1", 300, Ok(())), ("10.0.0.1", 100, Ok(()))], DELAY).await;
        assert_eq!(result.unwrap(), addrs(&["::1"])[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_begins_at_once_when_one_fails() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        let (result, log) = run(&[("::1", 5, refused), ("10.0.0.1", 500, refused), ("::2", 10, Ok(()))], DELAY).await;
        assert_eq!(result.unwrap(), addrs(&["::2"])[0]);
        let begins: Vec<_> = log.iter().filter(|(_, what)| what.starts_with("begin")).map(|(at, _)| *at).collect();
        assert_eq!(begins, [0, 5, 255], "250 ms behind the one before it");
    }

    #[tokio::test(start_paused = true)]
    async fn all_failures_are_reported_in_the_order_in_which_they_happened() {
        let script = [
            ("::1", 400, Err(io::ErrorKind::TimedOut)),
            ("10.0.0.1", 10, Err(io::ErrorKind::ConnectionRefused)),
            ("::2", 20, Err(io::ErrorKind::HostUnreachable)),
        ];
        let (result, log) = run(&script, DELAY).await;
        let failures: Vec<_> =
            result.unwrap_err().into_iter().map(|(addr, error)| (addr.ip().to_string(), error.kind())).collect();
        let expected = [("10.0.0.1", io::ErrorKind::ConnectionRefused), ("::2", io::ErrorKind::HostUnreachable)];
        let expected = expected.into_iter().chain([("::1", io::ErrorKind::TimedOut)]);
        assert_eq!(failures, expected.map(|(ip, kind)| (ip.to_owned(), kind)).collect::<Vec<_>>());
        assert_eq!(log.last(), Some(&(400, "end ::1".to_owned())), "the last one is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delay_the_next_begins_when_one_has_failed() {
        let script = [("::1", 60_000, Err(io::ErrorKind::TimedOut)), ("10.0.0.1", 0, Ok(()))];
        let (result, log) = run(&script, None).await;
        assert_eq!(result.unwrap(), addrs(&["10.0.0.1"])[0]);
        assert_eq!(log[2], (60_000, "begin 10.0.0.1".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_race_ends_all_attempts() {
        let (log, start) = (Log::default(), Instant::now());
        let addrs = addrs(&["::1", "10.0.0.1"]);
        let connect = |addr| {
            let attempt = RaceAttempt(log.clone(), start, addr);
            async move {
                let _attempt = attempt;
                pending::<io::Result<()>>().await
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(1), race(&addrs, DELAY, connect)).await.is_err());
        let ends = log.lock().unwrap().iter().filter(|(at, what)| *at == 1000 && what.starts_with("end")).count();
        assert_eq!(ends, 2);
    }
}
