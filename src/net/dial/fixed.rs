//! Addresses that are known beforehand.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use super::resolve::{Resolve, Resolved};

/// A table of addresses, and a resolver for names that are not in it (curl's `--resolve`).
///
/// Names compare without regard to ASCII case. An entry for a host and a port comes before one
/// for the host alone.
///
/// ```
/// use nethttp::{FixedResolver, SystemResolver};
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
    use super::*;

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
