//! Name resolution: the trait, and the system's resolver, which shares lookups.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Finds the addresses of a name.
///
/// ```
/// use std::future::Future;
/// use std::io;
/// use std::net::{IpAddr, Ipv4Addr};
/// use std::pin::Pin;
/// use nethttp::net::{Resolve, Resolved};
///
/// /// Every name is this machine.
/// struct Loopback;
///
/// impl Resolve for Loopback {
///     fn resolve<'a>(
///         &'a self,
///         _host: &'a str,
///         port: u16,
///     ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
///         Box::pin(async move { Ok(Resolved::new([IpAddr::V4(Ipv4Addr::LOCALHOST)], port)) })
///     }
/// }
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, best first, each with the port to connect to: `port`, unless the
    /// resolver knows better. Not asked for IP addresses. May be dropped at any await.
    ///
    /// # Errors
    /// Any. A name without an address may be an error or an empty list: both fail the dial.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>>;
}

impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        (**self).resolve(host, port)
    }
}

/// The addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The addresses, best first.
    pub addrs: Vec<SocketAddr>,
    /// Whether others asked for the same name at the same time and got the same answer.
    pub coalesced: bool,
    /// How long the answer holds, where the resolver knows that: after so long
    /// [`Upstreams`](crate::reverse_proxy::Upstreams) look the name up again. The dialers resolve for each connection.
    pub ttl: Option<Duration>,
}

impl Resolved {
    /// These addresses, with this port.
    pub fn new(addrs: impl IntoIterator<Item = IpAddr>, port: u16) -> Resolved {
        addrs.into_iter().map(|addr| SocketAddr::new(addr, port)).collect()
    }
}

impl FromIterator<SocketAddr> for Resolved {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addrs: I) -> Resolved {
        Resolved { addrs: addrs.into_iter().collect(), coalesced: false, ttl: None }
    }
}

/// The system's resolver (`getaddrinfo`: the hosts file, DNS, whatever the machine is set up for).
///
/// It caches nothing. Lookups of one name that run at the same time share one system call, which goes
/// on when its callers are gone, because it cannot be cancelled. Clones share lookups.
#[derive(Clone)]
pub struct SystemResolver(Arc<Lookups>);

impl SystemResolver {
    /// The system's resolver.
    pub fn new() -> SystemResolver {
        SystemResolver::over(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }

    fn over(look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> SystemResolver {
        SystemResolver(Arc::new(Lookups { look_up: Box::new(look_up), running: Mutex::default() }))
    }
}

impl Default for SystemResolver {
    fn default() -> SystemResolver {
        SystemResolver::new()
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        Box::pin(async move {
            let mut resolved = Lookups::wait_for(&self.0, host).await?;
            resolved.addrs.iter_mut().for_each(|addr| addr.set_port(port));
            Ok(resolved)
        })
    }
}

/// The lookups that run.
struct Lookups {
    look_up: Box<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>,
    running: Mutex<HashMap<Box<str>, SharedLookup>>,
}

/// A lookup as its waiters see it.
#[derive(Clone)]
struct SharedLookup {
    answer: watch::Receiver<Option<Answer>>,
    coalesced: Arc<AtomicBool>,
}

type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

impl Lookups {
    async fn wait_for(this: &Arc<Lookups>, host: &str) -> io::Result<Resolved> {
        loop {
            let (mut lookup, is_own) = Lookups::join(this, host);
            let answer = lookup.answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
            let Some(answer) = answer else {
                // The runtime of the lookup was shut down. If the lookup is another caller's, a new one is
                // begun.
                if is_own {
                    return Err(io::Error::other("the lookup was broken off"));
                }
                continue;
            };
            let coalesced = lookup.coalesced.load(Ordering::Relaxed);
            return match answer {
                Ok(addrs) => Ok(Resolved { addrs, coalesced, ttl: None }),
                Err(error) => Err(io::Error::new(error.kind(), SharedError(error))),
            };
        }
    }

    /// The lookup of this name that runs, or a new one; and whether it is new.
    fn join(this: &Arc<Lookups>, host: &str) -> (SharedLookup, bool) {
        let mut running = this.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = running.get(host) {
            lookup.coalesced.store(true, Ordering::Relaxed);
            return (lookup.clone(), false);
        }
        let (sender, answer) = watch::channel(None);
        let lookup = SharedLookup { answer, coalesced: Arc::default() };
        running.insert(host.into(), lookup.clone());
        drop(running);
        let entry = RunningLookup { lookups: this.clone(), host: host.into(), sender };
        // Ends by itself when the system has answered. It cannot be cancelled: the system call cannot.
        drop(tokio::task::spawn_blocking(move || entry.answer()));
        (lookup, true)
    }
}

/// A lookup's entry among those that run. It is removed when the lookup is over, and also when it never
/// ran or panicked.
struct RunningLookup {
    lookups: Arc<Lookups>,
    host: Box<str>,
    sender: watch::Sender<Option<Answer>>,
}

impl RunningLookup {
    fn answer(self) {
        let answer = (self.lookups.look_up)(&self.host).map_err(Arc::new);
        // Removed before the result is published: a lookup that begins from now on needs a fresh answer.
        self.remove();
        self.sender.send_replace(Some(answer));
    }

    fn remove(&self) {
        let mut running = self.lookups.running.lock().unwrap_or_else(PoisonError::into_inner);
        // This runs twice, and by now the entry may belong to another lookup.
        if running.get(&self.host).is_some_and(|lookup| lookup.answer.same_channel(&self.sender.subscribe())) {
            running.remove(&self.host);
        }
    }
}

impl Drop for RunningLookup {
    fn drop(&mut self) {
        self.remove();
    }
}

/// An error that several get.
#[derive(Debug)]
struct SharedError(Arc<io::Error>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {}

/// A table of addresses, and a resolver for names that are not in it (curl's `--resolve`).
///
/// Names compare without regard to ASCII case. An entry for a host and a port comes before one
/// for the host alone.
///
/// ```
/// use nethttp::net::{FixedResolver, SystemResolver};
///
/// let resolver = FixedResolver::new(SystemResolver::new())
///     .with_addrs("example.com", 443, ["127.0.0.1:8443".parse().unwrap()])
///     .with_host("staging.test", ["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
/// ```
#[derive(Clone)]
pub struct FixedResolver {
    places: HashMap<(String, u16), Vec<SocketAddr>>,
    hosts: HashMap<String, Vec<IpAddr>>,
    others: Option<Arc<dyn Resolve>>,
}

impl FixedResolver {
    /// An empty table; names that are not in it go to this resolver.
    pub fn new(others: impl Resolve) -> FixedResolver {
        FixedResolver { others: Some(Arc::new(others)), ..FixedResolver::only() }
    }

    /// An empty table; names that are not in it have no address.
    pub fn only() -> FixedResolver {
        FixedResolver { places: HashMap::new(), hosts: HashMap::new(), others: None }
    }

    /// The same with these addresses for a host and a port, in the order in which DNS would give
    /// them. Their ports are those that are connected to.
    #[must_use]
    pub fn with_addrs(mut self, host: &str, port: u16, addrs: impl IntoIterator<Item = SocketAddr>) -> FixedResolver {
        self.places.insert((host.to_ascii_lowercase(), port), addrs.into_iter().collect());
        self
    }

    /// The same with these addresses for a host on every port.
    #[must_use]
    pub fn with_host(mut self, host: &str, addrs: impl IntoIterator<Item = IpAddr>) -> FixedResolver {
        self.hosts.insert(host.to_ascii_lowercase(), addrs.into_iter().collect());
        self
    }

    fn find(&self, host: &str, port: u16) -> Option<Resolved> {
        let place = (host.to_ascii_lowercase(), port);
        if let Some(addrs) = self.places.get(&place) {
            return Some(addrs.iter().copied().collect());
        }
        self.hosts.get(&place.0).map(|addrs| Resolved::new(addrs.iter().copied(), port))
    }
}

impl Resolve for FixedResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        Box::pin(async move {
            match (self.find(host, port), &self.others) {
                (Some(found), _) => Ok(found),
                (None, Some(others)) => others.resolve(host, port).await,
                (None, None) => Err(io::Error::new(io::ErrorKind::NotFound, "it is not in the table")),
            }
        })
    }
}

impl fmt::Debug for FixedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fixed = f.debug_struct("FixedResolver");
        fixed.field("places", &self.places).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    const ADDR: ([u8; 4], u16) = ([192, 0, 2, 1], 0);

    /// The word for a panic.
    const BREAKS_OFF: io::ErrorKind = io::ErrorKind::Other;

    /// A resolver whose lookups each wait for a word, and how many there were.
    fn waiting_for_a_word() -> (SystemResolver, mpsc::Sender<io::Result<()>>, Arc<AtomicUsize>) {
        let (word, words) = mpsc::channel::<io::Result<()>>();
        let (words, count) = (Mutex::new(words), Arc::new(AtomicUsize::new(0)));
        let counted = count.clone();
        let resolver = SystemResolver::over(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let word = words.lock().unwrap().recv().unwrap();
            assert!(!word.as_ref().is_err_and(|error| error.kind() == BREAKS_OFF), "told to");
            word.map(|()| vec![ADDR.into()])
        });
        (resolver, word, count)
    }

    /// Polls once: the lookup is begun or joined.
    async fn begin<T>(asking: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>) {
        std::future::poll_fn(|cx| {
            assert!(asking.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn lookups_of_one_name_at_the_same_time_are_one() {
        let (resolver, word, count) = waiting_for_a_word();
        let (mut first, mut second) = (resolver.resolve("a.test", 80), resolver.resolve("a.test", 81));
        begin(&mut first).await;
        begin(&mut second).await;
        word.send(Ok(())).unwrap();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!((first.addrs[0].port(), second.addrs[0].port()), (80, 81));
        assert!(first.coalesced && second.coalesced);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_behind_the_other_are_two() {
        let (resolver, word, count) = waiting_for_a_word();
        for _ in 0..2 {
            word.send(Ok(())).unwrap();
            assert!(!resolver.resolve("a.test", 80).await.unwrap().coalesced);
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_lookup_goes_on_when_the_one_who_began_it_is_gone() {
        let (resolver, word, count) = waiting_for_a_word();
        let (mut first, mut second) = (resolver.resolve("a.test", 80), resolver.resolve("a.test", 80));
        begin(&mut first).await;
        begin(&mut second).await;
        drop(first);
        word.send(Ok(())).unwrap();
        assert_eq!(second.await.unwrap().addrs.len(), 1);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn all_get_the_same_error() {
        let (resolver, word, _) = waiting_for_a_word();
        let (mut first, mut second) = (resolver.resolve("a.test", 80), resolver.resolve("a.test", 80));
        begin(&mut first).await;
        begin(&mut second).await;
        word.send(Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))).unwrap();
        for error in [first.await.unwrap_err(), second.await.unwrap_err()] {
            assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::NotFound, "no such name".to_owned()));
        }
    }

    #[tokio::test]
    async fn who_joined_a_lookup_that_was_broken_off_asks_anew() {
        let (resolver, word, count) = waiting_for_a_word();
        let (mut first, mut second) = (resolver.resolve("a.test", 80), resolver.resolve("a.test", 80));
        begin(&mut first).await;
        begin(&mut second).await;
        word.send(Err(BREAKS_OFF.into())).unwrap();
        assert_eq!(first.await.unwrap_err().to_string(), "the lookup was broken off");
        word.send(Ok(())).unwrap();
        assert_eq!(second.await.unwrap().addrs.len(), 1);
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(resolver.0.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let resolved = SystemResolver::new().resolve("localhost", 8080).await.unwrap();
        assert!(!resolved.addrs.is_empty());
        assert!(resolved.addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 8080));
    }

    #[tokio::test]
    async fn a_host_with_its_port_comes_before_the_host_alone_and_both_before_other_resolvers() {
        let others = FixedResolver::only().with_host("b.test", ["192.0.2.9".parse().unwrap()]);
        let resolver = FixedResolver::new(others)
            .with_addrs("a.test", 80, ["[::1]:8080".parse().unwrap(), "127.0.0.1:8081".parse().unwrap()])
            .with_host("A.Test", ["192.0.2.1".parse().unwrap()]);
        for (host, port, expected) in [
            ("A.TEST", 80, vec!["[::1]:8080", "127.0.0.1:8081"]),
            ("a.test", 81, vec!["192.0.2.1:81"]),
            ("b.test", 80, vec!["192.0.2.9:80"]),
        ] {
            let expected: Resolved = expected.into_iter().map(|addr| addr.parse::<SocketAddr>().unwrap()).collect();
            assert_eq!(resolver.resolve(host, port).await.unwrap(), expected);
        }
        assert_eq!(resolver.resolve("c.test", 80).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
