//! The client that carries all requests, and how its connections are made where the command line says
//! something of it: to which addresses, from where, or to a Unix socket.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{Dial, FixedResolver, Resolve, Resolved, SystemResolver, TcpDialer};
use nethttp::tls::{Certificate, TlsConfig, TlsRoots};
use nethttp::{Client, Transport};

use super::failure::{Exit, Failure};
use super::observe::Observed;
use super::options::GetArguments;
use super::screen::Screen;

pub(crate) fn client(arguments: &GetArguments, screen: &Arc<Screen>) -> Result<Client, Failure> {
    let mut transport = Transport::new();
    transport.connect_timeout = arguments.connect_timeout;
    transport.tls_handshake_timeout = arguments.connect_timeout;
    transport.response_header_timeout = arguments.speed_time;
    transport.disable_compression = !arguments.compressed;
    transport.max_idle_conns_per_host = arguments.parallel_max;
    transport.protocols = match (arguments.http1, arguments.http2_prior_knowledge) {
        (true, _) => ClientProtocols::Http1,
        (_, true) => ClientProtocols::Http2,
        _ => ClientProtocols::Auto,
    };
    match (&arguments.proxy, &arguments.unix_socket) {
        (Some(proxy), _) if !proxy.is_empty() => transport.proxy = Proxy::url(proxy)?,
        (Some(_), _) | (_, Some(_)) => transport.proxy = Proxy::none(),
        _ => {}
    }
    if let Some(name) = &arguments.user_agent {
        transport.user_agent.clone_from(name);
    }
    if let Some(dialer) = dialer(arguments)? {
        transport.dial = dialer;
    }
    if arguments.insecure || arguments.cacert.is_some() || arguments.cert.is_some() {
        transport.set_tls(tls(arguments)?);
    }
    let observed = Observed { transport, screen: screen.clone(), verbose: arguments.verbose };
    let mut client = Client::with_transport(observed);
    client.max_redirects = if arguments.location { arguments.max_redirs } else { 0 };
    Ok(client)
}

fn tls(arguments: &GetArguments) -> Result<TlsConfig, Failure> {
    let mut config = TlsConfig::new().danger_accept_invalid_certs(arguments.insecure);
    let refused =
        |path: &Path, error: nethttp::Error| Failure::new(Exit::Local, format!("{}: {error}", path.display()));
    if let Some(path) = &arguments.cert {
        let key = arguments.key.as_ref().unwrap_or(path);
        // It says itself which of the two files it is about.
        let certificate = Certificate::from_pem_files(path, key)
            .map_err(|error| Failure::new(Exit::Local, format!("--cert: {error}")))?;
        config = config.client_certificate(certificate);
    }
    let Some(path) = &arguments.cacert else { return Ok(config) };
    let text = std::fs::read(path).map_err(|error| Failure::local(path.display(), &error))?;
    config.roots(TlsRoots::None).add_root_pem(text).map_err(|error| refused(path, error))
}

/// `None` where the usual one will do.
fn dialer(arguments: &GetArguments) -> Result<Option<Arc<dyn Dial>>, Failure> {
    if let Some(path) = &arguments.unix_socket {
        #[cfg(unix)]
        return Ok(Some(Arc::new(nethttp::net::UnixDialer::new(path))));
        #[cfg(not(unix))]
        return Err(Failure::usage(format!("{}: this system has no Unix sockets", path.display())));
    }
    let family = match (arguments.ipv4, arguments.ipv6) {
        (true, _) => Some(Family::V4),
        (_, true) => Some(Family::V6),
        _ => None,
    };
    if family.is_none() && arguments.interface.is_none() && arguments.resolve.is_empty() {
        return Ok(None);
    }
    let resolver = FamilyResolver { resolver: resolver(arguments), family };
    let dialer = TcpDialer::new();
    let dialer = match family {
        // Addresses in URLs are not resolved.
        Some(family) => dialer.with_address_check(move |address| family.check(address)),
        None => dialer,
    };
    let Some(interface) = &arguments.interface else { return Ok(Some(Arc::new(dialer.with_resolver(resolver)))) };
    if let Ok(address) = interface.parse::<IpAddr>() {
        return Ok(Some(Arc::new(dialer.with_resolver(resolver).with_local_address(address))));
    }
    #[cfg(target_os = "linux")]
    return Ok(Some(Arc::new(device::DeviceDialer { device: interface.clone(), resolver })));
    #[cfg(not(target_os = "linux"))]
    return Err(Failure::usage(format!("--interface {interface}: write an address of this machine")));
}

fn resolver(arguments: &GetArguments) -> FixedResolver {
    let start = FixedResolver::new(SystemResolver::new());
    arguments
        .resolve
        .iter()
        .fold(start, |resolver, fixed| resolver.with_addrs(&fixed.host, fixed.port, fixed.addresses.iter().copied()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, address: SocketAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }

    fn check(self, address: SocketAddr) -> io::Result<()> {
        match self {
            _ if self.has(address) => Ok(()),
            Family::V4 => Err(io::Error::other("it is no IPv4 address")),
            Family::V6 => Err(io::Error::other("it is no IPv6 address")),
        }
    }
}

/// The addresses of one family, or all.
struct FamilyResolver {
    resolver: FixedResolver,
    family: Option<Family>,
}

impl Resolve for FamilyResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        Box::pin(async move {
            let mut resolved = self.resolver.resolve(host, port).await?;
            resolved.addrs.retain(|address| self.family.is_none_or(|family| family.has(*address)));
            Ok(resolved)
        })
    }
}

/// Connections by way of a network interface. The library binds to addresses alone, and an interface
/// may have several, so sockets are made here.
#[cfg(target_os = "linux")]
mod device {
    use nethttp::net::{Addr, DialTarget, DialedStream};
    use tokio::net::{TcpSocket, TcpStream};

    use super::{Dial, FamilyResolver, Future, Pin, Resolve as _, Resolved, SocketAddr, io};

    pub(super) struct DeviceDialer {
        pub(super) device: String,
        pub(super) resolver: FamilyResolver,
    }

    impl Dial for DeviceDialer {
        fn dial<'a>(
            &'a self,
            target: &'a DialTarget<'a>,
        ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
            Box::pin(async move {
                let mut last = io::Error::other("it has no address");
                for address in self.addresses(target).await? {
                    match self.watched_connect(target, address).await {
                        Ok(stream) => return Ok(stream.into()),
                        Err(error) => last = error,
                    }
                }
                let message = format!("by way of {}: {last}", self.device);
                Err(io::Error::new(last.kind(), message))
            })
        }
    }

    impl DeviceDialer {
        async fn addresses(&self, target: &DialTarget<'_>) -> io::Result<Vec<SocketAddr>> {
            if let Ok(ip) = target.host().parse() {
                let address = SocketAddr::new(ip, target.port());
                self.resolver.family.map_or(Ok(()), |family| family.check(address))?;
                return Ok(vec![address]);
            }
            if let Some(watch) = target.watch() {
                watch.dns_start(target.host());
            }
            let resolved: io::Result<Resolved> = self.resolver.resolve(target.host(), target.port()).await;
            if let Some(watch) = target.watch() {
                watch.dns_done(target.host(), resolved.as_ref());
            }
            Ok(resolved?.addrs)
        }

        async fn watched_connect(&self, target: &DialTarget<'_>, address: SocketAddr) -> io::Result<TcpStream> {
            let addr = Addr::Tcp(address);
            if let Some(watch) = target.watch() {
                watch.connect_start(&addr);
            }
            let connected = self.connect(address).await;
            if let Some(watch) = target.watch() {
                watch.connect_done(&addr, connected.as_ref().map(drop));
            }
            connected
        }

        async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind_device(Some(self.device.as_bytes()))?;
            socket.set_nodelay(true)?;
            socket.connect(address).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_own_addresses_alone() {
        let (v4, v6) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert!(Family::V4.check(v4).is_ok() && Family::V6.check(v6).is_ok());
        assert_eq!(Family::V4.check(v6).unwrap_err().to_string(), "it is no IPv4 address");
        assert_eq!(Family::V6.check(v4).unwrap_err().to_string(), "it is no IPv6 address");
    }
}
