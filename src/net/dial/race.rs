//! Happy Eyeballs (RFC 8305): several addresses race, so that one that is dead costs a quarter of
//! a second and not the patience of the user.
//!
//! All attempts are polled by who dials: whoever drops the race ends them all.

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
            Event::Connected(connection) => return Ok(connection),
            Event::Failed(addr, error) => failures.push((addr, error)),
            Event::Next => {}
        }
    }
}

enum Event<T> {
    Connected(T),
    Failed(SocketAddr, io::Error),
    /// It is time for the next attempt.
    Next,
}

type Attempts<F> = Vec<(SocketAddr, Pin<Box<F>>)>;

async fn next_event<T, F>(attempts: &mut Attempts<F>, pause: Option<Duration>) -> Event<T>
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
                return Poll::Ready(result.map_or_else(|error| Event::Failed(addr, error), Event::Connected));
            }
        }
        pausing.as_mut().poll(cx).map(|()| Event::Next)
    })
    .await
}
