//! Where the command listens: addresses as they are written, sockets bound to them, and the URLs
//! that lead there.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// An address as it stands on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A host, by name or number, and a port.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

const FORMS: &str = "write an address and a port, such as 127.0.0.1:8000, localhost:8000 or [::1]:8000, \
                     or the path of a socket, such as unix:/run/files.sock";

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(FORMS) } else { Ok(Address::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(FORMS)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port.parse::<u16>().is_err() || (host.contains(':') && !is_bracketed) {
            return Err(FORMS);
        }
        Ok(Address::Tcp(text.to_owned()))
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(text) => f.write_str(text),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens, on no runtime yet.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// What one address came to: a socket for each worker.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) sockets: Vec<Listening>,
    bound_to: BoundTo,
}

#[derive(Debug)]
enum BoundTo {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(SocketFile),
}

impl Bound {
    /// Listens, with so many sockets. Within a runtime.
    ///
    /// # Errors
    /// One line that says what to change.
    pub(crate) async fn new(address: &Address, count: usize) -> anyhow::Result<Bound> {
        match address {
            Address::Tcp(text) => {
                let (local, sockets) = bind_tcp(text, count).await.map_err(|error| cannot_listen(text, error))?;
                Ok(Bound { sockets: sockets.into_iter().map(Listening::Tcp).collect(), bound_to: BoundTo::Tcp(local) })
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let (file, listener) = bind_unix(path)?;
                let mut sockets = Vec::with_capacity(count);
                for _ in 1..count {
                    sockets.push(Listening::Unix(listener.try_clone()?));
                }
                sockets.push(Listening::Unix(listener));
                Ok(Bound { sockets, bound_to: BoundTo::Unix(file) })
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(anyhow!("this system has no Unix sockets: choose an address and a port with -a")),
        }
    }

    /// The port, where there is one.
    pub(crate) fn port(&self) -> Option<u16> {
        match &self.bound_to {
            BoundTo::Tcp(local) => Some(local.port()),
            #[cfg(unix)]
            BoundTo::Unix(_) => None,
        }
    }

    /// Where a browser finds it, the nearest way first.
    pub(crate) fn urls(&self, scheme: &str, path: &str) -> Vec<String> {
        match &self.bound_to {
            BoundTo::Tcp(local) => hosts(local.ip(), &outgoing_addresses())
                .into_iter()
                .map(|host| format!("{scheme}://{}{path}", SocketAddr::new(host, local.port())))
                .collect(),
            #[cfg(unix)]
            BoundTo::Unix(file) => vec![format!("unix:{}", file.path.display())],
        }
    }
}

/// Several sockets share their port: the system spreads connections over them.
async fn bind_tcp(text: &str, count: usize) -> io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    let first = TcpListener::bind(text).await?;
    let mut local = first.local_addr()?;
    if count == 1 {
        return Ok((local, vec![first.into_std()?]));
    }
    // Binding it without SO_REUSEPORT has shown that the port is free. Without that, the sockets below
    // might share it with another program.
    drop(first);
    let resolved = lookup_host(text).await?.find(|addr| addr.ip() == local.ip()).unwrap_or(local);
    local.set_ip(resolved.ip());
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = bind_shared(local)?;
        local = socket.local_addr()?;
        sockets.push(socket.into_std()?);
    }
    Ok((local, sockets))
}

#[cfg(unix)]
fn bind_shared(local: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG_COUNT: u32 = 1024;
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(local)?;
    socket.listen(BACKLOG_COUNT)
}

#[cfg(not(unix))]
fn bind_shared(_: SocketAddr) -> io::Result<TcpListener> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not share a port: leave out --workers"))
}

fn cannot_listen(address: &str, error: io::Error) -> anyhow::Error {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("{address} is taken: choose another port with -a {host}:PORT, or any free one with -a {host}:0")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("{address} needs privileges: choose a port from 1024 upwards, such as -a {host}:8000")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{address} is no address of this machine: choose one with -a, such as -a 127.0.0.1:8000")
        }
        _ => anyhow::Error::from(error).context(format!("cannot listen on {address}")),
    }
}

/// Removed when nothing listens there any more, unless another has taken the path over.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: FileIdentity,
}

/// Device, inode and time of writing: which file a path leads to. The time is needed because an inode
/// that becomes free may be given to the next file that is made.
#[cfg(unix)]
type FileIdentity = (u64, u64, i64, i64);

#[cfg(unix)]
fn identity(path: &std::path::Path) -> io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // A server that drains for long may have been replaced: then the file is its successor's.
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If it stays, the next command that listens there replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn bind_unix(path: &std::path::Path) -> anyhow::Result<(SocketFile, std::os::unix::net::UnixListener)> {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    let shown = path.display();
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(anyhow!("{shown} is there and is no socket: choose another path with -a unix:PATH"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(anyhow!("unix:{shown} is taken: choose another path with -a unix:PATH"));
        }
        // Nothing listens there: the file was left behind.
        std::fs::remove_file(path).with_context(|| format!("cannot replace {shown}"))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on unix:{shown}"))?;
    let identity = identity(path).with_context(|| format!("cannot listen on unix:{shown}"))?;
    let file = SocketFile { path: path.to_owned(), identity };
    listener.set_nonblocking(true)?;
    Ok((file, listener))
}

/// By what addresses one that was listened on is reached: of all of them, this machine's first.
fn hosts(listened: IpAddr, outgoing: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let own: IpAddr = match listened {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // It takes both kinds, and the older one is reached from everywhere.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        one => return vec![one],
    };
    let reaches = |ip: &&IpAddr| ip.is_ipv4() || listened.is_ipv6();
    [own].into_iter().chain(outgoing.iter().filter(reaches).copied()).collect()
}

/// The addresses that this machine would send from to its networks. The system is asked by choosing
/// a peer for a socket that sends nothing.
fn outgoing_addresses() -> BTreeSet<IpAddr> {
    // One in each range of private networks (RFC 1918, RFC 4193), and addresses that are in no use.
    const PEERS: [&str; 6] =
        ["10.255.255.254:9", "172.31.255.254:9", "192.168.255.254:9", "192.0.2.1:9", "[fdff::1]:9", "[2001:db8::1]:9"];
    let chosen = |peer: &str| {
        let any: IpAddr =
            if peer.starts_with('[') { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(peer).ok()?;
        socket.local_addr().ok().map(|local| local.ip())
    };
    PEERS.into_iter().filter_map(chosen).filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_path() {
        for text in ["127.0.0.1:8000", "localhost:0", "[::1]:80", "unix:/run/a.sock", "unix:a"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["8000", "localhost", ":8000", "localhost:http", "127.0.0.1:99999", "::1:8000", "unix:", ""] {
            assert_eq!(text.parse::<Address>(), Err(FORMS), "{text}");
        }
    }

    #[test]
    fn an_address_of_all_networks_is_reached_by_each_of_them() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let outgoing = BTreeSet::from([ip("192.168.1.5"), ip("fd00::5")]);
        assert_eq!(hosts(ip("0.0.0.0"), &outgoing), [ip("127.0.0.1"), ip("192.168.1.5")]);
        assert_eq!(hosts(ip("::"), &outgoing), [ip("127.0.0.1"), ip("192.168.1.5"), ip("fd00::5")]);
        assert_eq!(hosts(ip("127.0.0.1"), &outgoing), [ip("127.0.0.1")]);
        assert_eq!(hosts(ip("::1"), &outgoing), [ip("::1")]);
    }
}
