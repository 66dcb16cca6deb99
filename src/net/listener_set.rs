//! Listeners that outlive a process: taken over from whoever has started this one, and handed on to its successor.
//!
//! What listens is an object of the system's, and processes have descriptors of it. As long as one of them has, its
//! queue of connections is there, and nobody who connects sees that the processes change. Nothing else keeps that
//! promise: two listeners on one port (`SO_REUSEPORT`) have a queue each, and when the one that ends is closed, the
//! system resets what waits in its queue.
//!
//! ```text
//!  predecessor                                       successor
//!  start_successor ── descriptors 3…, LISTEN_FDS ──▶ from_env
//!      waits                                         tcp, unix: those of the same name, else new ones
//!      waits, and serves                             accepts from the same queues
//!      is done  ◀──────── one byte ───────────────── ready, which closes what was not asked for
//!  ends, with its descriptors                        serves
//! ```
//!
//! The byte comes over a socket that is one more descriptor, so that its end (the successor is gone) is seen at once.
//! Descriptors are taken over by `listenfd` and handed on by `command-fds`: there is no way to do either without
//! `unsafe`, which they keep to a few lines.

use std::collections::VecDeque;
use std::env;
use std::fmt;
use std::io::{self, Write as _};
use std::net::TcpListener as StdTcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use listenfd::ListenFd;
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::timeout;

use super::listener::bind_tcp;
use super::unix_listener::bind_path;

/// Listeners by name, some of them inherited: from systemd (socket activation), or from the process that this one
/// replaces. Those that are not are bound.
///
/// So one program works in all three cases, and a connection is never refused while one process takes the place of
/// another: the listener, with the connections that wait in it, is there all the time.
/// [`Server::until_replaced`](crate::Server::until_replaced) does the rest.
///
/// ```no_run
/// use nethttp::net::ListenerSet;
/// use nethttp::{Result, ServeMux, Server};
///
/// # async fn main_of() -> Result<()> {
/// let server = Server::new(ServeMux::new());
/// let mut listeners = ListenerSet::from_env()?;
/// let http = listeners.tcp("http", "127.0.0.1:8000").await?;
/// // Until SIGTERM or Ctrl-C; SIGHUP starts the program anew, and ends this process when the new one serves.
/// server.until_replaced(listeners, server.serve(http)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Names
/// The names are those of systemd's `FileDescriptorName=`; without that, systemd gives the name of the socket's unit
/// (`site.socket`). A socket whose starter gives no names is called `unknown`.
#[derive(Debug)]
pub struct ListenerSet {
    /// Those that nobody has asked for yet.
    inherited: VecDeque<InheritedListener>,
    /// A descriptor of each listener that is in use, for a successor.
    in_use: Vec<(String, OwnedFd)>,
    /// To the process that this one replaces.
    predecessor: Option<StdUnixStream>,
}

#[derive(Debug)]
struct InheritedListener {
    name: String,
    socket: ListeningSocket,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// The name of the socket by which a successor says that it is ready.
const PREDECESSOR: &str = "nethttp-predecessor";
const NAMES: &str = "LISTEN_FDNAMES";
/// The first descriptor that is handed on (sd_listen_fds(3)): those before it are the standard streams.
const FIRST_DESCRIPTOR: i32 = 3;
/// What systemd allows.
const MAX_NAME_BYTES: usize = 255;

impl ListenerSet {
    /// Takes the listeners that the environment names (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`), if it names any
    /// for this process. Where `LISTEN_PID` is missing they are for this process.
    ///
    /// Call it first and once, while the process has one thread or nearly so: it takes the first two variables out of
    /// the environment, so that programs which this one starts do not take descriptors for listeners that are none.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where a descriptor is no TCP or Unix stream socket, or does not
    /// listen.
    pub fn from_env() -> io::Result<ListenerSet> {
        let names = env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let mut set = ListenerSet { inherited: VecDeque::new(), in_use: Vec::new(), predecessor: None };
        for index in 0..descriptors.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
            if name == PREDECESSOR {
                // A stream socket is taken over by its kind alone; that it does not listen is seen by nobody.
                let socket = descriptors.take_unix_listener(index)?.ok_or_else(taken_twice)?;
                set.predecessor = Some(OwnedFd::from(socket).into());
                continue;
            }
            let socket = take(&mut descriptors, index)
                .map_err(|error| io::Error::new(error.kind(), format!("the inherited socket {name}: {error}")))?;
            set.inherited.push_back(InheritedListener { name, socket });
        }
        Ok(set)
    }

    /// The inherited TCP listener of this name; where there is none, a new one on this address, as
    /// [`Server::addr`](crate::Server::addr) has it. Where several have the name, each call gives one. Within a
    /// runtime whose I/O is enabled.
    ///
    /// # Errors
    /// Those of listening; [`InvalidInput`](io::ErrorKind::InvalidInput) where the inherited one is a Unix socket,
    /// and for a name that systemd would not take (ASCII without control characters and `:`, 255 bytes at most).
    pub async fn tcp(&mut self, name: &str, addr: &str) -> io::Result<TcpListener> {
        let listener = match self.take_inherited(name)? {
            Some(ListeningSocket::Tcp(listener)) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)?
            }
            Some(ListeningSocket::Unix(_)) => return Err(other_kind(name, "a Unix socket")),
            None => bind_tcp(addr).await?,
        };
        self.in_use.push((name.to_owned(), SockRef::from(&listener).try_clone()?.into()));
        Ok(listener)
    }

    /// The inherited Unix listener of this name; where there is none, a new one at this path. The file of one that
    /// nobody listens to is replaced. It stays where it is when listening ends: a successor may listen there.
    ///
    /// # Errors
    /// As [`tcp`](Self::tcp).
    pub fn unix(&mut self, name: &str, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let listener = match self.take_inherited(name)? {
            Some(ListeningSocket::Unix(listener)) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener)?
            }
            Some(ListeningSocket::Tcp(_)) => return Err(other_kind(name, "a TCP socket")),
            None => bind_path(path.as_ref())?,
        };
        self.in_use.push((name.to_owned(), SockRef::from(&listener).try_clone()?.into()));
        Ok(listener)
    }

    /// Whether this process replaces another one, which waits for [`ready`](Self::ready).
    pub fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Says to the process that this one replaces that it may end, and closes the inherited listeners that nobody has
    /// asked for: their connections would wait for ever.
    ///
    /// # Errors
    /// That of telling the predecessor, which is gone then.
    pub fn ready(&mut self) -> io::Result<()> {
        self.inherited.clear();
        match self.predecessor.take() {
            Some(mut predecessor) => predecessor.write_all(&[1]),
            None => Ok(()),
        }
    }

    /// Starts a program with the listeners of this set that are in use, and waits until it is
    /// [`ready`](Self::ready) to take this process's place: then this one stops accepting. The program takes them
    /// with [`from_env`](Self::from_env), and asks for them by the same names. What it does not ask for is closed.
    ///
    /// If the future is dropped before it is done, the program is killed.
    ///
    /// # Errors
    /// That of starting the program; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where it ends without being
    /// ready, and [`TimedOut`](io::ErrorKind::TimedOut) where it is not within `limit`. It is killed then, and this
    /// process goes on as it was.
    pub async fn start_successor(&self, mut command: Command, limit: Duration) -> io::Result<Child> {
        let (own, its) = StdUnixStream::pair()?;
        self.hand_on(&mut command, its.into())?;
        let mut starting = Starting(Some(command.spawn()?));
        // The command has descriptors of its own of what it hands on, the end of the socket among them.
        drop(command);
        own.set_nonblocking(true)?;
        let mut own = UnixStream::from_std(own)?;
        let read = timeout(limit, own.read_u8()).await;
        read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the successor was not ready in time"))?
            .map_err(|error| io::Error::new(error.kind(), "the successor ended before it was ready"))?;
        starting.0.take().ok_or_else(taken_twice)
    }

    fn hand_on(&self, command: &mut Command, its: OwnedFd) -> io::Result<()> {
        let mut names: Vec<&str> = self.in_use.iter().map(|(name, _)| name.as_str()).collect();
        let mut descriptors = Vec::with_capacity(names.len() + 1);
        for (_, descriptor) in &self.in_use {
            descriptors.push(descriptor.try_clone()?);
        }
        names.push(PREDECESSOR);
        descriptors.push(its);
        let (count, names) = (descriptors.len(), names.join(":"));
        let numbered = descriptors.into_iter().zip(FIRST_DESCRIPTOR..);
        let mappings = numbered.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        command.env("LISTEN_FDS", count.to_string()).env(NAMES, names);
        // They would name this process.
        command.env_remove("LISTEN_PID").env_remove("WATCHDOG_PID");
        Ok(())
    }

    fn take_inherited(&mut self, name: &str) -> io::Result<Option<ListeningSocket>> {
        let is_allowed = |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && byte != b':';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name == PREDECESSOR || !name.bytes().all(is_allowed) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a listener cannot have this name"));
        }
        let found = self.inherited.iter().position(|one| one.name == name);
        Ok(found.and_then(|index| self.inherited.remove(index)).map(|one| one.socket))
    }
}

/// This program once more, with the same arguments: by the name that it was called by, so that it is the new one where
/// the file was replaced.
pub(crate) fn this_program() -> Command {
    let mut arguments = env::args_os();
    let program = arguments.next().or_else(|| env::current_exe().ok().map(Into::into)).unwrap_or_default();
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Kills the process if nobody takes it out.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Errors say that it has ended already. It is waited for, so that it does not stay in the system's list;
            // a killed process ends at once.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn take(descriptors: &mut ListenFd, index: usize) -> io::Result<ListeningSocket> {
    // What is no TCP socket is left where it is.
    let socket = match descriptors.take_tcp_listener(index) {
        Ok(listener) => ListeningSocket::Tcp(listener.ok_or_else(taken_twice)?),
        Err(_) => ListeningSocket::Unix(descriptors.take_unix_listener(index)?.ok_or_else(taken_twice)?),
    };
    let listens = match &socket {
        ListeningSocket::Tcp(listener) => SockRef::from(listener).is_listener()?,
        ListeningSocket::Unix(listener) => SockRef::from(listener).is_listener()?,
    };
    if !listens {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
    }
    Ok(socket)
}

fn taken_twice() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it was taken before")
}

fn other_kind(name: &str, kind: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the inherited socket {name} is {kind}"))
}
